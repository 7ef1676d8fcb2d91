"""The parser of a task: options from the command line and from two yaml files, checked."""

import argparse
import re
from pathlib import Path
from typing import Any, Dict, Optional, Sequence

from espnet2.utils import config_argparse

from tsx_espnet.checks import Fields
from tsx_espnet.cli import no_option
from tsx_espnet.errors import TSXError
from tsx_espnet.tables import read_yaml


class OptionParser(config_argparse.ArgumentParser):
    """ESPnet's parser with a second yaml, ``--method_config``, that overrides ``--config``.

    One yaml has the sizes and the schedule, the other the method (objective, conditions); any two
    of them make an experiment. Of a part that only the method names, both may have options (sizes
    in the one, say ``refiner_conf``, variants in the other). A mistake ends in one line that names
    the nearest option, instead of ESPnet's usage message.
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
        super().set_defaults(**{**options, **self.method, **self._shared(options)})

    def _shared(self, options: Dict[str, Any]) -> Dict[str, Any]:
        """``<part>_conf`` -> the options of both files, of parts that only the method names."""
        parts = [name for name in self.method if name not in options]
        confs = {
            f"{name}_conf": (options.get(f"{name}_conf"), self.method.get(f"{name}_conf"))
            for name in parts
        }
        return {
            name: {**both[0], **both[1]}
            for name, both in confs.items()
            if all(isinstance(conf, dict) for conf in both)
        }

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
