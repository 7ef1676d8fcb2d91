#!/usr/bin/env python3
"""Time of a training step of each method of the OCT paper, relative to ``text_sbert``.

All methods take steps in turns, on the same batch of noise, so that a busy machine slows all of
them equally; the result is the median of the ratios.

    python tools/bench/methods.py --num_threads 1
"""

import argparse
import statistics
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))
CONF = Path(__file__).parents[2] / "egs" / "fsd50k" / "conf"
METHODS = ("text_sbert", "single_energy", "hct", "oct", "octpp", "pit")
PEER = METHODS[0]
SECONDS = 5.0


def make_step(method: str, train_config: Path):
    """A function that takes one step of training, by a ``method_*.yaml`` beside the config."""
    import numpy as np
    import torch

    from tsx_espnet.parts import quiet_imports

    with quiet_imports():
        from tsx_espnet.build import build_model
    from tsx_espnet.pretrained.text_table import TextTable
    from tsx_espnet.tables import read_yaml
    from tsx_espnet.vocabulary import Vocabulary

    config = {"refiner": None, **read_yaml(train_config)}
    method_config = train_config.parent / f"method_{method}.yaml"
    config.update({"objective_conf": {}, **read_yaml(method_config)})
    table = TextTable(["x"], np.zeros((1, 384), dtype=np.float32), "none", "mean")
    torch.manual_seed(0)
    model = build_model(config, Vocabulary(("a", "b"), table)).train()
    optimizer = torch.optim.Adam(model.parameters())
    size = config["batch_size"]
    target, other = 0.1 * torch.randn(2, size, int(8000 * SECONDS))
    batch = {"speech_mix": target + other, "speech_ref1": target, "speech_ref2": other}
    for name in config["conditions"]:
        batch[name] = torch.arange(size).unsqueeze(1) % 2
    batch["text"] = torch.randn(size, 1, 384)
    batch["enrollment"] = 0.1 * torch.randn(size, int(8000 * SECONDS))

    def step() -> None:
        optimizer.zero_grad()
        model(**batch)[0].backward()
        optimizer.step()

    return step


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--num_threads", type=int, default=1)
    parser.add_argument("--steps", type=int, default=20, help="steps of each method")
    parser.add_argument("--train_config", type=Path, default=CONF / "train_small.yaml")
    args = parser.parse_args()
    import torch

    torch.set_num_threads(args.num_threads)
    steps = {method: make_step(method, args.train_config) for method in METHODS}
    ratios = {method: [] for method in METHODS}
    for number in range(args.steps + 2):
        seconds = {}
        for method, step in steps.items():
            start = time.perf_counter()
            step()
            seconds[method] = time.perf_counter() - start
        if number >= 2:  # the first steps get their memory
            for method in METHODS:
                ratios[method].append(seconds[method] / seconds[PEER])
    print(f"{args.train_config.name}, a step's time relative to {PEER}, {args.steps} steps each:")
    for method, found in ratios.items():
        low, _, high = statistics.quantiles(found, n=4)
        print(f"  {method:14} {statistics.median(found):.2f}  (quartiles {low:.2f} to {high:.2f})")


if __name__ == "__main__":
    main()
