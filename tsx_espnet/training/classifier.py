"""Training of a sound classifier: its model, its task, and what is left for others to use."""

import argparse
import functools
from pathlib import Path
from typing import Any, Callable, Dict, Mapping, Optional, Sequence, Tuple

import numpy as np
import torch
from espnet2.iterators.abs_iter_factory import AbsIterFactory
from espnet2.torch_utils.device_funcs import force_gatherable
from espnet2.train.abs_espnet_model import AbsESPnetModel
from espnet2.train.collate_fn import CommonCollateFn
from espnet2.train.distributed_utils import DistributedOption
from espnet2.utils.nested_dict_action import NestedDictAction
from espnet2.utils.types import str_or_none
from torch.nn import functional

from tsx_espnet.checks import check_at_least
from tsx_espnet.clips.clip_set import ClipSet
from tsx_espnet.clips.datadir import read_classes
from tsx_espnet.errors import TSXError
from tsx_espnet.experiment import find_model_file, load_weights
from tsx_espnet.layers.basic import level_of
from tsx_espnet.mixing.config import MixingConfig
from tsx_espnet.mixing.data_table import MIXTURE
from tsx_espnet.mixing.presence import presence
from tsx_espnet.mixing.render import Rendered
from tsx_espnet.mixing.sampler import Sampler
from tsx_espnet.parts import check_conf
from tsx_espnet.pretrained import mobilenet
from tsx_espnet.training.iterator import MixtureIterFactory
from tsx_espnet.training.options import sampling_rate
from tsx_espnet.training.reliable import ReliableTask
from tsx_espnet.training.trainer import ReliableTrainer

PRESENCE = "presence"
VALID_SEED = 1  # of the validation mixtures, whatever --seed
DRY = {"fs": 8000, "class_list": ["any"]}  # a dry run needs no clips


class ClassifierModel(AbsESPnetModel):
    """A classifier with its loss: the binary cross entropy of every class in every frame.

    The loss is the sum over the classes, and the mean over the frames.
    """

    def __init__(self, classifier: mobilenet.MobileNet):
        super().__init__()
        self.classifier = classifier

    def forward(self, speech_mix: torch.Tensor, presence: torch.Tensor, **batch: torch.Tensor):
        """Loss, statistics and number of mixtures, as ESPnet wants them.

        Shape:
            speech_mix (B, T), presence (B, F, J), F = ceil(T / hop)
        """
        lengths = torch.full((len(speech_mix),), speech_mix.shape[1], device=speech_mix.device)
        logits = self.classifier(speech_mix / level_of(speech_mix, lengths))
        loss = functional.binary_cross_entropy_with_logits(logits, presence, reduction="none")
        loss = loss.sum(dim=2).mean()
        return force_gatherable((loss, {"loss": loss.detach()}, len(speech_mix)), loss.device)

    def collect_feats(self, **batch: torch.Tensor) -> Dict[str, torch.Tensor]:
        """There are none to collect."""
        return {}


class ClassifierTrainer(ReliableTrainer):
    """At the end, the experiment also is a directory of a pretrained network."""

    @classmethod
    def run(
        cls, *, model, trainer_options, distributed_option: DistributedOption, **parts
    ) -> None:
        super().run(
            model=model,
            trainer_options=trainer_options,
            distributed_option=distributed_option,
            **parts,
        )
        if not distributed_option.distributed or distributed_option.dist_rank == 0:
            directory = Path(trainer_options.output_dir)
            load_weights(model, find_model_file(directory))
            mobilenet.save(model.classifier, directory)


