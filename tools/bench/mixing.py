#!/usr/bin/env python3
"""Training mixtures per second on one CPU core, including conditions, and the memory needed.

For comparison, as an upper bound, the speed of only reading the same clip segments with soundfile.
Both are timed in turns, after one pass that loads the files into the page cache.

    python tools/bench/mixing.py                          # generated clips
    python tools/bench/mixing.py --clips dump/8k/train    # formatted clips of a recipe
"""

import argparse
import os
import pickle
import resource
import statistics
import sys
import tempfile
import time
from pathlib import Path

for variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ[variable] = "1"

# use this checkout, installed or not
sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

import numpy as np  # noqa: E402
import soundfile  # noqa: E402

from tsx_espnet.clips.clip_set import ClipSet  # noqa: E402
from tsx_espnet.errors import TSXError, run_command  # noqa: E402
from tsx_espnet.mixing.config import MixingConfig  # noqa: E402
from tsx_espnet.mixing.sampler import Sampler  # noqa: E402

CLASSES = [f"Class_{letter}" for letter in "ABCDEFGHIJ"]


def generate(directory: Path, num_clips: int, fs: int) -> Path:
    """Clips of 1 to 15 s of intermittent noise, formatted."""
    from tsx_espnet.clips.format import format_set

    rng = np.random.default_rng(0)
    data = directory / "data"
    data.mkdir()
    wavs, labels = [], []
    for number in range(num_clips):
        samples = 0.1 * rng.normal(size=int(rng.uniform(1, 15) * fs))
        swell = np.sin(2 * np.pi * rng.uniform(0.2, 2) * np.arange(len(samples)) / fs)
        path = data / f"clip{number:04d}.wav"
        soundfile.write(path, samples * np.maximum(0, swell), fs)
        wavs.append(f"{path.stem} {path}\n")
        labels.append(f"{path.stem} {CLASSES[number % len(CLASSES)]},Sound\n")
    (data / "wav.scp").write_text("".join(wavs))
    (data / "utt2labels").write_text("".join(labels))
    format_set(data, directory / "dump", fs)
    return directory / "dump"


def make(sampler: Sampler, epoch: int, number: int) -> list:
    """What a training worker does for each mixture; returns the plans."""
    plans = []
    for index in range(number):
        plan = sampler.draw(0, epoch, index)
        sampler.render(plan)
        plans.append(plan)
    return plans


def only_read(plans: list, paths: dict) -> None:
    for plan in plans:
        for source in plan.sources:
            stop = source.start + source.length
            soundfile.read(paths[source.clip], start=source.start, stop=stop, dtype="float32")


def timed(function, *args):
    begin = time.perf_counter()
    result = function(*args)
    return time.perf_counter() - begin, result


def resident() -> float:
    """Memory of this process in MB."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize() / 1e6


def bench(clips: ClipSet, config: MixingConfig, number: int, rounds: int) -> dict:
    """Mixtures per second (median over the rounds), and memory before and after."""
    sampler = Sampler(clips, config)
    paths = {name: clips.path(name) for name in clips.ids}
    make(sampler, 0, number)
    before = resident()
    ours, floor = [], []
    for epoch in range(rounds):
        plans = make(sampler, epoch, number)
        only_read(plans, paths)  # these very segments in the page cache
        seconds, plans = timed(make, sampler, epoch, number)
        ours.append(number / seconds)
        floor.append(number / timed(only_read, plans, paths)[0])
    return {
        "mixtures_per_second": statistics.median(ours),
        "only_read_per_second": statistics.median(floor),
        "resident_before": before,
        "resident_after": resident(),
    }


def get_parser() -> argparse.ArgumentParser:
    """The options of this benchmark."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--clips", metavar="DIR", help="formatted clips (default: generated)")
    parser.add_argument("--config", metavar="FILE", help="yaml file that says how to mix")
    parser.add_argument("--num_mixtures", type=int, default=500, help="mixtures per round")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--num_clips", type=int, default=300, help="clips to generate")
    parser.add_argument("--fs", type=int, default=8000, help="of the generated clips, in Hz")
    parser.add_argument("--at_least", type=float, help="fail below this many mixtures per second")
    return parser


def main(argv=None) -> None:
    args = get_parser().parse_args(argv)
    config = (
        MixingConfig.from_yaml(args.config) if args.config else MixingConfig(text_variants=True)
    )
    with tempfile.TemporaryDirectory() as temporary:
        directory = args.clips or generate(Path(temporary), args.num_clips, args.fs)
        clips = ClipSet(directory)
        found = bench(clips, config, args.num_mixtures, args.rounds)
    speed, floor = found["mixtures_per_second"], found["only_read_per_second"]
    index = len(pickle.dumps(clips))
    print(f"clips       {len(clips)} of {len(clips.classes)} classes at {clips.fs} Hz")
    print(f"mixtures    {config.duration:g} s, strategy {config.strategy}, all conditions")
    print(f"speed       {speed:.0f} mixtures/s on one core")
    print(
        f"floor       {floor:.0f} mixtures/s if soundfile {soundfile.__version__} only reads them"
    )
    print(f"ratio       {speed / floor:.2f} of the floor")
    print(f"index       {index / 1e6:.2f} MB, {index / len(clips):.0f} bytes a clip")
    print(
        f"memory      {found['resident_before']:.0f} MB before, {found['resident_after']:.0f} MB "
        f"after {2 * args.rounds * args.num_mixtures} mixtures, peak "
        f"{resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1.024e-3:.0f} MB"
    )
    sys.stdout.flush()
    if args.at_least and speed < args.at_least:
        raise TSXError(f"expected at least {args.at_least:g} mixtures/s, found {speed:.0f}")


if __name__ == "__main__":
    run_command(main)
