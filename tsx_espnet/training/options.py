"""The options of our task, and their checks."""

import argparse
import dataclasses
import re
from pathlib import Path
from typing import Any, Dict, Optional, Sequence

import soundfile
from espnet2.utils import config_argparse
from espnet2.utils.nested_dict_action import NestedDictAction
from espnet2.utils.types import int_or_none, str2bool, str_or_none

from tsx_espnet.checks import Fields, check_at_least
from tsx_espnet.cli import no_option
from tsx_espnet.errors import TSXError
from tsx_espnet.layers.consistency import KINDS
from tsx_espnet.mixing.config import CLASS_LEVELS, MixingConfig
from tsx_espnet.mixing.mixture_set import MIXTURE, path_name_type
from tsx_espnet.tables import read_table, read_yaml

DEFAULT_CONDITIONS = ("energy", "harmonicity", "order", "text")


class OptionParser(config_argparse.ArgumentParser):
    """ESPnet's parser with a second yaml, ``--method_config``, that overrides ``--config``.

    One yaml has the sizes and the schedule, the other the method (objective, conditions); any two
    of them make an experiment. A mistake ends in one line that names the nearest option, instead of
    ESPnet's usage message.
    """

    method: Dict[str, Any] = {}

    def error(self, message: str) -> None:
        """Raises: TSXError: always; argparse calls this for any mistake on the command line."""
        unknown = re.fullmatch(r"unrecognized arguments: (.*)", message)
        if unknown:
            words = unknown[1].split()
            options = [word.partition("=")[0] for word in words if word.startswith("--")]
            message = f"expected an option, found {words[0]!r}"
            if options:
                message = self._unknown(options[0])
        raise TSXError(message)

    def parse_known_args(self, args: Optional[Sequence[str]] = None, namespace=None):
        early = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
        early.error = self.error
        early.add_argument("--config")
        early.add_argument("--method_config")
        given = early.parse_known_args(args)[0]
        if given.config is not None:
            self._read("--config", given.config)
        if given.method_config is not None:
            self.method = self._read("--method_config", given.method_config)
            self.set_defaults()
        return super().parse_known_args(args, namespace)

    def set_defaults(self, **options: Any) -> None:
        """Called by ESPnet with the options of ``--config``."""
        super().set_defaults(**{**options, **self.method})

    def _read(self, option: str, path: str) -> Dict[str, Any]:
        """The options of a yaml, checked."""
        where = f"{option} {path}"
        if not Path(path).is_file():
            raise TSXError(f"{where}: no such file")
        options = read_yaml(Path(path), where)
        if not isinstance(options, dict):
            raise TSXError(f"{where}: expected 'option: value' lines")
        actions = {action.dest: action for action in self._actions}
        fields = Fields(options, where)
        for name in options:
            if name not in actions:
                raise TSXError(f"{where}: {self._unknown(str(name))}")
            _check_value(fields, actions[name])
        return options

    def _unknown(self, option: str) -> str:
        known = [name for action in self._actions for name in action.option_strings]
        if not option.startswith("--"):  # of a yaml
            known = [name.lstrip("-") for name in known]
        return no_option(option, known, "--help_all")


def _check_value(fields: Fields, action: argparse.Action) -> None:
    """Check a value from a yaml; argparse checks strings only."""
    value = fields.values[action.dest]
    if action.choices:
        converted = action.type(value) if action.type and isinstance(value, str) else value
        if converted is not None and converted not in action.choices:
            fields.refuse(action.dest, f"one of {', '.join(map(str, action.choices))}")
    elif type(action.default) in (int, float) and not isinstance(value, (str, int, float)):
        fields.refuse(action.dest, "a number")


def add_model_options(parser: argparse.ArgumentParser) -> argparse._ArgumentGroup:
    """The model; its parts are chosen from tables, see ``TSXTask``."""
    group = parser.add_argument_group(description="Model related")
    group.add_argument(
        "--method_config",
        help="yaml of a training method: conditions, objective, refiner; overrides --config",
    )
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
        "(default: classes.txt of --train_clips, if it has labels)",
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
        "--mixtures_per_epoch", type=int, default=20000, help="training mixtures per epoch"
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


def expand_data_options(args: argparse.Namespace) -> None:
    """Fill ESPnet's data options from ours, and check that the files exist.

    Raises:
        TSXError: if an option, or a file it names, is missing.
    """
    _check_sources(args)
    if args.train_clips is not None:
        config = MixingConfig.from_yaml(args.mixing_config)
        if args.background_noise is not None:
            config = config.with_noise(args.background_noise)
        if args.interference is not None:
            config = config.with_interference(args.interference)
        args.mixing_conf = dataclasses.replace(
            config, class_level=args.class_level, text_variants=args.text_variants
        ).to_dict()
        classes = Path(args.train_clips) / "classes.txt"
        if args.class_list is None and classes.is_file():
            args.class_list = str(classes)
        elif args.class_list is None and "class" in args.conditions and not args.dry_run:
            raise TSXError(f"condition class: expected labels of --train_clips, found no {classes}")
    if args.valid_mixtures is not None:
        args.valid_data_path_and_name_and_type = path_name_type(
            args.valid_mixtures, tuple(args.conditions)
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
    for ours, mode in (("train_clips", "train"), ("valid_mixtures", "valid")):
        theirs = f"{mode}_data_path_and_name_and_type"
        given, paths = getattr(args, ours), getattr(args, theirs)
        if given is not None and paths:
            raise TSXError(f"--{ours} and --{theirs} exclude each other")
        if given is None and not paths and not args.dry_run:
            raise TSXError(f"--{ours} is missing (or --{theirs})")
        for path in [row[0] for row in paths] + getattr(args, f"{mode}_shape_file"):
            if not Path(path).exists():
                raise TSXError(f"--{theirs}: {path}: no such file")
    if args.train_clips is not None:
        clips = Path(args.train_clips)
        if not clips.is_dir():
            raise TSXError(f"--train_clips {clips}: no such directory; run format")
        if args.mixing_config is None:
            raise TSXError("--train_clips needs --mixing_config, a yaml of how mixtures are drawn")
        check_at_least(1, mixtures_per_epoch=args.mixtures_per_epoch)
    else:
        for option in ("background_noise", "interference"):
            if getattr(args, option) is not None:
                raise TSXError(f"--{option} is for mixtures of --train_clips, which is missing")
    if args.valid_mixtures is not None:
        mixtures = Path(args.valid_mixtures) / MIXTURE.file
        if not mixtures.is_file():
            raise TSXError(f"--valid_mixtures: {mixtures}: no such file; run mix")
        for path, _, _ in path_name_type(args.valid_mixtures, tuple(args.conditions)):
            if not Path(path).is_file():
                raise TSXError(f"--valid_mixtures: {path}: no such file; run mix again")
        for name, path in read_table(mixtures).items():
            if not Path(path).is_file():
                raise TSXError(f"{mixtures}: {name}: no such file {path}; run mix again")


def sampling_rate(args: argparse.Namespace) -> Optional[int]:
    """The rate of the training data in Hz; None if there is none (a dry run)."""
    if args.train_clips is not None:
        table = Path(args.train_clips) / "wav.scp"
    elif args.train_data_path_and_name_and_type:
        table = Path(args.train_data_path_and_name_and_type[0][0])
    else:
        return None
    first = next(iter(read_table(table).values()), None)
    if first is None:
        raise TSXError(f"{table}: empty")
    return soundfile.info(first).samplerate
