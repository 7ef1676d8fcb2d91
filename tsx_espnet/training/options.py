"""The options of our task, and their checks."""

import argparse
from pathlib import Path
from typing import Optional

import soundfile
from espnet2.utils.nested_dict_action import NestedDictAction
from espnet2.utils.types import int_or_none, str2bool, str_or_none

from tsx_espnet.errors import TSXError
from tsx_espnet.layers.consistency import KINDS
from tsx_espnet.mixing.config import CLASS_LEVELS
from tsx_espnet.mixing.data_table import MIXTURE, path_name_type
from tsx_espnet.tables import read_table
from tsx_espnet.training.draws import expand_draw_options, has_queries

# these schedulers set the learning rate of every parameter to their own
OWN_RATES = ("cycliclr", "onecyclelr")

DEFAULT_CONDITIONS = ("energy", "harmonicity", "order", "text")


def add_model_options(parser: argparse.ArgumentParser) -> argparse._ArgumentGroup:
    """The model; its parts are chosen from tables, see ``TSXTask``."""
    group = parser.add_argument_group(description="Model related")
    group.add_argument("--init", type=str_or_none, help="see ESPnet's enh task")
    group.add_argument(
        "--conditions",
        action=NestedDictAction,
        default={name: {} for name in DEFAULT_CONDITIONS},
        help="conditions of the model: name -> {conditioner: ..., options}",
    )
    group.add_argument(
        "--conditioner_conf",
        action=NestedDictAction,
        default={},
        help="options of conditioners that --conditions does not give: kind -> {option: value}",
    )
    group.add_argument("--embedding_dim", type=int, default=128, help="size of the embeddings")
    group.add_argument(
        "--consistency",
        type=str_or_none,
        default="uniform",
        choices=[*KINDS, None],
        help="mixture consistency: how the residual is shared among the estimates",
    )
    group.add_argument(
        "--criterions",
        action=NestedDictAction,
        default=[{"name": "si_sdr", "conf": {}, "wrapper": "fixed_order", "wrapper_conf": {}}],
        help="the distance D, as in ESPnet's enh task",
    )
    group.add_argument(
        "--mixture_criterions",
        action=NestedDictAction,
        default=[],
        help="the distance of the sum of the outputs from the mixture, in the form of --criterions",
    )
    group.add_argument(
        "--later",
        action=NestedDictAction,
        default=[],
        help="further passes over the mixture and the estimates of the one before: "
        "[{option of the first: other value}]",
    )
    group.add_argument(
        "--class_list",
        type=str_or_none,
        help="file with the labels of the class condition, one per line "
        "(default: classes.txt of --train_clips, if it has labels, or those of --train_streams "
        "together)",
    )
    group.add_argument(
        "--text_embeddings",
        type=str_or_none,
        help="table of text vectors; copied into the experiment",
    )
    group.add_argument(
        "--pretrained",
        action=NestedDictAction,
        default={},
        help="networks that parts name by an option 'pretrained': {name: DIR}; copied into the "
        "experiment",
    )
    return group


def add_data_options(parser: argparse.ArgumentParser) -> None:
    """Where mixtures come from."""
    group = parser.add_argument_group(description="Mixtures")
    group.add_argument(
        "--train_clips",
        type=str_or_none,
        help="formatted clips: training mixtures are drawn from them on the fly "
        "(instead of --train_data_path_and_name_and_type)",
    )
    group.add_argument("--mixing_config", type=str_or_none, help="yaml: how mixtures are drawn")
    group.add_argument(
        "--train_mixtures",
        type=str_or_none,
        help="a mixture set, or mixtures as shipped: its plans are mixed again from --train_clips, "
        "in another order in each epoch (instead of --mixing_config)",
    )
    group.add_argument(
        "--remix",
        type=str2bool,
        default=False,
        help="in each epoch, exchange the first sources (FUSS: backgrounds) of the mixtures of "
        "--train_mixtures",
    )
    group.add_argument(
        "--train_streams",
        type=str_or_none,
        help="yaml: a list of {clips, mixing_config, share}, of which each batch gets fixed shares "
        "(instead of --train_clips)",
    )
    group.add_argument(
        "--background_noise",
        type=str_or_none,
        help="formatted noise for the background of training mixtures (default: the "
        "--mixing_config's)",
    )
    group.add_argument(
        "--interference",
        type=str_or_none,
        help="formatted clips: all sources of training mixtures but the target are drawn from them "
        "(default: the --mixing_config's, or --train_clips)",
    )
    group.add_argument(
        "--class_level",
        default="any",
        choices=CLASS_LEVELS,
        help="training mixtures: the most specific label of the target, or any of its labels",
    )
    group.add_argument(
        "--text_variants",
        type=str2bool,
        default=True,
        help="training mixtures: query by synonyms and captions too",
    )
    group.add_argument(
        "--mixtures_per_epoch",
        type=int,
        default=20000,
        help="training mixtures per epoch, at most those of --train_mixtures",
    )
    group.add_argument(
        "--fs",
        type=int_or_none,
        help="sampling rate in Hz (default: that of the training data)",
    )
    group.add_argument(
        "--valid_mixtures",
        type=str_or_none,
        help="a mixture set (instead of --valid_data_path_and_name_and_type)",
    )


