"""Target sound extraction as an ESPnet task."""

import argparse
import dataclasses
from pathlib import Path
from typing import Callable, Collection, Dict, List, Optional, Tuple

import numpy as np
import soundfile
import torch
from espnet2.iterators.abs_iter_factory import AbsIterFactory
from espnet2.tasks.abs_task import AbsTask, IteratorOptions
from espnet2.tasks.enh import decoder_choices, encoder_choices
from espnet2.tasks.enh_tse import extractor_choices
from espnet2.torch_utils.initialize import initialize
from espnet2.train.class_choices import ClassChoices
from espnet2.train.collate_fn import CommonCollateFn
from espnet2.train.distributed_utils import DistributedOption
from espnet2.utils.nested_dict_action import NestedDictAction
from espnet2.utils.types import int_or_none, str2bool, str_or_none

from tsx_espnet import plugin
from tsx_espnet.build import build_model
from tsx_espnet.contract import MIXTURE, data_names, path_name_type
from tsx_espnet.error import TSXError
from tsx_espnet.experiment import TEXT_TABLE
from tsx_espnet.files import read_table
from tsx_espnet.layers.consistency import KINDS
from tsx_espnet.mixing.config import CLASS_LEVELS, MixingConfig
from tsx_espnet.mixing.iterator import MixtureIterFactory
from tsx_espnet.mixing.sampler import Sampler
from tsx_espnet.mixing.sources import ClipSet
from tsx_espnet.model import ESPnetTSXModel
from tsx_espnet.objective.abs_objective import AbsObjective
from tsx_espnet.preprocessor import TSXPreprocessor
from tsx_espnet.text.table import TextTable
from tsx_espnet.trainer import TSXTrainer
from tsx_espnet.vocabulary import Vocabulary

plugin.register()

objective_choices = ClassChoices(
    name="objective",
    classes={name: plugin.load(path) for name, path in plugin.OURS["objective"].items()},
    type_check=AbsObjective,
    default="oct",
)


class TSXTask(AbsTask):
    """Trains ``ESPnetTSXModel`` on mixtures drawn on the fly, or on a fixed mixture set."""

    num_optimizers: int = 1
    class_choices_list = [encoder_choices, extractor_choices, decoder_choices, objective_choices]
    trainer = TSXTrainer

    @classmethod
    def add_task_arguments(cls, parser: argparse.ArgumentParser) -> None:
        model = parser.add_argument_group(description="Model related")
        model.add_argument("--init", type=str_or_none, default=None, help="see ESPnet's enh task")
        model.add_argument(
            "--conditions",
            action=NestedDictAction,
            default={name: {} for name in ("energy", "harmonicity", "order", "text")},
            help="the conditions of the model: name -> {conditioner: ..., options}",
        )
        model.add_argument("--embedding_dim", type=int, default=128, help="size of all conditions")
        model.add_argument(
            "--consistency",
            type=str_or_none,
            default="uniform",
            choices=[*KINDS, None],
            help="mixture consistency: how the estimates share what they miss of the mixture",
        )
        model.add_argument(
            "--criterions",
            action=NestedDictAction,
            default=[{"name": "si_sdr", "conf": {}, "wrapper": "fixed_order", "wrapper_conf": {}}],
            help="the distance D, as in ESPnet's enh task",
        )
        model.add_argument(
            "--class_list",
            type=str_or_none,
            default=None,
            help="file with the labels of the class condition, one a line "
            "(default: classes.txt of --train_clips)",
        )
        model.add_argument(
            "--text_embeddings",
            type=str_or_none,
            default=None,
            help="table of text vectors; it is copied into the experiment",
        )
        data = parser.add_argument_group(description="Mixtures")
        data.add_argument(
            "--train_clips",
            type=str_or_none,
            default=None,
            help="formatted clips: training mixtures are drawn from them on the fly "
            "(instead of --train_data_path_and_name_and_type)",
        )
        data.add_argument(
            "--mixing_config", type=str_or_none, default=None, help="yaml: how mixtures are drawn"
        )
        data.add_argument(
            "--class_level",
            default="any",
            choices=CLASS_LEVELS,
            help="training mixtures: the most specific label of the target, or any of its labels",
        )
        data.add_argument(
            "--text_variants",
            type=str2bool,
            default=True,
            help="training mixtures: ask by synonyms and captions too",
        )
        data.add_argument(
            "--mixtures_per_epoch", type=int, default=20000, help="training mixtures an epoch"
        )
        data.add_argument(
            "--fs",
            type=int_or_none,
            default=None,
            help="sampling rate in Hz (default: that of the training data)",
        )
        data.add_argument(
            "--valid_mixtures",
            type=str_or_none,
            default=None,
            help="a mixture set (instead of --valid_data_path_and_name_and_type)",
        )
        for choices in cls.class_choices_list:
            choices.add_arguments(model)
        # mixtures have one length, so batches need no sorting; a batch need not hold a value of
        # every condition, so some parameters may be without gradient
        parser.set_defaults(
            batch_type="unsorted",
            unused_parameters=True,
            encoder="conv",
            decoder="conv",
            extractor="sudormrf",
        )

    @classmethod
    def main_worker(cls, args: argparse.Namespace) -> None:
        expand_data_options(args)
        super().main_worker(args)

    @classmethod
    def build_collate_fn(
        cls, args: argparse.Namespace, train: bool
    ) -> Callable[
        [Collection[Tuple[str, Dict[str, np.ndarray]]]],
        Tuple[List[str], Dict[str, torch.Tensor]],
    ]:
        return CommonCollateFn(float_pad_value=0.0, int_pad_value=0)

    @classmethod
    def build_preprocess_fn(cls, args: argparse.Namespace, train: bool) -> Optional[Callable]:
        return TSXPreprocessor(train, tuple(args.conditions), read_vocabulary(args))

    @classmethod
    def required_data_names(
        cls, train: bool = True, inference: bool = False
    ) -> Tuple[str, ...]:
        return data_names(required=True, inference=inference)

    @classmethod
    def optional_data_names(
        cls, train: bool = True, inference: bool = False
    ) -> Tuple[str, ...]:
        return data_names(required=False, inference=inference)

    @classmethod
    def build_model(cls, args: argparse.Namespace) -> ESPnetTSXModel:
        vocabulary = read_vocabulary(args)
        args.class_list = list(vocabulary.classes)
        model = build_model(vars(args), vocabulary)
        if args.init is not None:
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
        return MixtureIterFactory(
            Sampler(
                ClipSet(args.train_clips, classes=args.class_list or None),
                MixingConfig.from_dict(args.mixing_conf),
            ),
            options.preprocess_fn,
            options.collate_fn,
            num_mixtures=args.mixtures_per_epoch,
            batch_size=options.batch_size,
            seed=args.seed,
            num_workers=args.num_workers,
            rank=(distributed_option.dist_rank or 0) if world_size else 0,
            world_size=world_size or 1,
            num_iters_per_epoch=options.num_iters_per_epoch,
            pin_memory=args.ngpu > 0,
        )


