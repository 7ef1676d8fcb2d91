"""Train a target sound extractor: ESPnet's training command for our task."""

import sys
from typing import Any, Dict, Iterator, List, Optional, Sequence

from tsx_espnet.cli import CommandParser
from tsx_espnet.errors import TSXError, run_command
from tsx_espnet.parts import quiet_imports
from tsx_espnet.tables import read_yaml

HELP = """usage: python -m tsx_espnet.bin.train --config conf/train.yaml
         --method_config conf/method_oct.yaml --output_dir exp/NAME
         --train_clips DIR --mixing_config FILE --valid_mixtures DIR [--text_embeddings FILE] ...

Train a target sound extractor. Every option of ESPnet's training commands works here:
  --help_all          lists them, with ours (takes some seconds)
  --print_config      prints the configuration and stops
  --print_conditions  prints what --config and --method_config have a model queried by, and stops
  --print_takes       prints what its conditioners take: index, vector, tokens, samples, and stops
  --print_pretrained  prints the names of the networks that its parts need, and stops
  --print_passes      prints the numbers of its passes: 1, and those of --later; and stops
  --dry_run true      builds the model and stops
"""


def conditions_of(argv: Sequence[str]) -> Dict[str, Any]:
    """The conditions, with their options, that ``--method_config``, or else ``--config``, gives.

    Read from the yaml alone, without ESPnet's imports, as recipes ask before several stages.

    Raises:
        TSXError: for another option, or a file that cannot be read.
    """
    for path, options in read_configs(argv).items():
        conditions = options.get("conditions") if isinstance(options, dict) else None
        if isinstance(conditions, dict):
            return conditions
        if not isinstance(options, dict) or "conditions" in options:
            raise TSXError(f"{path}: expected 'conditions: {{name: options, ...}}'")
    from tsx_espnet.training.options import DEFAULT_CONDITIONS

    return {name: {} for name in DEFAULT_CONDITIONS}


def networks_of(argv: Sequence[str]) -> List[str]:
    """The names of the networks of ``--pretrained`` that parts of the model need, sorted.

    Raises:
        TSXError: as ``conditions_of``.
    """
    options = options_of(argv)
    options.pop("pretrained", None)  # where they are, not who needs them
    return sorted(set(_named("pretrained", options)))


def options_of(argv: Sequence[str]) -> Dict[str, Any]:
    """What ``--method_config``, or else ``--config``, says of each option.

    Raises:
        TSXError: as ``conditions_of``.
    """
    conditions_of(argv)  # refuses files that are no configurations
    options: Dict[str, Any] = {}
    for found in read_configs(argv).values():
        options = {**found, **options}
    return options


def read_configs(argv: Sequence[str]) -> Dict[str, Any]:
    """Path -> what the yaml says, of ``--method_config`` and ``--config``, the first one first."""
    parser = CommandParser()
    for name in ("conditions", "takes", "pretrained", "passes"):
        parser.add_argument(f"--print_{name}", action="store_true")
    parser.add_argument("--config")
    parser.add_argument("--method_config")
    args = parser.parse_args(argv)
    return {path: read_yaml(path) for path in filter(None, (args.method_config, args.config))}


def _named(name: str, options: Any) -> Iterator[str]:
    """The values of an option ``name``, at any depth."""
    if isinstance(options, dict):
        if isinstance(options.get(name), str):
            yield options[name]
        options = list(options.values())
    for value in options if isinstance(options, list) else ():
        yield from _named(name, value)


def main(argv: Optional[Sequence[str]] = None) -> None:
    argv = sys.argv[1:] if argv is None else list(argv)
    if argv in (["--help"], ["-h"]):
        print(HELP, end="")
        return
    if "--print_conditions" in argv:
        print("\n".join(conditions_of(argv)))
        return
    if "--print_takes" in argv:
        from tsx_espnet.vocabulary import takes_of

        print("\n".join(sorted(set(takes_of(conditions_of(argv)).values()))))
        return
    if "--print_pretrained" in argv:
        print("".join(f"{name}\n" for name in networks_of(argv)), end="")
        return
    if "--print_passes" in argv:
        print("\n".join(str(k + 1) for k in range(1 + len(options_of(argv).get("later") or ()))))
        return
    if "--help_all" in argv:
        argv = ["--help"]

    with quiet_imports():
        from tsx_espnet.training.task import TSXTask

    TSXTask.main(cmd=argv)


if __name__ == "__main__":
    run_command(main)
