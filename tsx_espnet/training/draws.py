"""Where training mixtures come from: clips, several sets of clips, or the plans of a set."""

import argparse
import dataclasses
from pathlib import Path
from typing import Any, Dict, List, Sequence, Union

from tsx_espnet.checks import Fields, check_at_least
from tsx_espnet.clips.clip_set import ClipSet
from tsx_espnet.clips.clip_tables import is_shipped
from tsx_espnet.errors import TSXError
from tsx_espnet.mixing.config import MixingConfig
from tsx_espnet.mixing.data_table import FURTHER
from tsx_espnet.mixing.mixture_set import PLANS
from tsx_espnet.mixing.plan import Plan, read_plans
from tsx_espnet.mixing.planned import PlannedMixtures
from tsx_espnet.mixing.render import Draws
from tsx_espnet.mixing.sampler import Sampler
from tsx_espnet.mixing.streams import Streams
from tsx_espnet.tables import PathLike, digest, read_yaml
from tsx_espnet.vocabulary import takes_of


@dataclasses.dataclass(frozen=True)
class Stream:
    """An entry of ``--train_streams``.

    Args:
        clips: formatted clips.
        mixing_config: yaml of how they are mixed.
        share: of each batch.
    """

    clips: str
    mixing_config: str
    share: float


def read_streams(path: str) -> List[Stream]:
    """The streams of a yaml list.

    Raises:
        TSXError: naming the file, the stream and the option, if anything else is there.
    """
    where = f"--train_streams {path}"
    if not Path(path).is_file():
        raise TSXError(f"{where}: no such file")
    found = read_yaml(path, where)
    if not isinstance(found, list) or not found:
        raise TSXError(f"{where}: expected a list of {{clips, mixing_config, share}}")
    streams = []
    for number, record in enumerate(found, start=1):
        stream = Fields.of_record(Stream, record, f"{where}: stream {number}")
        for name in ("clips", "mixing_config"):
            stream.text(name)
        stream.number("share", 0.0, 1.0)
        if not Path(stream.values["clips"]).is_dir():
            stream.refuse("clips", "a directory of formatted clips")
        streams.append(Stream(**stream.values))
    return streams


def expand_draw_options(args: argparse.Namespace) -> None:
    """Fill in how mixtures are drawn, as ``config.yaml`` keeps it, and the labels of the clips.

    Sets ``mixing_conf`` for ``--train_clips``, ``stream_confs`` for ``--train_streams`` and
    ``train_plans`` (a digest) for ``--train_mixtures``; the others are None.

    Raises:
        TSXError: if an option, or a file that it names, is missing or wrong.
    """
    check_at_least(1, mixtures_per_epoch=args.mixtures_per_epoch)
    args.mixing_conf = args.stream_confs = args.train_plans = None
    directories = [args.train_clips]
    if args.train_streams is not None:
        streams = read_streams(args.train_streams)
        directories = [stream.clips for stream in streams]
        args.stream_confs = [
            {
                "clips": stream.clips,
                "share": stream.share,
                "mixing_conf": _mixing_conf(args, MixingConfig.from_yaml(stream.mixing_config)),
            }
            for stream in streams
        ]
    elif args.train_mixtures is not None:
        plans = _read_plans(args)
        args.train_plans = digest("".join(plan.to_json() for plan in plans).encode())
        args.mixtures_per_epoch = min(args.mixtures_per_epoch, len(plans))
    else:
        config = MixingConfig.from_yaml(args.mixing_config)
        if args.background_noise is not None:
            config = config.with_noise(args.background_noise)
        if args.interference is not None:
            config = config.with_interference(args.interference)
        args.mixing_conf = _mixing_conf(args, config)
    if args.class_list is None:
        by_index = takes_of(args.conditions).get("class") == "index"
        args.class_list = _class_list(directories, by_index)


def open_draws(args: argparse.Namespace) -> Draws:
    """What training mixtures are drawn from, after ``expand_draw_options``."""
    labels = args.class_list or None
    if args.stream_confs is not None:
        samplers = [
            Sampler(
                ClipSet(stream["clips"], classes=labels),
                MixingConfig.from_dict(stream["mixing_conf"]),
            )
            for stream in args.stream_confs
        ]
        shares = [stream["share"] for stream in args.stream_confs]
        return Streams(list(zip(samplers, shares)), args.batch_size)
    if args.train_plans is not None:
        noise = None if args.background_noise is None else ClipSet(args.background_noise)
        clips = ClipSet(args.train_clips, interference=args.interference)
        return PlannedMixtures(_read_plans(args), clips, noise, remix=args.remix)
    clips = ClipSet(args.train_clips, classes=labels)
    return Sampler(clips, MixingConfig.from_dict(args.mixing_conf))


def wants_all_sources(args: argparse.Namespace) -> bool:
    """Whether batches have all sources of each mixture, as a set with ``write_sources`` has."""
    if args.train_plans is not None:
        mixtures = Path(args.train_mixtures)
        return has_queries(mixtures) or is_shipped(mixtures)
    confs = [args.mixing_conf, *(stream["mixing_conf"] for stream in args.stream_confs or ())]
    return any(conf is not None and conf.get("write_sources", False) for conf in confs)


def has_queries(mixtures: PathLike) -> bool:
    """Whether a mixture set has all sources and queries of its mixtures."""
    return all((Path(mixtures) / row.file).is_file() for row in FURTHER)


def _mixing_conf(args: argparse.Namespace, config: MixingConfig) -> Dict[str, Any]:
    return dataclasses.replace(
        config, class_level=args.class_level, text_variants=args.text_variants
    ).to_dict()


def _read_plans(args: argparse.Namespace) -> List[Plan]:
    path = Path(args.train_mixtures) / PLANS
    plans = read_plans(path)
    if not plans:
        raise TSXError(f"--train_mixtures: {path}: holds no mixture")
    return plans


def _class_list(directories: Sequence[str], needed: bool) -> Union[str, List[str], None]:
    """The file of the labels of the clips, or the labels of several sets; None if there are none.

    Args:
        needed: name the file of a single set even if it is not there.
    """
    files = [Path(directory) / "classes.txt" for directory in directories]
    if len(files) == 1:
        return str(files[0]) if needed or files[0].is_file() else None
    there = [file.read_text(encoding="utf-8").split() for file in files if file.is_file()]
    return sorted({label for labels in there for label in labels}) or None