class ClassifierTask(ReliableTask):
    """Trains a classifier of sounds on mixtures that are drawn from formatted clips.

    A frame is of every class of which a source sounds in it. The labels are those of the clips:
    with ancestors, if the corpus has them (FSD50K).
    """

    setup = ("network_conf", "class_list", "fs", "mixing_conf")
    trainer = ClassifierTrainer

    @classmethod
    def add_task_arguments(cls, parser: argparse.ArgumentParser) -> None:
        group = parser.add_argument_group(description="Classifier")
        group.add_argument("--train_clips", type=str_or_none, help="formatted clips with labels")
        group.add_argument(
            "--valid_clips",
            type=str_or_none,
            help="formatted clips of which the validation mixtures are made",
        )
        group.add_argument(
            "--mixing_config", type=str_or_none, help="yaml: how mixtures are drawn from them"
        )
        group.add_argument(
            "--network_conf",
            action=NestedDictAction,
            default={},
            help="options of the network: channels",
        )
        group.add_argument(
            "--mixtures_per_epoch", type=int, default=1600, help="training mixtures per epoch"
        )
        group.add_argument("--num_valid", type=int, default=800, help="validation mixtures")
        parser.set_defaults(batch_type="unsorted", num_att_plot=0)

    @classmethod
    def expand_options(cls, args: argparse.Namespace) -> None:
        """Fill in the rate and the labels of the clips, and how they are mixed.

        Raises:
            TSXError: if an option, or a file that it names, is missing or wrong.
        """
        check_at_least(1, mixtures_per_epoch=args.mixtures_per_epoch, num_valid=args.num_valid)
        if args.mixing_config is None:
            raise TSXError("--mixing_config, a yaml of how mixtures are drawn, is missing")
        args.mixing_conf = MixingConfig.from_yaml(args.mixing_config).to_dict()
        if args.dry_run:
            args.fs, args.class_list = DRY["fs"], DRY["class_list"]
            return
        for option in ("train_clips", "valid_clips"):
            directory = getattr(args, option)
            if directory is None:
                raise TSXError(f"--{option} is missing")
            if not Path(directory).is_dir():
                raise TSXError(f"--{option} {directory}: no such directory; run format")
        args.class_list = read_classes(Path(args.train_clips) / "classes.txt")
        args.fs = sampling_rate(args)

    @classmethod
    def build_model(cls, args: argparse.Namespace) -> ClassifierModel:
        network, conf = mobilenet.MobileNet, args.network_conf
        check_conf("network", "mobilenet", network, conf, ["labels", "fs"])
        try:
            return ClassifierModel(network(args.class_list, args.fs, **conf))
        except ValueError as error:
            raise TSXError(f"--network_conf: {error}") from None

    @classmethod
    def build_collate_fn(cls, args: argparse.Namespace, train: bool) -> Callable:
        return CommonCollateFn()

    @classmethod
    def build_preprocess_fn(cls, args: argparse.Namespace, train: bool) -> Callable:
        return _unchanged

    @classmethod
    def required_data_names(cls, train: bool = True, inference: bool = False) -> Tuple[str, ...]:
        return (MIXTURE.name, PRESENCE)

    @classmethod
    def optional_data_names(cls, train: bool = True, inference: bool = False) -> Tuple[str, ...]:
        return ()

    @classmethod
    def build_iter_factory(
        cls,
        args: argparse.Namespace,
        distributed_option: DistributedOption,
        mode: str,
        kwargs: Optional[dict] = None,
    ) -> AbsIterFactory:
        training = mode == "train"
        clips = ClipSet(args.train_clips if training else args.valid_clips, args.class_list)
        fixed = {} if training else {"seed": VALID_SEED, "fixed": True}
        return MixtureIterFactory.of_task(
            Sampler(clips, MixingConfig.from_dict(args.mixing_conf)),
            args,
            cls.build_iter_options(args, distributed_option, mode),
            distributed_option,
            args.mixtures_per_epoch if training else args.num_valid,
            values=functools.partial(
                example_of, classes=args.class_list, hop=mobilenet.hop_of(args.fs)
            ),
            **fixed,
        )


def example_of(rendered: Rendered, classes: Sequence[str], hop: int) -> Dict[str, np.ndarray]:
    """A mixture (T,), and which classes sound in each frame (F, J)."""
    return {MIXTURE.name: rendered.mixture, PRESENCE: presence(rendered, classes, hop)}


def _unchanged(name: str, values: Mapping[str, Any]) -> Mapping[str, Any]:
    return values