def add_optimizer_options(parser: argparse.ArgumentParser) -> None:
    """Beside ESPnet's ``--optim`` and ``--optim_conf``."""
    parser.add_argument(
        "--refiner_lr_scale",
        type=float,
        default=1.0,
        help="learning rate of the refiner, relative to that of the other parts",
    )


def check_optimizer_options(args: argparse.Namespace) -> None:
    """Raise ``TSXError`` if the refiner cannot have the learning rate that it is given."""
    scale = args.refiner_lr_scale
    if not 0 < scale < float("inf"):
        raise TSXError(f"--refiner_lr_scale: expected a number above 0, found {scale:g}")
    if scale == 1:
        return
    if args.refiner is None:
        raise TSXError(f"--refiner_lr_scale {scale:g}: expected a --refiner, found none")
    if args.scheduler in OWN_RATES:
        raise TSXError(
            f"--refiner_lr_scale {scale:g}: expected a scheduler that scales the learning rate of "
            f"--optim_conf, found --scheduler {args.scheduler}, which sets its own"
        )


def expand_data_options(args: argparse.Namespace) -> None:
    """Fill ESPnet's data options from ours, and check that the files exist.

    Raises:
        TSXError: if an option, or a file it names, is missing.
    """
    _check_sources(args)
    if args.train_clips is not None or args.train_streams is not None:
        expand_draw_options(args)
    if args.valid_mixtures is not None:
        args.valid_data_path_and_name_and_type = path_name_type(
            args.valid_mixtures, tuple(args.conditions), has_queries(args.valid_mixtures)
        )
        args.valid_shape_file = [str(Path(args.valid_mixtures) / MIXTURE.file)]
    if args.fs is None:
        args.fs = sampling_rate(args)
    if args.fs is not None and args.valid_mixtures is not None:
        first = next(iter(read_table(Path(args.valid_mixtures) / MIXTURE.file).values()))
        found = soundfile.info(first).samplerate
        if found != args.fs:
            raise TSXError(
                f"--valid_mixtures {args.valid_mixtures}: expected {args.fs} Hz as for training, "
                f"found {found} Hz"
            )


def _check_sources(args: argparse.Namespace) -> None:
    """Check that there is one source of mixtures for training, and one for validation."""
    for mode, ours in (("train", ("train_clips", "train_streams")), ("valid", ("valid_mixtures",))):
        options = (*ours, f"{mode}_data_path_and_name_and_type")
        given = [f"--{option}" for option in options if getattr(args, option)]
        if len(given) > 1:
            raise TSXError(f"{given[0]} and {given[1]} exclude each other")
        if not given and not args.dry_run:
            others = " or ".join(f"--{option}" for option in options[1:])
            raise TSXError(f"--{options[0]} is missing (or {others})")
    if args.train_clips is not None:
        clips = Path(args.train_clips)
        if not clips.is_dir():
            raise TSXError(f"--train_clips {clips}: no such directory; run format")
        if args.mixing_config is None and args.train_mixtures is None:
            raise TSXError("--train_clips needs --mixing_config, a yaml of how mixtures are drawn")
        if args.mixing_config is not None and args.train_mixtures is not None:
            raise TSXError("--mixing_config and --train_mixtures exclude each other")
    for option in ("background_noise", "interference", "train_mixtures"):
        if args.train_clips is None and getattr(args, option) is not None:
            raise TSXError(f"--{option} is for mixtures of --train_clips, which is missing")
    if args.remix and args.train_mixtures is None:
        raise TSXError("--remix is for --train_mixtures, which is missing")
    if args.valid_mixtures is not None:
        mixtures = Path(args.valid_mixtures) / MIXTURE.file
        if not mixtures.is_file():
            raise TSXError(f"--valid_mixtures: {mixtures}: no such file; run mix")
        queries = has_queries(args.valid_mixtures)
        for path, _, _ in path_name_type(args.valid_mixtures, tuple(args.conditions), queries):
            if not Path(path).is_file():
                raise TSXError(f"--valid_mixtures: {path}: no such file; run mix again")
        for name, path in read_table(mixtures).items():
            if not Path(path).is_file():
                raise TSXError(f"{mixtures}: {name}: no such file {path}; run mix again")


def sampling_rate(args: argparse.Namespace) -> Optional[int]:
    """The rate of the training data in Hz; None if there is none (a dry run)."""
    if args.train_clips is not None:
        table = Path(args.train_clips) / "wav.scp"
    elif args.train_streams is not None:
        table = Path(args.stream_confs[0]["clips"]) / "wav.scp"
    elif args.train_data_path_and_name_and_type:
        table = Path(args.train_data_path_and_name_and_type[0][0])
    else:
        return None
    first = next(iter(read_table(table).values()), None)
    if first is None:
        raise TSXError(f"{table}: empty")
    return soundfile.info(first).samplerate
