#!/usr/bin/env python3
"""Train a target sound extractor (stage 5): ESPnet's training command for our task."""

import sys
from typing import Optional, Sequence

from tsx_espnet.errors import run_command
from tsx_espnet.parts import quiet_imports

HELP = """usage: python -m tsx_espnet.bin.train --config conf/train.yaml
         --method_config conf/method_oct.yaml --output_dir exp/NAME
         --train_clips DIR --mixing_config FILE --valid_mixtures DIR [--text_embeddings FILE] ...

Train a target sound extractor. Every option of ESPnet's training commands works here:
  --help_all      lists them, with ours (takes some seconds)
  --print_config  prints the configuration and stops
  --dry_run true  builds the model and stops
"""


def main(argv: Optional[Sequence[str]] = None) -> None:
    argv = sys.argv[1:] if argv is None else list(argv)
    if argv in (["--help"], ["-h"]):
        print(HELP, end="")
        return
    if "--help_all" in argv:
        argv = ["--help"]

    with quiet_imports():
        from tsx_espnet.training.task import TSXTask

    TSXTask.main(cmd=argv)


if __name__ == "__main__":
    run_command(main)
