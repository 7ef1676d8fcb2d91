#!/usr/bin/env python3
"""How well the classifiers of a model that hears know the sounds of a mixture set: mAP.

For each pass and each of the signals that it hears, the mean average precision of its own
classifier, which fine-tuning may have changed, beside that of the classifier as it was pretrained,
on the same signals. A mixture has the labels of its sources; an estimate has those of the source
that it fits best. The score of a label is the largest of all frames.

    python tools/heard.py --exp exp/stft_small_itdcn_all_guided_random_pairs \
        --mixtures dump/8k/mix/test_random_pairs
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
    parser.add_argument("--mixtures", required=True, type=Path, help="a set with its sources")
    parser.add_argument("--count", type=int, default=500, help="number of mixtures (default: 500)")
    args = parser.parse_args(argv)

    import numpy as np
    import torch

    from tsx_espnet.conditioner.classifier import classify
    from tsx_espnet.evaluation.classifier import average_precision, shared_labels
    from tsx_espnet.evaluation.metrics import fitting_outputs
    from tsx_espnet.experiment import load_experiment
    from tsx_espnet.mixing.data_table import MIXTURE, SOURCES
    from tsx_espnet.mixing.mixture_set import MixtureSet
    from tsx_espnet.pretrained.frozen import Frozen
    from tsx_espnet.pretrained.store import load

    experiment = load_experiment(args.exp)
    model, fs = experiment.model, int(experiment.config["fs"])
    passes = (model, *model.later)
    conditioners = [getattr(one.conditioners, "unconditional", None) for one in passes]
    if model.is_oracle or not any(hasattr(one, "classifier") for one in conditioners):
        raise TSXError(f"{args.exp}: expected a model that hears a mixture or estimates")
    pretrained = Frozen(load(Path(args.exp) / "pretrained" / "classifier"))
    mixtures = MixtureSet(args.mixtures)
    names = mixtures.ids[: args.count]
    found = {}  # (pass, signal) -> the scores of its own classifier, of the pretrained one, labels
    for name in names:
        plan = mixtures.plans[name]
        of_sources = [
            {label for one in plan.members(place) for label in one.labels}
            for place in range(len(plan.partition))
        ]
        audio = torch.from_numpy(mixtures.read(MIXTURE, name))[None]
        with torch.no_grad():
            encoded = model.encode(audio, torch.tensor([audio.shape[1]]))
            outputs = model.passes(encoded, model.hear(encoded, "unconditional"))
            for number, (_, condition) in enumerate(outputs, start=1):
                for signal, logits in (condition.logits or {}).items():
                    waveforms, labels = encoded.mixture[:, None], [set().union(*of_sources)]
                    if signal == "estimates":
                        before = outputs[number - 2][0]
                        waveforms = before / encoded.level[:, None]
                        sources = mixtures.read(SOURCES, name, dtype="float64").T
                        fits = fitting_outputs(sources, list(before[0].double().numpy()))
                        labels = [
                            of_sources[fits.index(place)] if place in fits else set()
                            for place in range(before.shape[1])
                        ]
                    both = logits, classify(pretrained, waveforms, fs)
                    scores = (one[0].amax(dim=1).numpy() for one in both)
                    found.setdefault((number, signal), []).extend(zip(*scores, labels))
    known = {label for rows in found.values() for *_, labels in rows for label in labels}
    numbers = shared_labels(sorted(known), pretrained.network.labels)
    print(f"mAP of {args.exp}, {len(names)} mixtures of {args.mixtures}, {len(numbers)} labels")
    for (number, signal), rows in found.items():
        truth = {label: np.array([label in labels for *_, labels in rows]) for label in numbers}
        own, before = (
            np.mean(
                [
                    average_precision(truth[label], np.array([row[which][place] for row in rows]))
                    for label, place in numbers.items()
                    if truth[label].any()
                ]
            )
            for which in (0, 1)
        )
        print(f"  pass {number}, {signal:9}  its own {own:.3f}  as pretrained {before:.3f}")


if __name__ == "__main__":
    run_command(main)
