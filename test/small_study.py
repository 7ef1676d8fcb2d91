"""Scores of a small run of both recipes, by integer arithmetic: the same on any machine.

Their means, as computed by the two programs that the study engine replaced, are in
``evaluation/stored/means.json``.
"""

import zlib
from pathlib import Path

from tsx_espnet.evaluation.scores import Score, add_oracle, write_scores
from tsx_espnet.tables import mark_done

MIXTURES = 30
LABELS = ("Bark", "Bell", "Flute", "Rain", "Siren", "Snare_drum")
NEW_LABELS = ("Frog", "Meow", "Oboe", "Owl", "Sneeze")
KIND = "random_soundbeam"


def draw(*words):
    """An integer in 0 to 996 for any words."""
    return zlib.crc32("/".join(map(str, words)).encode()) % 997


def write(exp, directory, test_set, conditions, labels=LABELS, skip=(), **more):
    """One ``scores.csv``; ``conditions`` is condition -> its mean gain in tenths of a dB."""
    scores = []
    for number in range(MIXTURES):
        name, level = f"m{number:02d}", (draw(test_set[:8], number) - 498) / 100
        for condition, gain in conditions.items():
            if (condition, number) in skip or (condition == "energy" and number % 7 == 3):
                continue
            common = {"label": labels[number % len(labels)], "silent": "", **more}
            if more.get("clip"):
                common["clip"] = f"{more['clip']}{number // 2}"
            value = f"{condition} of {name}"
            if draw(directory, test_set, condition, number) == 5:
                common["silent"] = "estimate"
                found = {"si_sdr_mixture": level, "sdr_mixture": level + 0.25}
            else:
                noise = draw(directory, test_set, condition, number) - 498
                si_sdr = round(level + gain / 10 + noise / 250, 4)
                found = {
                    "si_sdr": si_sdr,
                    "si_sdr_mixture": level,
                    "si_sdri": round(si_sdr - level, 4),
                    "sdr": round(si_sdr + 1 + noise / 1000, 4),
                    "sdr_mixture": level + 0.25,
                }
            scores.append(Score(name, condition, value, **common, **found))
    out = Path(exp) / directory / "infer" / test_set
    write_scores(out / "scores.csv", add_oracle(scores))
    mark_done(out, mixtures=test_set)


def write_grid(exp, **more):
    """Methods x mixings x seeds of the recipe of egs/fsd50k."""
    asked = {"energy": 11, "harmonicity": 28, "order": 21, "text": 55}
    rows = {
        "text_sbert": (2, {"text": 60}),
        "hct": (1, {**asked, "text": 40}),
        "oct": (3, asked),
        "octpp": (2, {**asked, "text": 47}),
        "pit": (1, {"unconditional": 70}),
        "single_energy": (1, {"energy": 12}),
        "single_harmonicity": (1, {"harmonicity": 33}),
        "single_order": (1, {"order": 24}),
    }
    for mixing in ("random", "different"):
        for method, (seeds, conditions) in rows.items():
            for seed in range(seeds):
                tag = f"small_{method}_{mixing}_hard" + (f"_seed{seed}" if seed else "")
                skip = [("order", number) for number in range(0, MIXTURES, 5)]
                write(exp, tag, f"test_{mixing}_hard", conditions, skip=skip, **more)
    write(exp, "small_text_bert_same_easy", "test_same_easy", {"text": 20}, **more)
    write(exp, "big_text_bert_same_easy", "test_same_easy", {"text": 90}, **more)


def write_few_shot(exp, **more):
    """Methods x seeds x draws of the recordings of the recipe of egs/fsdkaggle2018."""
    takes = {
        "onehot": {"class": 82},
        "enrl": {"enrollment": 64},
        "mixed": {"class": 88, "enrollment": 66},
        "mixed_el": {"class": 93, "enrollment": 71},
    }
    new = {"labels": NEW_LABELS, **more}
    for method, conditions in takes.items():
        for seed in range(2):
            tag = f"small_{method}_{KIND}" + (f"_seed{seed}" if seed else "")
            write(exp, tag, f"test_{KIND}", conditions, **more)
            write(exp, tag, f"new_seen_{KIND}", conditions, **more)
            for suffix in ("", "_draw1"):
                for shots in (1, 5, 10):
                    examples = f"K{shots}{suffix}"
                    if "enrollment" in conditions:
                        gain = {"enrollment": 25 + 5 * shots - 3 * seed}
                        write(exp, tag, f"new_{KIND}_{examples}", gain, **new)
                    inits = {"mixed_el": {"average": 30, "random": 4}, "mixed": {"average": 26}}
                    for init, gain in inits.get(method, {}).items():
                        if seed and not (method == "mixed_el" and init == "average"):
                            continue
                        out = f"{tag}/new_classes/{init}_{examples}"
                        write(exp, out, f"new_{KIND}", {"class": gain + 4 * shots}, **new)
