"""Clips, mixtures and a configuration of the smallest size, and ESPnet's commands run on them."""

import json
import logging
import multiprocessing
import os
import runpy
import sys
import warnings
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
import yaml
from formatted_clips import LABELS, noise, write_clips

import tsx_espnet
from tsx_espnet.clips.clip_set import ClipSet
from tsx_espnet.conditions import phrases_of
from tsx_espnet.mixing.config import MixingConfig
from tsx_espnet.mixing.sampler import Sampler
from tsx_espnet.mixing.set_writer import write_mixtures
from tsx_espnet.pretrained.text_table import TextTable
from tsx_espnet.tables import write_table

MIXING = {"duration": 0.4, "snr": [0.0, 5.0], "min_overlap": 0.3, "min_sounding": 0.1}
# what every ESPnet command here is given: single steps, no pictures
QUIET = {
    "num_workers": 0,
    "use_matplotlib": False,
    "use_tensorboard": False,
    "num_att_plot": 0,
    "keep_nbest_models": [2],
    "optim": "adam",
    "optim_conf": {"lr": 1.0e-3},
}
CONV = {"channel": 16, "kernel_size": 16, "stride": 8}
SMALL = {"num_blocks": 1, "out_channels": 8, "hidden_channels": 8, "depth": 2}
MODEL = {
    "encoder": "conv",
    "encoder_conf": CONV,
    "decoder": "conv",
    "decoder_conf": CONV,
    "extractor": "sudormrf",
    "extractor_conf": SMALL,
    "embedding_dim": 8,
    "conditions": {"energy": {}, "harmonicity": {}, "order": {}, "class": {}, "text": {}},
    "objective": "oct",
}
CONFIG = {
    **QUIET,
    **MODEL,
    "mixtures_per_epoch": 8,
    "batch_size": 4,
    "max_epoch": 2,
    "best_model_criterion": [["valid", "loss", "min"]],
}


class Command:
    """``python -m module args`` in a process of its own.

    The process is forked from this one, so that ESPnet's twelve seconds of imports are paid once.
    A ``fresh`` one imports everything by itself; so does every one where torch's threads would not
    survive a fork.

    Args:
        log: standard output and error are written to ``log.out`` and ``log.err``.
        hook: Python to run in the process before the command.
    """

    def __init__(self, log, module, args, env=None, hook="", fresh=False):
        self._log = log
        fresh = fresh or torch.cuda.is_available()
        run = _execute if fresh else _run_module
        argv = [str(arg) for arg in args]
        self._process = multiprocessing.get_context("fork").Process(
            target=_enter, args=(log, env or {}, run, hook, module, argv)
        )
        self._process.start()

    def wait(self):
        """The exit status; negative for the signal that killed it."""
        self._process.join(timeout=120)
        assert self._process.exitcode is not None, f"{self._log}: did not end"
        return self._process.exitcode

    def kill(self):
        self._process.kill()
        self._process.join()

    @property
    def pid(self):
        return self._process.pid

    @property
    def running(self):
        return self._process.is_alive()

    @property
    def out(self):
        return self._log.with_suffix(".out").read_text()

    @property
    def err(self):
        return self._log.with_suffix(".err").read_text()


