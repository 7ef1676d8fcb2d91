"""A made-up experiment on disk: mixtures of two synthetic sounds, estimates, config and log."""

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import soundfile
import yaml

from tsx_espnet.conditions import CONDITIONS, NOT_APPLICABLE
from tsx_espnet.evaluation.scores import Score, add_oracle, write_scores
from tsx_espnet.mixing.plan import Placement, Plan, write_plans
from tsx_espnet.tables import mark_done, write_table

RATE = 8000
LABELS = ("Bark", "Bell", "Flute", "Rain")
# how much of the other source is left in the estimate of each condition, in dB
LEAKAGE = {"energy": -9.0, "harmonicity": -6.0, "order": -3.0}
LEAKAGE.update({"enrollment": -8.0, "class": -15.0, "text": -12.0})
SIZE = "1.07 M"


def sound(label, length, random):
    """A sound with some likeness to its name, ``(length,)``, RMS 0.05."""
    time = np.arange(length) / RATE
    if label == "Bark":
        signal = random.standard_normal(length) * np.exp(-12 * (time % 0.4))
    elif label == "Rain":
        signal = random.standard_normal(length)
    else:
        pitch = random.uniform(250, 600) * (1 + 0.01 * np.sin(2 * np.pi * 5 * time))
        phase = 2 * np.pi * np.cumsum(pitch) / RATE
        signal = sum(np.sin(k * phase) / k for k in range(1, 6))
        signal = signal * (np.exp(-3 * (time % 1.0)) if label == "Bell" else 1)
    return 0.05 * signal / np.std(signal)


