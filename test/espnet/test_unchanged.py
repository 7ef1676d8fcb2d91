"""What was drawn, mixed, trained and extracted before the package was rearranged stays so.

Everything goes through the commands, from recordings of whole numbers to scores, so that no module
need stay where it was. ``stored/unchanged.json`` holds sums that any machine must come near to, and
hashes for machines of the kind that it was made on. To make all anew, after a change of what the
models are meant to do: ``TSX_STORE_UNCHANGED=all pytest test/espnet/test_unchanged.py``. After one
that rounds otherwise, ``TSX_STORE_UNCHANGED=hashes`` makes the hashes alone: sums and experiments
remain those of before.

Rounding has changed once. Two outputs that are made consistent in equal shares are computed from
one decoding, (x ± D(a - b)) / 2, where it was two, and what precedes the first condition in the
mask network is computed once for all conditions (``test/extractor/test_decoding.py`` compares with
two decodings). At the sizes of ``egs/fsd50k``, the estimates of all methods differed from those of
before by at most 7.1e-7 of their peak, the gradients of a step by 4.8e-7 of their norm. So all
hashes of trained models are new, but for ``mixed``, which has one output.
"""

import hashlib
import json
import os
import platform
import shutil
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch
import yaml
from safetensors import safe_open
from safetensors.numpy import save_file

STORED = Path(__file__).parent / "stored"
RECORDS = STORED / "unchanged.json"
STORE = os.environ.get("TSX_STORE_UNCHANGED", "")
FS = 8000
LABELS = {"bark": "Bark,Dog", "meow": "Meow,Cat", "rain": "Rain", "horn": "Horn,Vehicle"}
CONV = {"channel": 16, "kernel_size": 16, "stride": 8}
TCN = {"bottleneck_dim": 8, "hidden_dim": 12, "layer": 2}
CONFIG = {
    "num_workers": 0,
    "use_matplotlib": False,
    "use_tensorboard": False,
    "num_att_plot": 0,
    "keep_nbest_models": [3],
    "best_model_criterion": [["valid", "loss", "min"]],
    "optim": "adam",
    "optim_conf": {"lr": 1.0e-3},
    "encoder": "conv",
    "encoder_conf": CONV,
    "decoder": "conv",
    "decoder_conf": CONV,
    "extractor": "sudormrf",
    "extractor_conf": {"num_blocks": 1, "out_channels": 8, "hidden_channels": 8, "depth": 2},
    "embedding_dim": 8,
    "batch_size": 3,
}
MIXING = {
    "duration": 0.5,
    "snr": [0.0, 5.0],
    "min_overlap": 0.3,
    "min_sounding": 0.1,
    "enrollments": 1,
    "enrollment_duration": 0.3,
}
FOUR = {"energy": {}, "harmonicity": {}, "order": {}, "text": {}}
SOUNDBEAM = {
    "extractor": "soundbeam",
    "extractor_conf": {**TCN, "stack": 2},
    "conditioner_conf": {"enrollment": {"encoder_conf": CONV, **TCN}},
    "consistency": "none",
    "criterions": [{"name": "snr", "conf": {}, "wrapper": "fixed_order", "wrapper_conf": {}}],
}
KEPT = (
    *("fs", "class_list", "embedding_dim", "consistency", "criterions", "mixing_conf"),
    *("encoder", "encoder_conf", "extractor", "extractor_conf", "decoder", "decoder_conf"),
    *("conditions", "conditioner_conf", "refiner", "refiner_conf", "objective", "objective_conf"),
)
REFINER = {"channels": 8, "depth": 2, "stride": 4, "heads": 2}
METHODS = {
    "single": {"conditions": {"text": {}}, "objective_conf": {"condition": "text"}},
    "hct": {"conditions": FOUR},
    "oct": {"conditions": FOUR, "objective_conf": {"condition": "text", "condition_weight": 1.0}},
    "octpp": {
        "conditions": FOUR,
        "refiner": "mixture",
        "refiner_conf": REFINER,
        "objective_conf": {"condition": "text", "condition_weight": 1.0},
    },
    "pit": {"conditions": {"unconditional": {"conditioner": "null"}}},
    "mixed": {
        "conditions": {"enrollment": {}, "class": {}},
        "objective_conf": {"paths": ["enrollment", "class"], "alpha": 3.0},
        **SOUNDBEAM,
    },
}