def _enter(log, env, run, hook, module, argv):
    os.environ.update({"OMP_NUM_THREADS": "1", **env})
    for number, suffix in ((1, ".out"), (2, ".err")):
        stream = os.open(log.with_suffix(suffix), os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        os.dup2(stream, number)
    sys.stdout = os.fdopen(1, "w", buffering=1)
    sys.stderr = os.fdopen(2, "w", buffering=1)
    run(hook, module, argv)


def _run_module(hook, module, argv):
    torch.set_num_threads(1)
    logging.root.handlers.clear()  # pytest's, which would keep ESPnet from making its own
    sys.argv = [module, *argv]
    exec(hook, {})
    runpy.run_module(module, run_name="__main__", alter_sys=True)


def _execute(hook, module, argv):
    paths = [str(Path(tsx_espnet.__file__).parents[1]), str(Path(__file__).parents[1])]
    os.environ["PYTHONPATH"] = os.pathsep.join([*paths, os.environ.get("PYTHONPATH", "")])
    start = ["-m", module]
    if hook:
        code = f"{hook}\nimport runpy\nrunpy.run_module({module!r}, None, '__main__', True)"
        start = ["-c", code]
    os.execv(sys.executable, [sys.executable, *start, *argv])


@pytest.fixture(scope="session", autouse=True)
def espnet():
    """ESPnet imported, once, in the process that the commands are forked from."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)
        import regression  # noqa: F401

        import tsx_espnet.training.classifier  # noqa: F401
        import tsx_espnet.training.task  # noqa: F401


@pytest.fixture(scope="session")
def tiny():
    """Parts of configurations."""
    return SimpleNamespace(quiet=QUIET, conv=CONV, sudormrf=SMALL, model=MODEL, config=CONFIG)


@pytest.fixture
def start(tmp_path, espnet):
    """Start ``python -m module args``; see ``Command``."""
    started = []

    def start_command(module, *args, **options):
        log = tmp_path / f"command{len(started)}"
        started.append(Command(log, module, args, **options))
        return started[-1]

    yield start_command
    for command in started:
        if command.running:
            command.kill()


@pytest.fixture
def run(start):
    """Run ``python -m module args`` to its end, which must be a good one."""

    def run_command(module, *args, **options):
        command = start(module, *args, **options)
        status = command.wait()
        assert status == 0, command.err
        return command

    return run_command


@pytest.fixture(scope="session")
def data(tmp_path_factory):
    """Formatted clips of three classes, mixtures of them, vectors of their phrases, two yamls."""
    root = tmp_path_factory.mktemp("data")
    rng = np.random.default_rng(0)
    kinds = ("bark", "rain", "horn")
    clips = {
        f"{kind}{number}": (noise(rng, 0.3 + 0.1 * number), LABELS[kind])
        for kind in kinds
        for number in range(3)
    }
    shares = {name: float(rng.uniform(0.05, 0.95)) for name in clips}
    train = write_clips(root / "clips", clips, harmonic=shares)
    classes = sorted({label for kind in kinds for label in LABELS[kind]})
    (train / "classes.txt").write_text("".join(f"{label}\n" for label in classes))
    config = MixingConfig.from_dict(MIXING)
    write_mixtures(Sampler(ClipSet(train), config), 6, seed=1, out=root / "mixtures")
    phrases = sorted({text for kind in kinds for text in phrases_of(LABELS[kind])})
    vectors = rng.normal(size=(len(phrases), 6)).astype(np.float32)
    TextTable(phrases, vectors, "made-up", "mean").write(root / "text.safetensors")
    (root / "mixing.yaml").write_text(json.dumps(MIXING))
    (root / "train.yaml").write_text(yaml.safe_dump(CONFIG))
    return SimpleNamespace(
        root=root,
        clips=train,
        classes=classes,
        mixtures=root / "mixtures",
        text=root / "text.safetensors",
        mixing_config=root / "mixing.yaml",
        train_config=root / "train.yaml",
    )


@pytest.fixture(scope="session")
def train_args(data):
    """The arguments of the training command on ``data``, without ``--output_dir``."""
    return [
        *("--config", data.train_config),
        *("--mixing_config", data.mixing_config),
        *("--train_clips", data.clips),
        *("--valid_mixtures", data.mixtures),
        *("--text_embeddings", data.text),
    ]


@pytest.fixture(scope="session")
def targets(data, tmp_path_factory):
    """Mixtures of three sources of which each is a target: a set, and a yaml to draw more."""
    root = tmp_path_factory.mktemp("targets")
    mixing = {**MIXING, "num_sources": 3, "num_targets": "all", "enrollments": 1}
    mixing.update(placement="uniform", background={})
    (root / "mixing.yaml").write_text(yaml.safe_dump(mixing))
    sampler = Sampler(ClipSet(data.clips), MixingConfig.from_dict(mixing))
    write_mixtures(sampler, 4, seed=2, out=root / "mixtures")
    return SimpleNamespace(
        root=root, sampler=sampler, mixtures=root / "mixtures", mixing_config=root / "mixing.yaml"
    )


@pytest.fixture(scope="session")
def targets_args(data, targets):
    """The arguments of the training command on mixtures of which each source is a target."""
    return [
        *("--config", data.train_config),
        *("--mixing_config", targets.mixing_config),
        *("--train_clips", data.clips),
        *("--valid_mixtures", targets.mixtures),
        *("--text_embeddings", data.text),
    ]


@pytest.fixture(scope="session")
def streams_args(data, targets):
    """The same on two streams: one target in half of the mixtures of a batch, else three."""
    streams = [
        {"clips": str(data.clips), "mixing_config": str(config), "share": 0.5}
        for config in (data.mixing_config, targets.mixing_config)
    ]
    (targets.root / "streams.yaml").write_text(yaml.safe_dump(streams))
    return [
        *("--config", data.train_config),
        *("--train_streams", targets.root / "streams.yaml"),
        *("--valid_mixtures", targets.mixtures),
        *("--text_embeddings", data.text),
    ]


@pytest.fixture(scope="session")
def points_args(tiny, tmp_path_factory):
    """The arguments of the task of ``regression.py``: 18 points to train on, 6 to validate on."""
    directory = tmp_path_factory.mktemp("points")
    rng = np.random.default_rng(0)
    for prefix, number in (("", 18), ("valid_", 6)):
        x = {f"p{n:02d}": float(value) for n, value in enumerate(rng.uniform(-2, 2, number))}
        write_table(directory / f"{prefix}x", x)
        write_table(directory / f"{prefix}y", {name: np.sin(value) for name, value in x.items()})
    config = {**tiny.quiet, "batch_size": 9, "best_model_criterion": [["valid", "loss", "min"]]}
    (directory / "train.yaml").write_text(yaml.safe_dump(config))
    return ["--config", directory / "train.yaml", "--points", directory]


@pytest.fixture(scope="session")
def classifier_args(data, tiny, tmp_path_factory):
    """The arguments of the training of a sound classifier on ``data``, without ``--output_dir``."""
    root = tmp_path_factory.mktemp("classifier")
    (root / "mixing.yaml").write_text(yaml.safe_dump({**MIXING, "num_sources": [1, 2]}))
    config = {
        **tiny.quiet,
        "network_conf": {"channels": [2] * 11},
        "mixtures_per_epoch": 8,
        "num_valid": 4,
        "batch_size": 4,
        "max_epoch": 2,
        "best_model_criterion": [["valid", "loss", "min"]],
    }
    (root / "train.yaml").write_text(yaml.safe_dump(config))
    return [
        *("--config", root / "train.yaml"),
        *("--mixing_config", root / "mixing.yaml"),
        *("--train_clips", data.clips),
        *("--valid_clips", data.clips),
    ]


@pytest.fixture(scope="session", params=["extraction", "regression"])
def task(request):
    """Each task that is trained reliably: its command, arguments and model.

    ``streams``, where that is asked for, is extraction on mixtures of one target and of several;
    ``classifier``, likewise, the training of a sound classifier.
    ``many_batches``: options for five batches an epoch; ``another_model``: and for other weights.
    """
    if request.param == "classifier":
        return SimpleNamespace(
            command="tsx_espnet.bin.train_classifier",
            args=request.getfixturevalue("classifier_args"),
            model=("tsx_espnet.training.classifier", "ClassifierModel"),
            many_batches=["--mixtures_per_epoch", 18],
            another_model=["--network_conf", f"{{channels: {[3] * 11}}}"],
            written=["config.yaml"],
        )
    if request.param != "regression":
        given = {"extraction": "train_args", "streams": "streams_args"}[request.param]
        return SimpleNamespace(
            command="tsx_espnet.bin.train",
            args=request.getfixturevalue(given),
            model=("tsx_espnet.model", "ESPnetTSXModel"),
            many_batches=["--mixtures_per_epoch", 18, "--objective", "hct"],
            another_model=["--embedding_dim", 9],
            written=["config.yaml", "text_embeddings.safetensors"],
        )
    return SimpleNamespace(
        command="regression",
        args=request.getfixturevalue("points_args"),
        model=("regression", "CurveModel"),
        many_batches=["--batch_size", 4],
        another_model=["--hidden", 5],
        written=["config.yaml"],
    )


@pytest.fixture(scope="session")
def uninterrupted(tmp_path_factory):
    return tmp_path_factory.mktemp("uninterrupted")


@pytest.fixture
def reference(uninterrupted, run, train_args):
    """The experiment of a run of four epochs that was never stopped; not to be changed."""
    if not (uninterrupted / "config.yaml").exists():
        more = ["--max_epoch", 4, "--keep_nbest_models", 2, "--resume", "true"]
        run("tsx_espnet.bin.train", *train_args, *more, "--output_dir", uninterrupted)
    return uninterrupted


@pytest.fixture(scope="session")
def assert_same_experiment():
    """``(found, expected)``: files, links and all numbers in them are the same, to the last bit."""

    def compare(found, expected):
        names = sorted(path.name for path in expected.iterdir())
        assert sorted(path.name for path in found.iterdir()) == names
        for path in expected.glob("*.pth"):
            other = found / path.name
            if path.is_symlink():
                assert os.readlink(other) == os.readlink(path)
            state, expected_state = (torch.load(p, weights_only=False) for p in (other, path))
            if path.name.startswith("checkpoint"):
                assert state["reporter"]["epoch"] == expected_state["reporter"]["epoch"]
                parts = ("model", "optimizers", "schedulers", "scaler")
                state, expected_state = ({k: s[k] for k in parts} for s in (state, expected_state))
            _assert_equal(state, expected_state, str(other))

    return compare


def _assert_equal(found, expected, where):
    if isinstance(expected, torch.Tensor):
        torch.testing.assert_close(found, expected, rtol=0, atol=0, msg=where)
    elif isinstance(expected, dict):
        assert found.keys() == expected.keys(), where
        for name, value in expected.items():
            _assert_equal(found[name], value, f"{where} {name}")
    elif isinstance(expected, list):
        assert len(found) == len(expected), where
        for index, value in enumerate(expected):
            _assert_equal(found[index], value, f"{where} {index}")
    else:
        assert found == expected, where
