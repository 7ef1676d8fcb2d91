"""An ESPnet task whose runs survive kills and preemption, and whose mistakes are one line."""

import argparse
import contextlib
from pathlib import Path
from typing import Optional, Sequence, Tuple

import torch
from espnet2.tasks.abs_task import AbsTask, optim_classes, scheduler_classes
from espnet2.train.distributed_utils import get_node_rank, get_rank
from torch.multiprocessing import ProcessExitedException

from tsx_espnet.errors import TSXError
from tsx_espnet.experiment import check_same_setup
from tsx_espnet.parts import check_conf
from tsx_espnet.training.checkpoint import safe_torch_files
from tsx_espnet.training.lock import locked
from tsx_espnet.training.parser import OptionParser
from tsx_espnet.training.preemption import PREEMPTION, REQUEUE
from tsx_espnet.training.trainer import ReliableTrainer


class ReliableTask(AbsTask):
    """A task of ESPnet, apart from what it trains on what.

    Only one run at a time uses a directory. A killed run resumes after its last complete epoch, a
    preempted one after its last batch, and neither with another setup. For that the batches of an
    epoch must depend on ``--seed`` and its number alone, as ESPnet's do.

    A subclass adds options, data and model, as any task of ESPnet does.

    Attributes:
        setup: names of the options that may not change when a run is resumed.
    """

    setup: Tuple[str, ...] = ()
    trainer = ReliableTrainer

    @classmethod
    def get_parser(cls) -> OptionParser:
        parser = super().get_parser()
        parser.__class__ = OptionParser  # ESPnet makes the parser itself
        parser.allow_abbrev = False  # else --method FILE is taken for --method_config, but not read
        parser.add_argument(
            "--method_config", help="yaml of a training method, which overrides --config"
        )
        return parser

    @classmethod
    def check_required_command_args(cls, args: argparse.Namespace) -> None:
        """Check the options, before any process is started.

        Raises:
            TSXError: if an option, a file it names, or a GPU is missing, an option of the optimizer
                or the scheduler is wrong, or the run to be resumed was begun with another setup.
        """
        for name in args.required:
            if getattr(args, name) is None:
                raise TSXError(f"--{name} is missing")
        if args.ngpu > torch.cuda.device_count():
            found = torch.cuda.device_count()
            raise TSXError(f"--ngpu {args.ngpu}: found {found} GPUs; 0 trains on the CPU")
        check_conf("optim", args.optim, optim_classes[args.optim], args.optim_conf, ["params"])
        if args.scheduler is not None:
            scheduler = scheduler_classes[args.scheduler]
            conf = args.scheduler_conf
            check_conf("scheduler", args.scheduler, scheduler, conf, ["optimizer"])
        if args.resume:  # before anything is written, and once all options are known
            check_same_setup(args.output_dir, vars(args), cls.setup)
        cls.expand_options(args)
        if args.resume:
            check_same_setup(args.output_dir, vars(args), cls.setup)
        for mode in ("train", "valid"):
            option = f"{mode}_data_path_and_name_and_type"
            paths = [path for path, _, _ in getattr(args, option)]
            for path in paths + getattr(args, f"{mode}_shape_file"):
                if not Path(path).exists():
                    raise TSXError(f"--{option}: {path}: no such file")

    @classmethod
    def expand_options(cls, args: argparse.Namespace) -> None:
        """For subclasses: fill options from those that stand for them, and check these."""

    @classmethod
    def main(
        cls,
        args: Optional[argparse.Namespace] = None,
        cmd: Optional[Sequence[str]] = None,
    ) -> None:
        """Train, as the only run in the output directory.

        Raises:
            TSXError: if there is another one.
            SystemExit: with status ``REQUEUE`` if it was preempted.
        """
        if args is None:
            args = cls.get_parser().parse_args(cmd)
        alone = contextlib.nullcontext()
        if args.output_dir is not None and not args.print_config:
            rank = get_node_rank if args.multiprocessing_distributed else get_rank
            if not rank(args.dist_rank, args.dist_launcher):
                alone = locked(args.output_dir)
        with alone, PREEMPTION.forwarding():
            try:
                super().main(args=args)
            except ProcessExitedException as error:
                if error.exit_code == REQUEUE or PREEMPTION.requested:
                    raise SystemExit(REQUEUE) from None
                raise

    @classmethod
    def main_worker(cls, args: argparse.Namespace) -> None:
        with safe_torch_files(), PREEMPTION.watching():
            try:
                super().main_worker(args)
            except RuntimeError as error:
                if args.init_param and "loading state_dict" in str(error):
                    reason = " ".join(str(error).split())
                    raise TSXError(
                        f"--init_param {' '.join(args.init_param)} does not fit: {reason:.500}"
                    ) from error
                raise
