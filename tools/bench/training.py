#!/usr/bin/env python3
"""Time of a training step of the extractor on CPU under several environment settings.

``malloc``: glibc returns the memory of large freed tensors to the system, so every step allocates
it again, page by page; the reference is glibc's default.

``threads``: OpenMP threads wait for each other by spinning (libgomp's default) or sleeping
(passive); the reference is one thread. If other work keeps the cores busy (``--busy N`` starts N
such processes), a spinning thread occupies the core needed by the thread it waits for. ``chosen``
is the number of threads that the recipes use: one for each core that is idle at the start.

Each setting has its own process; they take steps in turns, so that a busy machine slows all of them
equally, and the results are medians of the ratios of consecutive steps. The ratios of the fastest
steps are those of an idle machine, provided it was idle now and then.

    python tools/bench/training.py malloc
    python tools/bench/training.py threads
    python tools/bench/training.py threads --busy 2
"""

import argparse
import os
import statistics
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))
KEEP = {"MALLOC_TRIM_THRESHOLD_": "4294967296", "MALLOC_MMAP_THRESHOLD_": "4294967296"}
SETTINGS = {  # the first is the reference
    "malloc": {"default": {}, "keep": KEEP},
    "threads": {
        "one thread": {**KEEP, "OMP_NUM_THREADS": "1"},
        "spinning": KEEP,
        "passive": {**KEEP, "OMP_WAIT_POLICY": "PASSIVE"},
    },
}
VARIABLES = ("OMP_NUM_THREADS", "OMP_WAIT_POLICY", "GOMP_SPINCOUNT", *KEEP)


def work() -> None:
    """Take a step for each line of standard input; print its wall time.

    256 bases of 16 ms, 4 blocks, 4 mixtures of 5 s at 8 kHz.
    """
    import torch

    from tsx_espnet.conditioner.embedding import ConditionEmbedding
    from tsx_espnet.layers.sudormrf import SudoRMRF

    network = SudoRMRF(
        256, 2, 4, 96, 192, 6, activation="leaky_relu", nonlinear="sigmoid", condition_dim=128
    )
    feature = torch.rand(4, 627, 256)
    condition = ConditionEmbedding(torch.randn(4, 1, 128), torch.ones(4, 1).bool())
    for _ in sys.stdin:
        start = time.perf_counter()
        network(feature, condition).mean().backward()
        print(time.perf_counter() - start, flush=True)


class Worker:
    """A process with its own setting."""

    def __init__(self, setting, num_threads: int):
        plain = {name: value for name, value in os.environ.items() if name not in VARIABLES}
        self.process = subprocess.Popen(
            [sys.executable, __file__, "--worker"],
            env={**plain, "OMP_NUM_THREADS": str(num_threads), **setting},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def step(self) -> float:
        self.process.stdin.write("\n")
        self.process.stdin.flush()
        return float(self.process.stdout.readline())


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("compare", nargs="?", choices=SETTINGS, default="malloc")
    parser.add_argument("--num_threads", type=int, default=os.cpu_count())
    parser.add_argument("--busy", type=int, default=0, metavar="N", help="busy processes to start")
    parser.add_argument("--steps", type=int, default=30, help="steps of each setting")
    parser.add_argument("--warmup", type=int, default=2, help="steps before these, not counted")
    parser.add_argument("--worker", action="store_true", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.worker:
        work()
        return
    settings = dict(SETTINGS[args.compare])
    peer = next(iter(settings))
    spin = [sys.executable, "-c", "while True: pass"]
    processes = [subprocess.Popen(spin) for _ in range(args.busy)]
    try:
        if args.compare == "threads":
            choose = "share=1 num_threads=0 ngpu=0 cuda_cmd=run.pl; training_threads"
            found = subprocess.check_output(
                ["bash", "-c", f". {ROOT}/egs/TEMPLATE/utils/threads.sh; {choose}"], text=True
            )
            settings["chosen"] = {**KEEP, "OMP_NUM_THREADS": found.strip()}
            print(f"chosen: {found.strip()} threads")
        seconds = {name: [] for name in settings}
        workers = {name: Worker(own, args.num_threads) for name, own in settings.items()}
        processes += [worker.process for worker in workers.values()]
        for number in range(args.warmup + args.steps):
            for name, worker in workers.items():
                taken = worker.step()
                if number >= args.warmup:
                    seconds[name].append(taken)
    finally:
        for process in processes:
            process.kill()
    print(
        f"{args.num_threads} threads, {os.cpu_count()} cores, {args.busy} busy processes, "
        f"load average {os.getloadavg()[0]:.1f}"
    )
    for name, own in seconds.items():
        ratios = [one / other for one, other in zip(own, seconds[peer])]
        print(
            f"{name:10} {1e3 * statistics.median(own):7.1f} ms a step, fastest "
            f"{1e3 * min(own):6.1f}; to {peer}: median {statistics.median(ratios):.2f}, "
            f"of the fastest {min(own) / min(seconds[peer]):.2f}"
        )


if __name__ == "__main__":
    main()
