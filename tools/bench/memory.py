#!/usr/bin/env python3
"""Peak memory of extracting from recordings of several lengths, relative to ten minutes.

``stream`` is the command ``tsx-extract``, which reads, extracts and writes block by block; for
comparison, ``call`` is ``tsx(mixture, fs, ...)`` on the whole recording, then ``soundfile.write``.
``separate`` is ``tsx-separate`` with a model that is not queried.
Each measurement is a separate process, with a model of the size of ``train_small.yaml`` and random
weights.

    python tools/bench/memory.py --minutes 0.167 10 60 120
"""

import argparse
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))
CONF = ROOT / "egs" / "fsd50k" / "conf"
REFERENCE = 10.0  # minutes
CALL = """
import sys, soundfile
from tsx_espnet import TargetSoundExtractor
mixture, fs = soundfile.read(sys.argv[1], dtype="float32")
parts = TargetSoundExtractor.load(sys.argv[2])(mixture, fs, energy="high")
for path, samples in zip(sys.argv[3:], parts):
    soundfile.write(path, samples, fs, subtype="FLOAT")
"""


def write_model(directory: Path, method: str) -> None:
    """An experiment of the size of ``train_small.yaml``, with random weights."""
    import torch
    import yaml

    from tsx_espnet.build import build_model
    from tsx_espnet.tables import read_yaml
    from tsx_espnet.vocabulary import Vocabulary

    config = {"fs": 8000, "refiner": None, "class_list": [], "objective_conf": {}}
    for name in ("train_small.yaml", f"method_{method}.yaml"):
        config.update(read_yaml(CONF / name))
    torch.manual_seed(0)
    model = build_model(config, Vocabulary())
    directory.mkdir()
    torch.save(model.state_dict(), directory / "valid.loss.ave.pth")
    (directory / "config.yaml").write_text(yaml.safe_dump(config))


def write_noise(path: Path, minutes: float, fs: int) -> None:
    """A second of noise, repeated."""
    import numpy as np
    import soundfile

    second = 0.1 * np.random.default_rng(0).standard_normal(fs)
    with soundfile.SoundFile(path, "w", fs, 1) as file:
        for _ in range(max(1, round(60 * minutes))):
            file.write(second)


def peak_memory(command) -> tuple:
    """Peak memory in GB, and seconds, of a process."""
    start = time.perf_counter()
    process = subprocess.Popen(
        command,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    _, status, usage = os.wait4(process.pid, 0)
    if status:
        sys.exit(f"{' '.join(map(str, command[:4]))} ... failed")
    return usage.ru_maxrss * 1024 / 1e9, time.perf_counter() - start


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--minutes", type=float, nargs="+", default=[1 / 6, 10, 60, 120])
    parser.add_argument("--reference", type=float, default=REFERENCE, help="minutes")
    parser.add_argument("--fs", type=int, default=44100)
    parser.add_argument("--modes", nargs="+", default=["stream", "call", "separate"])
    args = parser.parse_args()
    lengths = sorted({args.reference, *args.minutes}, key=lambda m: (m != args.reference, m))
    bare, _ = peak_memory([sys.executable, "-c", "import torch"])
    print(f"import torch alone: {bare:.2f} GB")
    reference = {}
    with tempfile.TemporaryDirectory() as folder:
        folder = Path(folder)
        write_model(folder / "model", "single_energy")
        write_model(folder / "pit", "pit")
        wav, outputs = folder / "mixture.wav", [folder / "target.wav", folder / "rest.wav"]
        commands = {
            "stream": [sys.executable, "-m", "tsx_espnet.bin.extract", wav, "--energy", "high",
                       "--model", folder / "model", "--force", "-o", outputs[0],
                       "--rest", outputs[1]],
            "call": [sys.executable, "-c", CALL, wav, folder / "model", *outputs],
            "separate": [sys.executable, "-m", "tsx_espnet.bin.separate", wav, "--force",
                         "--model", folder / "pit", "-o", folder / "sounds"],
        }  # fmt: skip
        for minutes in lengths:
            write_noise(wav, minutes, args.fs)
            for mode in args.modes:
                memory, seconds = peak_memory(commands[mode])
                reference.setdefault(mode, memory)
                print(
                    f"{mode:8} {minutes:7.2f} min {memory:6.2f} GB, "
                    f"{memory / reference[mode]:.2f} times {args.reference:g} min, "
                    f"{seconds:.0f} s",
                    flush=True,
                )


if __name__ == "__main__":
    main()
