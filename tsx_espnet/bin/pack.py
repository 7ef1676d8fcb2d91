"""Pack an experiment for others: weights, configuration, what was pretrained, results."""

import argparse
import contextlib
import os
from pathlib import Path
from typing import Sequence

from tsx_espnet.cli import CommandParser
from tsx_espnet.errors import TSXError, run_command

OPTIONAL = ("text_embeddings.safetensors", "RESULTS.md")


def get_parser() -> argparse.ArgumentParser:
    parser = CommandParser(
        description=__doc__, formatter_class=argparse.ArgumentDefaultsHelpFormatter
    )
    parser.add_argument("--exp", required=True, help="directory of a trained experiment")
    parser.add_argument("--out", required=True, help="the archive to write (.zip, .tgz, ...)")
    parser.add_argument("--model_file", help="weights to pack (default: the averaged ones)")
    return parser


def main(argv: Sequence[str] = None) -> None:
    args = get_parser().parse_args(argv)
    out = Path(args.out).absolute()
    if out.suffix not in (".zip", ".tgz", ".tar"):
        raise TSXError(f"--out {args.out}: expected a name ending in .zip, .tgz or .tar")

    from espnet2.main_funcs.pack_funcs import pack

    from tsx_espnet.experiment import find_model_file, read_config
    from tsx_espnet.pretrained.store import PRETRAINED, files_of
    from tsx_espnet.tables import temporary_name

    experiment = Path(args.exp)
    config = read_config(experiment)
    model_file = find_model_file(experiment, args.model_file).name
    packed = [name for name in OPTIONAL if (experiment / name).is_file()]
    for name in config.get("pretrained") or {}:
        files = files_of(experiment / PRETRAINED / name)
        packed += [str(path.relative_to(experiment)) for path in files]
    for name in (model_file, "config.yaml", *packed):
        # ESPnet would name the member after the place that a link leads to
        if experiment.resolve() not in (experiment / name).resolve().parents:
            raise TSXError(f"{experiment / name}: leads out of the experiment; pack a copy of it")
    temporary = temporary_name(out)
    before = os.getcwd()
    try:
        os.chdir(experiment)  # ESPnet stores names as they are seen from here
        pack(
            files={"model_file": model_file},
            yaml_files={"train_config": "config.yaml"},
            option=packed,
            outpath=temporary,
        )
        temporary.replace(out)
    except OSError as error:
        raise TSXError(f"{args.out}: cannot be written: {error.strerror or error}") from None
    finally:
        os.chdir(before)
        with contextlib.suppress(OSError):
            temporary.unlink()
    print(f"{args.out}: {out.stat().st_size / 1e6:.1f} MB; unpacked, it is an experiment directory")


if __name__ == "__main__":
    run_command(main)