def expand_data_options(args: argparse.Namespace) -> None:
    """Fill ESPnet's data options from ours, and check that what they name is there.

    Raises:
        TSXError: if an option, or a file it names, is missing.
    """
    if args.train_clips is not None:
        if args.mixing_config is None:
            raise TSXError("--train_clips needs --mixing_config, a yaml of how mixtures are drawn")
        config = MixingConfig.from_yaml(args.mixing_config)
        args.mixing_conf = dataclasses.replace(
            config, class_level=args.class_level, text_variants=args.text_variants
        ).to_dict()
        if args.class_list is None:
            args.class_list = str(Path(args.train_clips) / "classes.txt")
    if args.valid_mixtures is not None:
        mixtures = Path(args.valid_mixtures) / MIXTURE.file
        if not mixtures.is_file():
            raise TSXError(f"--valid_mixtures: {mixtures}: no such file (stage 3 makes it)")
        args.valid_data_path_and_name_and_type = path_name_type(
            args.valid_mixtures, tuple(args.conditions)
        )
        args.valid_shape_file = [str(mixtures)]
    if args.fs is None:
        args.fs = sampling_rate(args)
    if args.text_embeddings is not None and not args.dry_run:
        table = Path(args.output_dir) / TEXT_TABLE
        if Path(args.text_embeddings) != table:
            TextTable.read(args.text_embeddings).write(table)
            args.text_embeddings = str(table)


def sampling_rate(args: argparse.Namespace) -> Optional[int]:
    """The rate of the training data in Hz; None if there is none (a dry run)."""
    table = None
    if args.train_clips is not None:
        table = Path(args.train_clips) / "wav.scp"
    elif args.train_data_path_and_name_and_type:
        table = Path(args.train_data_path_and_name_and_type[0][0])
    if table is None:
        return None
    first = next(iter(read_table(table).values()), None)
    if first is None:
        raise TSXError(f"{table}: empty")
    return soundfile.info(first).samplerate


def read_vocabulary(args: argparse.Namespace) -> Vocabulary:
    """The values of the model's conditions, from the files or lists of the configuration."""
    classes = args.class_list
    if isinstance(classes, str):
        path = Path(classes)
        if not path.is_file():
            raise TSXError(f"--class_list {path}: no such file (stage 2 makes it)")
        classes = path.read_text(encoding="utf-8").split()
    table = None
    if "text" in args.conditions and args.text_embeddings is not None:
        table = TextTable.read(args.text_embeddings)
    return Vocabulary(classes or (), table)
