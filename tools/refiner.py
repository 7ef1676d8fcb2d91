#!/usr/bin/env python3
"""What the refiner of an OCT++ experiment does to the text conditions of a mixture set.

Prints the size of the refined vectors r(x, c), and their standard deviation (mean over dimensions)
when only the text or only the mixture changes. A refiner that has learned to use the mixture shows
both.

    python tools/refiner.py --exp exp/octpp_random_hard --mixtures dump/8k/mix/test_random_hard
"""

import argparse
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from tsx_espnet.errors import TSXError, run_command  # noqa: E402


def main(argv=None) -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--exp", required=True, help="directory of the experiment")
    parser.add_argument("--mixtures", required=True, type=Path, help="the mixture set")
    parser.add_argument("--count", type=int, default=40, help="number of mixtures")
    args = parser.parse_args(argv)

    import numpy as np
    import torch

    from tsx_espnet.experiment import load_experiment
    from tsx_espnet.mixing.data_table import MIXTURE
    from tsx_espnet.mixing.mixture_set import MixtureSet

    experiment = load_experiment(args.exp)
    model = experiment.model
    if model.refiner is None or "text" not in model.conditioners:
        raise TSXError(f"{args.exp}: expected a refiner and the condition text (--method octpp)")
    mixtures = MixtureSet(args.mixtures)
    values = mixtures.applicable("text")
    names = list(values)[: args.count]
    texts = [experiment.vocabulary.encode("text", values[name]) for name in names]
    size = len(names)
    with torch.no_grad():
        contexts = []
        for name in names:  # of any length
            audio = torch.from_numpy(mixtures.read(MIXTURE, name))
            contexts.append(model.encode(audio[None], torch.tensor([len(audio)])).context)
        condition = model.conditioners["text"](
            torch.from_numpy(np.stack(texts)), torch.ones(size).long()
        )
        rows = torch.arange(size).repeat_interleave(size)  # every mixture with every text
        columns = torch.arange(size).repeat(size)
        refined = model.refiner(torch.cat(contexts)[rows], condition.select(columns))
        refined = refined.vector().unflatten(0, (size, size))
    print(f"{args.exp}, {size} mixtures of {args.mixtures}")
    print(f"  size of c, mean absolute value        {condition.vector().abs().mean():.4f}")
    print(f"  size of r(x, c), mean absolute value  {refined.abs().mean():.4f}")
    print(f"  deviation of r over the texts         {refined.std(dim=1).mean():.4f}")
    print(f"  deviation of r over the mixtures      {refined.std(dim=0).mean():.4f}")


if __name__ == "__main__":
    run_command(main)
