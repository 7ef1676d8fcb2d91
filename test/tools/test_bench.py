"""The benchmarks run in a checkout that was not installed."""

import os
import re
import subprocess
import sys
from pathlib import Path

import yaml

ROOT = Path(__file__).parents[2]


def test_mixing(tmp_path):
    small = ["--num_clips", "24", "--num_mixtures", "5", "--rounds", "1"]
    done = subprocess.run(
        [sys.executable, ROOT / "tools/bench/mixing.py", *small],
        cwd=tmp_path,
        env={name: value for name, value in os.environ.items() if name != "PYTHONPATH"},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    lines = dict(line.split(maxsplit=1) for line in done.stdout.splitlines() if "  " in line)
    assert lines["clips"] == "24 of 11 classes at 8000 Hz"
    assert float(lines["speed"].split()[0]) > 0
    assert not list(tmp_path.iterdir())


def test_methods(tmp_path):
    done = subprocess.run(
        [sys.executable, ROOT / "tools/bench/methods.py", "--steps", "2"],
        cwd=tmp_path,
        env={name: value for name, value in os.environ.items() if name != "PYTHONPATH"},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    ratios = dict(line.split()[:2] for line in done.stdout.splitlines() if line.startswith("  "))
    assert float(ratios["text_sbert"]) == 1
    assert all(float(ratio) > 0 for ratio in ratios.values()) and {"hct", "octpp"} < set(ratios)


def run_bench(name, *options, cwd):
    done = subprocess.run(
        [sys.executable, ROOT / f"tools/bench/{name}.py", *options],
        cwd=cwd,
        env={name: value for name, value in os.environ.items() if name != "PYTHONPATH"},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


SPECTRA = {"n_fft": 64, "hop_length": 32}
TDCN = {"bottleneck_channels": 4, "hidden_channels": 6, "num_repeats": 2, "num_blocks": 2}
HEARD = {"conditioner": "classifier", "pretrained": "classifier", "hears": ["mixture"]}


def test_methods_of_another_configuration(tmp_path):
    """Passes, a classifier, and ESPnet's network of the same size."""
    shared = {"extractor": "tdcn", "objective": "pit"}
    blind = {**shared, "extractor_conf": {"fusion": "none"}}
    blind["conditions"] = {"unconditional": {"conditioner": "null"}}
    files = {
        "train": {
            **dict.fromkeys(("encoder", "decoder"), "stft"),
            **dict.fromkeys(("encoder_conf", "decoder_conf"), SPECTRA),
            **{"extractor_conf": TDCN, "embedding_dim": 4, "consistency": "uniform"},
            **{"criterions": [{"name": "thresholded_snr"}], "batch_size": 2},
        },
        "method_one": blind,
        "method_two": {**blind, "later": [{}]},
        "method_heard": {**shared, "conditions": {"unconditional": HEARD}},
    }
    for name, options in files.items():
        (tmp_path / f"{name}.yaml").write_text(yaml.safe_dump(options))
    methods = ["one", "two", "heard", "espnet_tcn"]
    options = ["--train_config", "train.yaml", "--steps", "2", "--seconds", "0.2"]
    lines = run_bench("methods", *options, "--methods", *methods, cwd=tmp_path)
    assert lines[0].startswith("train.yaml, a step's time relative to one")
    ratios = {line.split()[0]: float(line.split()[1]) for line in lines[1:]}
    assert list(ratios) == methods and ratios.pop("one") == 1
    assert all(0.01 < ratio < 100 for ratio in ratios.values())


def test_training(tmp_path):
    lines = run_bench("training", "threads", "--steps", "1", "--warmup", "0", cwd=tmp_path)
    assert re.fullmatch(r"chosen: \d+ threads", lines[0])
    assert [line.split("  ")[0] for line in lines[2:]] == [
        "one thread",
        "spinning",
        "passive",
        "chosen",
    ]


def test_memory(tmp_path):
    lines = run_bench("memory", "--minutes", "0.05", "--reference", "0.1", cwd=tmp_path)
    kinds = [line.split()[0] for line in lines[1:]]
    assert kinds == ["stream", "call", "separate"] * 2
    assert lines[1].split()[1:3] == ["0.10", "min"]
    assert "1.00 times 0.1 min" in lines[1] and not list(tmp_path.iterdir())


def test_checkouts(tmp_path):
    """A checkout against itself."""
    options = ("--steps", "2", "--methods", "oct", "mixture")
    lines = run_bench("checkouts", ROOT, *options, cwd=tmp_path)
    assert len(lines) == 2
    for method, line in zip(("oct", "mixture"), lines):
        found = re.fullmatch(rf"{method} +time ([\d.]+) \(quartiles .*\), memory ([\d.]+)", line)
        assert 0.1 < float(found[1]) < 10 and 0.5 < float(found[2]) < 2
