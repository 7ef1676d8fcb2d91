"""Train a sound classifier that target sound extractors can use: an ESPnet training command."""

import sys
from typing import Optional, Sequence

from tsx_espnet.errors import run_command
from tsx_espnet.parts import quiet_imports

HELP = """usage: python -m tsx_espnet.bin.train_classifier --config conf/train_classifier.yaml
         --mixing_config conf/mix_random_classifier.yaml --train_clips DIR --valid_clips DIR
         --output_dir exp/NAME ...

Train a sound classifier on mixtures of formatted clips. exp/NAME then is a directory for
--pretrained '{classifier: exp/NAME}'. Every option of ESPnet's training commands works here:
  --help_all          lists them, with ours (takes some seconds)
  --print_config      prints the configuration and stops
  --dry_run true      builds the network and stops
"""


def main(argv: Optional[Sequence[str]] = None) -> None:
    argv = sys.argv[1:] if argv is None else list(argv)
    if argv in (["--help"], ["-h"]):
        print(HELP, end="")
        return
    if "--help_all" in argv:
        argv = ["--help"]

    with quiet_imports():
        from tsx_espnet.training.classifier import ClassifierTask

    ClassifierTask.main(cmd=argv)


if __name__ == "__main__":
    run_command(main)