def build(root, num_mixtures=6, duration=0.5, conditions=tuple(CONDITIONS), seed=0):
    """Write a mixture set and an experiment under ``root``; return where they are."""
    root = Path(root)
    mixtures, exp = root / "dump" / "test", root / "exp" / "oct"
    random = np.random.default_rng(seed)
    length = int(duration * RATE)
    tables = {name: {} for name in ("wav", "spk1", "spk2")}
    values = {name: {} for name in CONDITIONS}
    estimates = {name: ({}, {}) for name in conditions}
    plans = []
    for index in range(num_mixtures):
        name = f"mix{index:05d}"
        labels = LABELS[index % 4], LABELS[(index + 1 + index // 4 % 3) % 4]
        target, other = (sound(label, length, random) for label in labels)
        other = other * 10 ** (random.uniform(-2.5, 2.5) / 20)
        for table, signal in zip(("wav", "spk1", "spk2"), (target + other, target, other)):
            tables[table][name] = write(mixtures / "wav" / f"{name}_{table}.wav", signal)
        for condition in CONDITIONS:
            applicable = condition != "energy" or index % 3
            value = {
                "enrollment": f"{labels[0]}{index}.wav",
                "class": labels[0],
                "text": labels[0].lower(),
            }.get(condition) or CONDITIONS[condition].values[index % 2]
            values[condition][name] = value if applicable else NOT_APPLICABLE
            if not applicable or condition not in conditions:
                continue
            leak = 10 ** ((LEAKAGE[condition] + 4 * random.standard_normal()) / 20)
            noise = 0.002 * random.standard_normal(length)
            estimate = target + leak * other + noise
            out = exp / "infer" / "test" / condition
            estimates[condition][0][name] = write(out / f"{name}_1.wav", estimate)
            estimates[condition][1][name] = write(out / f"{name}_2.wav", target + other - estimate)
        sources = tuple(
            Placement(f"clip{index}_{k}", "Sound", (label, "Sound"), 0, length, 0, 1.0)
            for k, label in enumerate(labels)
        )
        snr = 10 * np.log10(np.sum(target**2) / np.sum(other**2))
        facts = {name_: table[name] for name_, table in values.items()}
        facts = {name_: value for name_, value in facts.items() if value != NOT_APPLICABLE}
        facts.pop("enrollment", None)  # of that, a plan holds the clips
        plans.append(Plan(name, RATE, length, sources, 0, facts, float(snr), 1.0, 1, 0, index))
    write_plans(mixtures / "mixtures.jsonl", plans)
    for table, paths in tables.items():
        write_table(mixtures / f"{table}.scp", paths)
    for condition, table in values.items():
        write_table(mixtures / f"utt2{condition}", table)
    mark_done(mixtures, config={"strategy": "random", "snr": [0, 2.5], "min_overlap": 0.8}, seed=1)
    for condition, (first, second) in estimates.items():
        out = exp / "infer" / "test" / condition
        write_table(out / "spk1.scp", first)
        write_table(out / "spk2.scp", second)
    write_training(exp, seed)
    return SimpleNamespace(root=root, mixtures=mixtures, exp=exp, estimates=exp / "infer" / "test")


def write(path, signal, rate=RATE):
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, signal.astype(np.float32), rate, subtype="FLOAT")
    return str(path)


def write_training(exp, seed=0):
    """config.yaml and the log of 20 epochs, in ESPnet's words; killed and resumed after the 8th."""
    exp.mkdir(parents=True, exist_ok=True)
    config = {
        "objective": "oct",
        "objective_conf": {"condition": "text"},
        "extractor": "sudormrf",
        "extractor_conf": {"num_blocks": 8, "out_channels": 256},
        "conditions": {"energy": {}, "text": {}},
        "optim": "adam",
        "optim_conf": {"lr": 0.001},
        "max_epoch": 20,
        "batch_size": 6,
        "num_iters_per_epoch": 100,
        "seed": 0,
    }
    (exp / "config.yaml").write_text(yaml.safe_dump(config))
    random = np.random.default_rng(seed)
    lines = [f"    Total Number of model parameters: {SIZE}"]
    for epoch in range(1, 21):
        loss = -9 * (1 - np.exp(-epoch / 6))
        gains = ", ".join(
            f"si_sdr_{c}={-leak * 0.6 * (1 - np.exp(-epoch / 8)) + 0.2 * random.random():.3f}"
            for c, leak in LEAKAGE.items()
        )
        lines.append(
            f"[host] 2026-01-02 03:04:05,678 (trainer:367) INFO: {epoch}epoch results: [train] "
            f"iter_time=1.000e-04, forward_time=0.512, loss={loss:.3f}, {gains}, best_text=nan, "
            f"optim0_lr0=0.001, train_time=2.132, time=1 hour, 3 minutes and 38.1 seconds, "
            f"total_count={100 * epoch}, gpu_max_cached_mem_GB=0.000e+00, [valid] "
            f"loss={loss + 0.8:.3f}, {gains}, time=2.3 seconds, total_count={20 * epoch}, "
            "gpu_max_cached_mem_GB=0.000e+00"
        )
    (exp / "train.1.log").write_text("\n".join(lines[:9]) + "\n")
    (exp / "train.log").write_text("\n".join([lines[0], *lines[9:]]) + "\n")


@pytest.fixture
def experiment(tmp_path):
    return build(tmp_path)


@pytest.fixture
def make_experiment(tmp_path):
    return lambda **options: build(tmp_path, **options)


@pytest.fixture
def write_scored(tmp_path):
    """``(name, {condition: {mixture: SI-SDR in dB or None}}) -> directory`` with a scores.csv.

    The mixture ``m<k>`` itself has k / 10 dB. ``mixture_set``: the note of infer; None: none.
    """

    def write(name, answers, test_set="test", mixture_set="one", label="Bark"):
        scores = []
        for condition, values in answers.items():
            for mixture, si_sdr in values.items():
                level = int(mixture[1:]) / 10
                found = {"silent": "estimate", "si_sdr_mixture": level}
                if si_sdr is not None:
                    si_sdr = round(float(si_sdr), 4)
                    found = {"si_sdr": si_sdr, "si_sdri": si_sdr - level, "si_sdr_mixture": level}
                scores.append(Score(mixture, condition, "asked", label, **found))
        out = tmp_path / "exp" / name / "infer" / test_set
        write_scores(out / "scores.csv", add_oracle(scores))
        if mixture_set:
            mark_done(out, mixtures=mixture_set, model=name)
        return tmp_path / "exp" / name

    return write
