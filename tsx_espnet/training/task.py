"""Target sound extraction as an ESPnet task."""

import argparse
import functools
from typing import Any, Callable, Dict, Iterable, List, Optional, Tuple

import torch
from espnet2.iterators.abs_iter_factory import AbsIterFactory
from espnet2.tasks.enh import decoder_choices, encoder_choices
from espnet2.tasks.enh_tse import extractor_choices
from espnet2.torch_utils.initialize import initialize
from espnet2.train.class_choices import ClassChoices
from espnet2.train.distributed_utils import DistributedOption

from tsx_espnet import parts
from tsx_espnet.build import build_model
from tsx_espnet.errors import TSXError
from tsx_espnet.experiment import SETUP
from tsx_espnet.mixing.data_table import FURTHER, MIXTURE, TARGET, data_names
from tsx_espnet.model import ESPnetTSXModel
from tsx_espnet.objective.abs_objective import AbsObjective
from tsx_espnet.pretrained.frozen import pretrained_kept
from tsx_espnet.training.draws import open_draws, wants_all_sources
from tsx_espnet.training.examples import Collate, TSXPreprocessor, values_of
from tsx_espnet.training.frozen_parts import keep_frozen_parts, read_vocabulary
from tsx_espnet.training.iterator import MixtureIterFactory
from tsx_espnet.training.options import (
    add_data_options,
    add_model_options,
    add_optimizer_options,
    check_optimizer_options,
    expand_data_options,
)
from tsx_espnet.training.reliable import ReliableTask
from tsx_espnet.vocabulary import kind_of

parts.register()


def choices_of(kind: str, base: type, default: Optional[str] = None) -> ClassChoices:
    """Our table of a kind of parts, as one of ESPnet's."""
    classes = {name: parts.load(path) for name, path in parts.OURS[kind].items()}
    return ClassChoices(kind, classes, base, default)


def split_groups(
    optimizer: torch.optim.Optimizer, parameters: Iterable[torch.nn.Parameter], scale: float
) -> None:
    """Put ``parameters`` into groups of their own, after the others, with ``scale`` times the
    learning rate. Schedulers multiply the learning rates of all groups."""
    own = {id(parameter) for parameter in parameters}
    for group in list(optimizer.param_groups):
        parts = [
            [p for p in group["params"] if (id(p) in own) == chosen] for chosen in (False, True)
        ]
        if all(parts):
            group["params"], chosen = parts
            optimizer.add_param_group({**group, "params": chosen, "lr": scale * group["lr"]})
        elif parts[1]:
            group["lr"] *= scale


class TSXTask(ReliableTask):
    """Trains ``ESPnetTSXModel`` on mixtures drawn on the fly, or on a fixed mixture set."""

    class_choices_list = [
        encoder_choices,
        extractor_choices,
        decoder_choices,
        choices_of("objective", AbsObjective, default="oct"),
        choices_of("refiner", torch.nn.Module),
    ]
    setup = SETUP

    @classmethod
    def add_task_arguments(cls, parser: argparse.ArgumentParser) -> None:
        model = add_model_options(parser)
        add_data_options(parser)
        add_optimizer_options(parser)
        for choices in cls.class_choices_list:
            choices.add_arguments(model)
        # mixtures have one length, so batches need no sorting; a condition may apply to no mixture
        # of a batch, which leaves its parameters without gradient; ESPnet plots the weights of its
        # own attentions, and only of batches with one row a mixture
        parser.set_defaults(
            batch_type="unsorted",
            unused_parameters=True,
            num_att_plot=0,
            encoder="conv",
            decoder="conv",
            extractor="sudormrf",
        )

    @classmethod
    def get_default_config(cls) -> Dict[str, Any]:
        config = super().get_default_config()
        for given in ("condition_dim", "further_dim"):  # by --embedding_dim and --later
            config["extractor_conf"].pop(given, None)
        return config

    @classmethod
    def check_required_command_args(cls, args: argparse.Namespace) -> None:
        """As in ``ReliableTask``."""
        if args.refiner is None:
            args.refiner_conf = {}  # sizes in --config are for methods that have a refiner
        check_optimizer_options(args)
        super().check_required_command_args(args)

    @classmethod
    def expand_options(cls, args: argparse.Namespace) -> None:
        expand_data_options(args)
        keep_frozen_parts(args)

    @classmethod
    def build_collate_fn(cls, args: argparse.Namespace, train: bool) -> Callable:
        return Collate()

    @classmethod
    def build_preprocess_fn(cls, args: argparse.Namespace, train: bool) -> Optional[Callable]:
        kinds = {name: kind_of(name, conf) for name, conf in args.conditions.items()}
        heard = {name for name, kind in kinds.items() if parts.find("conditioner", kind).hears}
        queried = [name for name in kinds if name not in heard]
        return TSXPreprocessor(train, queried, read_vocabulary(args))

    @classmethod
    def required_data_names(cls, train: bool = True, inference: bool = False) -> Tuple[str, ...]:
        return (MIXTURE.name,)  # and see check_task_requirements

    @classmethod
    def optional_data_names(cls, train: bool = True, inference: bool = False) -> Tuple[str, ...]:
        required = data_names(required=True, inference=inference)
        others = tuple(name for name in required if name != MIXTURE.name)
        return (*others, *data_names(required=False, inference=inference))

    @classmethod
    def check_task_requirements(
        cls, dataset, allow_variable_data_keys: bool, train: bool, inference: bool = False
    ) -> None:
        """As ESPnet's, and there must be the target of each mixture, or its sources and queries."""
        super().check_task_requirements(dataset, allow_variable_data_keys, train, inference)
        queried = all(dataset.has_name(row.name) for row in FURTHER)
        if not (inference or queried or dataset.has_name(TARGET.name)):
            raise TSXError(
                f"--{'train' if train else 'valid'}_data_path_and_name_and_type: expected a row "
                f"named {TARGET.name}, or {' and '.join(row.name for row in FURTHER)}; found "
                f"{', '.join(dataset.names())}"
            )

    @classmethod
    def build_model(cls, args: argparse.Namespace) -> ESPnetTSXModel:
        vocabulary = read_vocabulary(args)
        args.class_list = list(vocabulary.classes)
        model = build_model(vars(args), vocabulary)
        if args.init is not None:
            with pretrained_kept(model):
                initialize(model, args.init)
        return model

    @classmethod
    def build_optimizers(
        cls, args: argparse.Namespace, model: torch.nn.Module
    ) -> List[torch.optim.Optimizer]:
        """ESPnet's; the refiner is a group of its own if it has a learning rate of its own."""
        optimizers = super().build_optimizers(args, model)
        if args.refiner_lr_scale != 1:
            for optimizer in optimizers:
                split_groups(optimizer, model.refiner.parameters(), args.refiner_lr_scale)
        return optimizers

    @classmethod
    def build_iter_factory(
        cls,
        args: argparse.Namespace,
        distributed_option: DistributedOption,
        mode: str,
        kwargs: Optional[dict] = None,
    ) -> AbsIterFactory:
        if mode != "train" or (args.train_clips is None and args.train_streams is None):
            return super().build_iter_factory(args, distributed_option, mode, kwargs)
        return MixtureIterFactory.of_task(
            open_draws(args),
            args,
            cls.build_iter_options(args, distributed_option, mode),
            distributed_option,
            args.mixtures_per_epoch,
            values=functools.partial(values_of, all_sources=wants_all_sources(args)),
        )
