#!/usr/bin/env python3
"""What the refiner of an OCT++ experiment does to the text conditions of a mixture set.

Prints the size of the refined vectors r(x, c), and their standard deviation (mean over dimensions)
when only the text or only the mixture changes. A refiner that has learned to use the mixture shows
both. Then the SI-SDR of targets queried by text, and the same where the refiner is given φ(x) of
another mixture: if that costs nothing, the mixture is of no use to it.

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

    from tsx_espnet.evaluation.metrics import is_silent, si_sdr
    from tsx_espnet.experiment import load_experiment
    from tsx_espnet.mixing.data_table import MIXTURE, TARGET
    from tsx_espnet.mixing.mixture_set import MixtureSet

    experiment = load_experiment(args.exp)
    model = experiment.model
    if model.refiner is None or "text" not in model.conditioners:
        raise TSXError(f"{args.exp}: expected a refiner and the condition text (--method octpp)")
    mixtures = MixtureSet(args.mixtures)
    values = mixtures.applicable("text")
    names = list(values)[: args.count]
    if len({mixtures.mixture_of(name) for name in names}) < 2:
        raise TSXError(f"{args.mixtures}: expected texts of two mixtures or more, found {names}")
    texts = [experiment.vocabulary.encode("text", values[name]) for name in names]
    size = len(names)

    def encode(name):  # one by one, as they may be of any length
        audio = torch.from_numpy(mixtures.read(MIXTURE, name))
        return model.encode(audio[None], torch.tensor([len(audio)]))

    with torch.no_grad():
        contexts = [encode(name).context for name in names]
        condition = model.conditioners["text"](
            torch.from_numpy(np.stack(texts)), torch.ones(size).long()
        )
        refined = model.refiner.cross(torch.cat(contexts), condition)
        scores = []  # with φ of its own mixture, of another
        for number, name in enumerate(names):
            target, encoded = mixtures.read(TARGET, name, dtype="float64"), encode(name)
            if is_silent(target):
                continue
            others = (names[(number + step) % size] for step in range(1, size))
            own = mixtures.mixture_of(name)
            other = next(other for other in others if mixtures.mixture_of(other) != own)
            query = condition.select(torch.tensor([number]))
            scores.append([])
            for context in (contexts[number], contexts[names.index(other)]):
                estimate = model.separate(encoded, model.refiner(context, query))[0, 0]
                scores[-1].append(si_sdr(target, estimate.double().numpy()))
    own, shuffled = np.mean(scores, axis=0)
    print(f"{args.exp}, {size} mixtures of {args.mixtures}")
    print(f"  size of c, mean absolute value        {condition.vector().abs().mean():.4f}")
    print(f"  size of r(x, c), mean absolute value  {refined.abs().mean():.4f}")
    print(f"  deviation of r over the texts         {refined.std(dim=1).mean():.4f}")
    print(f"  deviation of r over the mixtures      {refined.std(dim=0).mean():.4f}")
    print(f"  SI-SDR by text                        {own:.4f} dB")
    print(f"  SI-SDR with φ of another mixture      {shuffled:.4f} dB")


if __name__ == "__main__":
    run_command(main)
