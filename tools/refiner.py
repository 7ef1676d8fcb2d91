#!/usr/bin/env python3
"""What the refiners of trained OCT++ models do to the text conditions of a mixture set, as a table.

A row an experiment: the share of hidden units of g that are zero for every text with every mixture;
the mean absolute value of c and of r(x, c); the standard deviation of r (mean over its dimensions)
when only the text changes, and when only the mixture does; the SI-SDR of targets queried by text,
the same with φ(x) of another mixture, and by how much that is worse, with a 95 % interval over the
clips of the targets. If it is not, the mixture is of no use to the refiner.

    python tools/refiner.py --exp exp/octpp*_random_hard* --mixtures dump/8k/mix/test_random_hard
"""

import argparse
import sys
from pathlib import Path
from typing import List

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from tsx_espnet.errors import TSXError, run_command  # noqa: E402

HEADER = [
    *("experiment", "mixtures", "dead units", "size of c", "size of r", "r over texts"),
    *("r over mixtures", "SI-SDR by text (dB)", "with φ of another mixture (dB)"),
    *("difference (dB)", "95 % interval (dB)"),
]


def main(argv=None) -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--exp", required=True, nargs="+", help="directories of experiments")
    parser.add_argument("--mixtures", required=True, type=Path, help="the mixture set")
    parser.add_argument("--count", type=int, default=200, help="number of mixtures, from the first")
    args = parser.parse_args(argv)

    from tsx_espnet.evaluation.markdown import markdown
    from tsx_espnet.mixing.mixture_set import MixtureSet

    mixtures = MixtureSet(args.mixtures)
    rows = [look(exp, mixtures, args.count) for exp in args.exp]
    print(markdown([HEADER, *rows]))


def look(exp: str, mixtures, count: int) -> List[str]:
    """The row of an experiment, measured on ``count`` targets of a mixture set."""
    import numpy as np
    import torch

    from tsx_espnet.evaluation.markdown import bounds, number, signed
    from tsx_espnet.evaluation.metrics import is_silent, si_sdr
    from tsx_espnet.evaluation.statistics import MIN_FOR_INTERVAL, cluster_interval
    from tsx_espnet.experiment import load_experiment
    from tsx_espnet.mixing.data_table import MIXTURE, TARGET

    experiment = load_experiment(exp)
    model = experiment.model
    if model.refiner is None or "text" not in model.conditioners:
        raise TSXError(f"{exp}: expected a refiner and the condition text (--method octpp)")
    values = mixtures.applicable("text")
    names = list(values)[:count]
    if len({mixtures.mixture_of(name) for name in names}) < 2:
        raise TSXError(f"{mixtures.directory}: expected texts of two mixtures or more: {names}")
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
        dead = model.refiner.statistics(torch.cat(contexts), condition)["refiner_dead"]
        clips, scores = [], []  # with φ of its own mixture, of another
        for position, name in enumerate(names):
            target, encoded = mixtures.read(TARGET, name, dtype="float64"), encode(name)
            if is_silent(target):
                continue
            others = (names[(position + step) % size] for step in range(1, size))
            own = mixtures.mixture_of(name)
            other = next(other for other in others if mixtures.mixture_of(other) != own)
            query = condition.select(torch.tensor([position]))
            clips.append(mixtures.clip(name))
            scores.append([])
            for context in (contexts[position], contexts[names.index(other)]):
                estimate = model.separate(encoded, model.refiner(context, query))[0, 0]
                scores[-1].append(si_sdr(target, estimate.double().numpy()))
    own, shuffled = np.mean(scores, axis=0)
    losses = [after - before for before, after in scores]
    enough = len(set(clips)) >= MIN_FOR_INTERVAL
    interval = cluster_interval(losses, clips) if enough else None
    sizes = (condition.vector().abs().mean(), refined.abs().mean())
    deviations = (refined.std(dim=axis).mean() for axis in (1, 0))
    numbers = [number(float(value), 4) for value in (*sizes, *deviations)]
    decibels = [number(own), number(shuffled), signed(shuffled - own), bounds(interval)]
    return [Path(exp).name, str(len(scores)), number(float(dead)), *numbers, *decibels]


if __name__ == "__main__":
    run_command(main)
