#!/usr/bin/env python3
"""Time and memory of a training step, and of a mixture, in this checkout, relative to another one.

A process of each checkout takes steps in turns, on the same batch of noise, or draws and renders
100 mixtures of the same clips. What is compared is CPU time, as other work on the machine counts
less in it; the result is the median of the ratios. The configurations are those of this checkout.

    git worktree add /tmp/before main
    python tools/bench/checkouts.py /tmp/before
"""

import argparse
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Callable, List

ROOT = Path(__file__).resolve().parents[2]
CONFIGS = {
    "oct": ROOT / "egs/fsd50k/conf/train_small.yaml",
    "mixed_el": ROOT / "egs/fsdkaggle2018/conf/train_small.yaml",
}
MIXTURE = "mixture"


def make_mixtures(clips: str) -> Callable[[], List]:
    """A function that makes the next 100 examples, as a worker of training does."""
    from itertools import count

    from tsx_espnet.clips.clip_set import ClipSet
    from tsx_espnet.mixing.config import MixingConfig
    from tsx_espnet.mixing.sampler import Sampler
    from tsx_espnet.parts import quiet_imports

    with quiet_imports():  # the output has the times
        from tsx_espnet.training.iterator import EpochMixtures

    sampler, epochs = Sampler(ClipSet(clips), MixingConfig()), count()

    def step() -> List:
        mixtures = EpochMixtures(sampler, lambda name, values: values, 0, next(epochs))
        return [mixtures[index] for index in range(100)]

    return step


def serve(checkout: str, method: str, clips: str) -> None:
    """Take a step for each line of the input; print its seconds, in the end the memory in GB."""
    import torch
    from methods import make_step

    torch.set_num_threads(1)
    sys.path.insert(0, checkout)
    if method == MIXTURE:
        step = make_mixtures(clips)
    else:
        step = make_step(method, CONFIGS[method])
    for _ in sys.stdin:
        start = time.process_time()
        step()
        print(time.process_time() - start, flush=True)
    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e9)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("other", type=Path, help="the other checkout")
    parser.add_argument("--steps", type=int, default=20, help="steps of each")
    known = [*CONFIGS, MIXTURE]
    parser.add_argument("--methods", nargs="+", default=known, choices=known)
    parser.add_argument("--serve", nargs=2, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.serve:
        serve(str(args.other), *args.serve)
        return
    with tempfile.TemporaryDirectory() as folder:
        compare(args, folder)


def compare(args: argparse.Namespace, folder: str) -> None:
    """Print a line for each method."""
    clips = Path(folder) / "dump"
    if MIXTURE in args.methods:
        code = f"import mixing, pathlib; mixing.generate(pathlib.Path({folder!r}), 100, 8000)"
        here = Path(__file__).parent
        subprocess.run([sys.executable, "-c", code], cwd=here, check=True, capture_output=True)
    for method in args.methods:
        workers = [
            subprocess.Popen(
                [sys.executable, __file__, str(checkout.resolve()), "--serve", method, str(clips)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
            )
            for checkout in (args.other, ROOT)
        ]
        ratios = []
        for number in range(args.steps + 2):
            seconds = []
            for worker in workers if number % 2 else workers[::-1]:
                worker.stdin.write("\n")
                worker.stdin.flush()
                seconds.append(float(worker.stdout.readline()))
            before, now = seconds if number % 2 else seconds[::-1]
            if number >= 2:  # the first steps get their memory
                ratios.append(now / before)
        before, now = (float(worker.communicate()[0]) for worker in workers)
        low, middle, high = statistics.quantiles(ratios, n=4)
        print(
            f"{method:10} time {middle:.3f} (quartiles {low:.3f} to {high:.3f}), "
            f"memory {now / before:.3f}",
            flush=True,
        )


if __name__ == "__main__":
    main()