def machine():
    """What the last bit of a float may depend on."""
    return {
        "machine": platform.machine(),
        "cpu": torch.backends.cpu.get_cpu_capability(),
        "torch": torch.__version__,
        "numpy": np.__version__,
        "soxr": __import__("soxr").__version__,
    }


def recording(number):
    """A sound of whole numbers that comes and goes, the same on any machine: (T,) int16."""
    n = np.arange(3000 + 777 * (number % 5), dtype=np.int64)
    sound = (n * n * (2 * number + 3) + 12345 * n * (number + 1)) % 9001 - 4500
    swell = np.abs((n + 997 * number) % 4000 - 2000)
    return (sound * swell // 2000).astype(np.int16)


def digest(*chunks):
    return hashlib.sha256(b"".join(chunks)).hexdigest()


class Records:
    """Hashes and sums by name, of this run."""

    def __init__(self):
        self.hashes, self.sums = {}, {}

    def arrays(self, name, arrays):
        """Note a bag of arrays; the names of parameters may change, their values may not."""
        arrays = [np.ascontiguousarray(array) for array in arrays]
        self.hashes[name] = digest(*sorted(digest(array.tobytes()).encode() for array in arrays))
        total = sum(float(np.abs(array.astype(np.float64)).sum()) for array in arrays)
        self.sums[name] = [len(arrays), total]

    def audio(self, name, paths):
        self.arrays(name, [soundfile.read(path, dtype="float32")[0] for path in sorted(paths)])


@pytest.fixture(scope="module")
def work(tmp_path_factory):
    return tmp_path_factory.mktemp("unchanged")


@pytest.fixture(scope="module")
def records():
    """What this run notes; kept in the end if that is wanted."""
    found = Records()
    yield found
    if STORE:
        notes = {"machine": machine(), "hashes": found.hashes, "sums": found.sums}
        if STORE == "hashes":
            notes["sums"] = json.loads(RECORDS.read_text())["sums"]
        RECORDS.write_text(json.dumps(notes, indent=1) + "\n")


@pytest.fixture
def data(work, run, tiny_bert, records):
    """Clips, mixtures and texts, made by the commands of the recipe; noted once."""
    if (work / "text.safetensors").exists():
        return work
    wavs, labels = [], []
    for number in range(16):
        kind = sorted(LABELS)[number % 4]
        path = work / "raw" / f"{kind}{number:02d}.wav"
        path.parent.mkdir(exist_ok=True)
        rate = (FS, 11025)[number % 3 == 0]  # some must be resampled
        soundfile.write(path, recording(number), rate)
        wavs.append(f"{path.stem} {path}\n")
        labels.append(f"{path.stem} {LABELS[kind]}\n")
    (work / "raw" / "wav.scp").write_text("".join(wavs))
    (work / "raw" / "utt2labels").write_text("".join(labels))
    (work / "mixing.yaml").write_text(yaml.safe_dump(MIXING))
    run("tsx_espnet.bin.format", "--data", work / "raw", "--out", work / "clips", "--fs", FS)
    run(
        *("tsx_espnet.bin.mix", "--clips", work / "clips", "--out", work / "mixtures"),
        *("--config", work / "mixing.yaml", "--num_mixtures", 6, "--seed", 1),
    )
    run(
        *("tsx_espnet.bin.embed_text", "--data", work / "clips", "--pooling", "first"),
        *("--language_model", tiny_bert, "--out", work / "text.safetensors"),
    )
    records.audio("clips", (work / "clips" / "wav").glob("*.wav"))
    records.audio("mixtures", (work / "mixtures" / "wav").rglob("*.wav"))
    plans = (work / "mixtures" / "mixtures.jsonl").read_bytes()
    records.hashes["plans"] = digest(plans)
    return work


def train(run, data, method, exp, *more):
    conf = {"objective": method, **METHODS[method]}
    (data / f"{method}.yaml").write_text(yaml.safe_dump(conf))
    (data / "train.yaml").write_text(yaml.safe_dump(CONFIG))
    run(
        *("tsx_espnet.bin.train", "--config", data / "train.yaml", "--output_dir", exp),
        *("--method_config", data / f"{method}.yaml", "--mixing_config", data / "mixing.yaml"),
        *("--train_clips", data / "clips", "--valid_mixtures", data / "mixtures"),
        *("--text_embeddings", data / "text.safetensors", "--resume", "true", *more),
    )


def weights(path):
    return [value.numpy() for value in torch.load(path, weights_only=True).values()]


def compare(records, names):
    stored = json.loads(RECORDS.read_text())
    for name in names if STORE != "all" else ():
        if name in records.sums:
            assert records.sums[name] == pytest.approx(stored["sums"][name], rel=1e-3), name
    if STORE:
        return
    if stored["machine"] != machine():
        pytest.skip(f"hashes are of {stored['machine']}, this is {machine()}")
    for name in names:
        assert records.hashes[name] == stored["hashes"][name], name


def test_clips_plans_and_mixtures(data, records):
    compare(records, ["clips", "plans", "mixtures"])


@pytest.mark.parametrize("method", METHODS)
def test_gradients_a_resumed_training_and_estimates(run, data, records, tmp_path, method):
    step, exp, out = tmp_path / "step", tmp_path / "exp", tmp_path / "estimates"
    # plain descent by 1: what changes are the gradients
    sgd = ("--optim", "sgd", "--optim_conf", "lr=1.0", "--grad_clip", 1e9)
    train(run, data, method, step, *sgd, "--mixtures_per_epoch", 3, "--max_epoch", 1)
    for epochs in (1, 2):
        train(run, data, method, exp, "--mixtures_per_epoch", 7, "--max_epoch", epochs)
    run("tsx_espnet.bin.infer", "--exp", exp, "--mixtures", data / "mixtures", "--out", out)
    records.arrays(f"{method}: one step", weights(step / "1epoch.pth"))
    records.arrays(f"{method}: two epochs", weights(exp / "2epoch.pth"))
    records.audio(f"{method}: estimates", out.rglob("*.wav"))
    if STORE == "all":
        keep_experiment(exp, STORED / method)
    compare(records, [f"{method}: {what}" for what in ("one step", "two epochs", "estimates")])


@pytest.mark.parametrize("method", METHODS)
def test_an_experiment_from_before_is_loaded(run, data, records, tmp_path, method):
    out = tmp_path / "estimates"
    exp = STORED / method
    run("tsx_espnet.bin.infer", "--exp", exp, "--mixtures", data / "mixtures", "--out", out)
    records.audio(f"{method}: estimates of before", out.rglob("*.wav"))
    compare(records, [f"{method}: estimates of before"])


def keep_experiment(exp, out):
    """What inference needs, without paths of this machine."""
    shutil.rmtree(out, ignore_errors=True)
    out.mkdir(parents=True)
    config = yaml.safe_load((exp / "config.yaml").read_text())
    kept = {name: config[name] for name in KEPT}
    (out / "config.yaml").write_text(yaml.safe_dump(kept, sort_keys=False))
    shutil.copy(exp / "valid.loss.ave.pth", out)
    if "text" in config["conditions"]:
        table = exp / "text_embeddings.safetensors"
        with safe_open(table, framework="np") as stream:
            metadata = {**stream.metadata(), "language_model": "tiny"}
            tensors = {"embeddings": stream.get_tensor("embeddings")}
        save_file(tensors, out / table.name, metadata)
