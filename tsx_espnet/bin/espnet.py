"""Run one of ESPnet's commands with our extractors, separators and criterions known to it.

    python -m tsx_espnet.bin.espnet enh_tse_train --extractor sudormrf ...

The first argument is a module of espnet2.bin; the rest is passed to it.
"""

import importlib
import importlib.util
import pkgutil
import runpy
import sys
from typing import Optional, Sequence

from tsx_espnet.checks import did_you_mean
from tsx_espnet.errors import TSXError, run_command
from tsx_espnet.parts import quiet_imports, register

if __name__ == "__mp_main__":  # a spawned training process imports this module first
    register()
    from tsx_espnet.training.checkpoint import safe_torch_files

    _files = safe_torch_files()  # kept, as it ends with the object
    _files.__enter__()


def find_module(command: str) -> str:
    """The module of a command of ESPnet: ``enh_train``, or any module by its full name.

    Raises:
        TSXError: if there is none, with the nearest names.
    """
    module = command if "." in command else f"espnet2.bin.{command}"
    try:
        found = importlib.util.find_spec(module)
    except ModuleNotFoundError:
        found = None
    if found is None:
        package = importlib.import_module("espnet2.bin")
        known = [entry.name for entry in pkgutil.iter_modules(package.__path__)]
        hint = did_you_mean(command.rpartition(".")[2], known, "see its directory espnet2/bin")
        raise TSXError(f"{command!r} is not a command of ESPnet: no module {module}; {hint}")
    return module


def main(argv: Optional[Sequence[str]] = None) -> None:
    argv = sys.argv[1:] if argv is None else list(argv)
    if not argv or argv[0] in ("-h", "--help"):
        print(__doc__)
        return
    module = find_module(argv[0])
    with quiet_imports():
        register()
        from tsx_espnet.training.checkpoint import safe_torch_files
    sys.argv = [module, *argv[1:]]
    with safe_torch_files():
        runpy.run_module(module, run_name="__main__")


if __name__ == "__main__":
    run_command(main)
