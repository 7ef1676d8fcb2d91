"""Target sound extraction as an ESPnet task."""

import argparse
import contextlib
from typing import Any, Callable, Dict, Optional, Sequence, Tuple

import torch
from espnet2.iterators.abs_iter_factory import AbsIterFactory
from espnet2.tasks.abs_task import (
    AbsTask,
    IteratorOptions,
    optim_classes,
    scheduler_classes,
)
from espnet2.tasks.enh import decoder_choices, encoder_choices
from espnet2.tasks.enh_tse import extractor_choices
from espnet2.torch_utils.initialize import initialize
from espnet2.train.class_choices import ClassChoices
from espnet2.train.collate_fn import CommonCollateFn
from espnet2.train.distributed_utils import DistributedOption, get_node_rank, get_rank
from torch.multiprocessing import ProcessExitedException

from tsx_espnet import parts
from tsx_espnet.build import build_model
from tsx_espnet.clips.clip_set import ClipSet
from tsx_espnet.errors import TSXError
from tsx_espnet.experiment import check_same_setup
from tsx_espnet.mixing.config import MixingConfig
from tsx_espnet.mixing.mixture_set import data_names
from tsx_espnet.mixing.sampler import Sampler
from tsx_espnet.model import ESPnetTSXModel
from tsx_espnet.objective.abs_objective import AbsObjective
from tsx_espnet.parts import check_conf
from tsx_espnet.pretrained.frozen import pretrained_kept
from tsx_espnet.training.checkpoint import safe_torch_files
from tsx_espnet.training.frozen_parts import keep_frozen_parts, read_vocabulary
from tsx_espnet.training.iterator import MixtureIterFactory, TSXPreprocessor
from tsx_espnet.training.lock import locked
from tsx_espnet.training.options import (
    OptionParser,
    add_data_options,
    add_model_options,
    expand_data_options,
)
from tsx_espnet.training.preemption import PREEMPTION, REQUEUE
from tsx_espnet.training.trainer import TSXTrainer

parts.register()


def choices_of(kind: str, base: type, default: Optional[str] = None) -> ClassChoices:
    """Our table of a kind of parts, as one of ESPnet's."""
    classes = {name: parts.load(path) for name, path in parts.OURS[kind].items()}
    return ClassChoices(kind, classes, base, default)


class TSXTask(AbsTask):
    """Trains ``ESPnetTSXModel`` on mixtures drawn on the fly, or on a fixed mixture set."""

    class_choices_list = [
        encoder_choices,
        extractor_choices,
        decoder_choices,
        choices_of("objective", AbsObjective, default="oct"),
        choices_of("refiner", torch.nn.Module),
    ]
    trainer = TSXTrainer

    @classmethod
    def add_task_arguments(cls, parser: argparse.ArgumentParser) -> None:
        model = add_model_options(parser)
        add_data_options(parser)
        for choices in cls.class_choices_list:
            choices.add_arguments(model)
        # mixtures have one length, so batches need no sorting; a condition may apply to no mixture
        # of a batch, which leaves its parameters without gradient
        parser.set_defaults(
            batch_type="unsorted",
            unused_parameters=True,
            encoder="conv",
            decoder="conv",
            extractor="sudormrf",
        )

    @classmethod
    def get_parser(cls) -> OptionParser:
        parser = super().get_parser()
        parser.__class__ = OptionParser  # ESPnet makes the parser itself
        parser.allow_abbrev = False  # else --method FILE is taken for --method_config, but not read
        return parser

    @classmethod
    def get_default_config(cls) -> Dict[str, Any]:
        config = super().get_default_config()
        for given in ("condition_dim", "further_dim"):  # by --embedding_dim and --later
            config["extractor_conf"].pop(given, None)
        return config

    @classmethod
    def check_required_command_args(cls, args: argparse.Namespace) -> None:
        """Raises: TSXError: if an option, a file it names, or a GPU is missing."""
        for name in args.required:
            if getattr(args, name) is None:
                raise TSXError(f"--{name} is missing")
        if args.ngpu > torch.cuda.device_count():
            found = torch.cuda.device_count()
            raise TSXError(f"--ngpu {args.ngpu}: found {found} GPUs; 0 trains on the CPU")
        if args.resume:  # before the text embeddings are copied, and once the mixing is known
            check_same_setup(args.output_dir, vars(args))
        expand_data_options(args)
        keep_frozen_parts(args)
        if args.resume:
            check_same_setup(args.output_dir, vars(args))

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

    @classmethod
    def build_collate_fn(cls, args: argparse.Namespace, train: bool) -> Callable:
        return CommonCollateFn(float_pad_value=0.0, int_pad_value=0)

    @classmethod
    def build_preprocess_fn(cls, args: argparse.Namespace, train: bool) -> Optional[Callable]:
        return TSXPreprocessor(train, tuple(args.conditions), read_vocabulary(args))

    @classmethod
    def required_data_names(cls, train: bool = True, inference: bool = False) -> Tuple[str, ...]:
        return data_names(required=True, inference=inference)

    @classmethod
    def optional_data_names(cls, train: bool = True, inference: bool = False) -> Tuple[str, ...]:
        return data_names(required=False, inference=inference)

    @classmethod
    def build_model(cls, args: argparse.Namespace) -> ESPnetTSXModel:
        vocabulary = read_vocabulary(args)
        args.class_list = list(vocabulary.classes)
        check_conf("optim", args.optim, optim_classes[args.optim], args.optim_conf, ["params"])
        if args.scheduler is not None:
            scheduler = scheduler_classes[args.scheduler]
            conf = args.scheduler_conf
            check_conf("scheduler", args.scheduler, scheduler, conf, ["optimizer"])
        model = build_model(vars(args), vocabulary)
        if args.init is not None:
            with pretrained_kept(model):
                initialize(model, args.init)
        return model

    @classmethod
    def build_iter_factory(
        cls,
        args: argparse.Namespace,
        distributed_option: DistributedOption,
        mode: str,
        kwargs: Optional[dict] = None,
    ) -> AbsIterFactory:
        if mode != "train" or args.train_clips is None:
            return super().build_iter_factory(args, distributed_option, mode, kwargs)
        options: IteratorOptions = cls.build_iter_options(args, distributed_option, mode)
        world_size = distributed_option.dist_world_size if options.distributed else None
        num_mixtures = args.mixtures_per_epoch
        if args.drop_last_iter:
            num_mixtures -= num_mixtures % options.batch_size
        return MixtureIterFactory(
            Sampler(
                ClipSet(args.train_clips, classes=args.class_list or None),
                MixingConfig.from_dict(args.mixing_conf),
            ),
            options.preprocess_fn,
            options.collate_fn,
            num_mixtures=num_mixtures,
            batch_size=options.batch_size,
            seed=args.seed,
            num_workers=args.num_workers,
            rank=(distributed_option.dist_rank or 0) if world_size else 0,
            world_size=world_size or 1,
            num_iters_per_epoch=options.num_iters_per_epoch,
            pin_memory=args.ngpu > 0,
        )
