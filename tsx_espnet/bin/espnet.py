#!/usr/bin/env python3
"""Run one of ESPnet's commands with our extractors, separators and criterions known to it.

    python -m tsx_espnet.bin.espnet enh_tse_train --extractor sudormrf ...
"""

import runpy
import sys
from typing import Sequence

from tsx_espnet.error import TSXError, run_command
from tsx_espnet.plugin import register

if __name__ == "__mp_main__":  # a spawned training process imports this module first
    register()


def main(argv: Sequence[str] = None) -> None:
    argv = sys.argv[1:] if argv is None else list(argv)
    if not argv or argv[0] in ("-h", "--help"):
        print(__doc__ + "\nThe first argument is a module of espnet2.bin; the rest is passed to it.")
        return
    module = argv[0] if "." in argv[0] else f"espnet2.bin.{argv[0]}"
    register()
    sys.argv = [module, *argv[1:]]
    try:
        runpy.run_module(module, run_name="__main__")
    except ImportError as error:
        if error.name is None or not module.startswith(error.name):
            raise
        raise TSXError(f"{argv[0]!r} is not a command of ESPnet: no module {module}") from None


if __name__ == "__main__":
    run_command(main)
