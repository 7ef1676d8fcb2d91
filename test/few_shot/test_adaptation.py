"""Adaptation trains the rows of new classes; all else stays as it was, to the last bit."""

import numpy as np
import pytest
import torch

from tsx_espnet.audio import write_float_wav
from tsx_espnet.clips.clip_set import ClipSet
from tsx_espnet.errors import TSXError
from tsx_espnet.experiment import load_experiment
from tsx_espnet.few_shot.classes import adapt, add_classes
from tsx_espnet.few_shot.mixtures import AdaptationMixture, DrawnMixtures, FixedMixtures
from tsx_espnet.mixing.config import MixingConfig
from tsx_espnet.mixing.sampler import Sampler
from tsx_espnet.mixing.set_writer import write_mixtures
from tsx_espnet.tables import mark_done, read_table, write_table

FS = 8000
MIXING = {"duration": 0.4, "snr": [0.0, 5.0], "min_overlap": 0.3, "min_sounding": 0.1}
ROWS = "conditioners.class.new.weight"
KNOWN = ("Bark", "Meow", "Rain")
SOUNDBEAM = {
    "extractor": "conv_tasnet",
    "extractor_conf": {"bottleneck_dim": 8, "hidden_dim": 12, "layer": 2, "stack": 2},
    "criterions": [{"name": "snr"}],
}


@pytest.fixture(scope="module", params=["sudormrf", "soundbeam"])
def experiment(request, tmp_path_factory, make_experiment):
    changes = SOUNDBEAM if request.param == "soundbeam" else {"criterions": [{"name": "snr"}]}
    return load_experiment(make_experiment(tmp_path_factory.mktemp("exp") / "exp", **changes))


@pytest.fixture(scope="module")
def clips(tmp_path_factory, format_clips):
    directory = tmp_path_factory.mktemp("clips")
    return (
        format_clips(directory / "train", dict.fromkeys(KNOWN, 3)),
        format_clips(directory / "new", {"Siren": 2, "Gong": 1}),
    )


@pytest.fixture
def grown(experiment):
    """A model that also knows Siren, Gong and Hum."""
    rows = torch.randn(3, 6, generator=torch.Generator().manual_seed(1))
    return add_classes(experiment, dict(zip(("Siren", "Gong", "Hum"), rows)))


def mixtures(labels=("Siren", "Gong", "Siren", "Siren", "Gong"), length=400):
    """The targets of one class are alike."""
    made = []
    for number, label in enumerate(labels):
        rng = np.random.default_rng(number)
        target = np.convolve(rng.standard_normal(length), np.ones(len(label)), "same")
        target = (0.1 * target).astype(np.float32)
        other = (0.1 * rng.standard_normal(length)).astype(np.float32)
        made.append(AdaptationMixture(target + other, target, label))
    return made


def bits(model):
    return {name: value.clone() for name, value in model.state_dict().items()}


def targets(experiment, label, given):
    waveforms = torch.from_numpy(np.stack([one.mixture for one in given]))
    rows = torch.zeros(len(given)).long()
    with torch.no_grad():
        condition = experiment.embed("class", label).select(rows)
        return experiment.model.extract(waveforms, condition)[:, 0]


def snr_loss(target, estimate):
    """Eq. 6."""
    return -10 * np.log10(np.sum(target**2) / np.sum((target - estimate) ** 2))


def test_what_is_trained_and_what_is_not(experiment, grown):
    before, given = bits(grown.model), mixtures()
    extracted = {label: targets(experiment, label, given) for label in KNOWN}
    losses = adapt(grown, given, num_epochs=6, lr=1e-2, batch_size=2)
    assert len(losses) == 6 and losses[-1] < losses[0]
    after = bits(grown.model)
    assert before.keys() == after.keys()
    for name, value in before.items():
        if name != ROWS:
            assert torch.equal(after[name], value), name
    assert (after[ROWS] - before[ROWS])[:2].abs().min() > 0
    assert torch.equal(after[ROWS][2], before[ROWS][2]), "of Hum there is no mixture"
    for label, expected in extracted.items():
        assert torch.equal(targets(grown, label, given), expected)
    assert not grown.model.training


def test_the_first_loss_is_eq_6_and_the_first_step_is_adams(grown):
    """Of a gradient g, Adam's first step is -lr g / (|g| + eps); here g is a finite difference."""
    given = mixtures()
    before = grown.model.conditioners["class"].new.weight.detach().clone()

    def loss():
        each = [snr_loss(one.target, targets(grown, one.label, [one])[0].numpy()) for one in given]
        return np.mean(each)

    first = loss()
    signs, weight = np.zeros((2, 6)), grown.model.conditioners["class"].new.weight.data
    for place in np.ndindex(2, 6):
        sides = []
        for step in (1e-2, -1e-2):
            weight[place] = before[place] + step
            sides.append(loss())
        weight[place] = before[place]
        if abs(sides[0] - sides[1]) > 1e-4:
            signs[place] = np.sign(sides[0] - sides[1])
    assert np.count_nonzero(signs) > 6
    losses = adapt(grown, given, num_epochs=1, lr=1e-3, batch_size=8)
    assert losses[0] == pytest.approx(first, abs=1e-4)
    moved = (weight - before)[:2].numpy()
    np.testing.assert_allclose(moved[signs != 0], -1e-3 * signs[signs != 0], rtol=1e-3)


def test_the_mean_loss_of_an_epoch_counts_mixtures_not_batches(grown, monkeypatch):
    given = mixtures()
    monkeypatch.setattr(torch.optim.Adam, "step", lambda self: None)
    by_two = adapt(grown, given, num_epochs=2, batch_size=2)
    assert by_two == pytest.approx(adapt(grown, given, num_epochs=2, batch_size=5), abs=1e-4)
    assert by_two[0] == pytest.approx(by_two[1], abs=1e-4)


def test_the_same_seed_gives_the_same_bits_and_another_order_others(experiment):
    rows = torch.randn(2, 6, generator=torch.Generator().manual_seed(1))
    found = []
    for seed in (1, 1, 2):
        grown = add_classes(experiment, dict(zip(("Siren", "Gong"), rows)))
        adapt(grown, mixtures(), num_epochs=2, lr=1e-2, batch_size=2, seed=seed)
        found.append(grown.model.conditioners["class"].matrix())
    assert torch.equal(found[0], found[1]) and not torch.equal(found[0], found[2])


def test_every_epoch_sees_every_mixture_once_in_another_order(grown):
    seen = []

    class Watched(list):
        def __getitem__(self, index):
            seen.append(index)
            return super().__getitem__(index)

    adapt(grown, Watched(mixtures() * 4), num_epochs=3, batch_size=8)
    epochs = [tuple(seen[start : start + 20]) for start in (0, 20, 40)]
    assert [sorted(epoch) for epoch in epochs] == [list(range(20))] * 3
    assert len(set(epochs)) == 3


def test_the_model_of_the_caller_is_only_the_grown_one(experiment, grown):
    before = bits(experiment.model)
    adapt(grown, mixtures(), num_epochs=1)
    assert all(torch.equal(value, before[name]) for name, value in bits(experiment.model).items())


@pytest.mark.parametrize(
    "given, options, message",
    [
        (["Siren", "Bark"], {}, r"of a new class \(Siren, Gong, Hum\), found 'Bark'"),
        ([], {}, "expected mixtures to adapt with, found none"),
        (["Siren"], {"num_epochs": 0}, "num_epochs: expected at least 1, found 0"),
        (["Siren"], {"batch_size": 0}, "batch_size: expected at least 1, found 0"),
        (["Siren"], {"lr": 0.0}, "lr: expected a positive number, found 0.0"),
        (["Siren"], {"lr": float("nan")}, "lr: expected a positive number, found nan"),
    ],
)
def test_what_cannot_be(grown, given, options, message):
    with pytest.raises(TSXError, match=message):
        adapt(grown, mixtures(given), **options)


def test_other_lengths_and_no_number(grown, experiment):
    with pytest.raises(TSXError, match=r"expected one length, found \[300, 400\] samples"):
        adapt(grown, mixtures(("Siren",), 300) + mixtures(("Gong",), 400))
    bad = mixtures(("Siren",))
    bad[0].mixture[3] = np.nan
    with pytest.raises(TSXError, match="the loss is nan in epoch 1"):
        adapt(grown, bad)
    with pytest.raises(TSXError, match="expected a model with new classes, found none"):
        adapt(experiment, mixtures())


def drawn(clips, labels=("Siren", "Gong"), number=30, known=KNOWN, mixing=MIXING, seed=0):
    config = {"fs": FS, "mixing_conf": mixing}
    return DrawnMixtures(config, known, labels, *clips, number=number, seed=seed)


def test_drawn_mixtures_hold_one_example_and_it_is_the_target(clips):
    found = drawn(clips)
    assert len(found) == 30
    seen = set()
    for number in range(30):
        one, plan = found[number], found.plan(number)
        assert one.mixture.shape == one.target.shape == (3200,)
        assert one.mixture.dtype == one.target.dtype == np.float32
        sources = [source.clip.split(".")[0] for source in plan.sources]
        assert sorted(sources) == ["new", "train"] and sources[plan.target] == "new"
        label = plan.sources[plan.target].label
        assert one.label == label and label in ("Siren", "Gong")
        seen.add(plan.sources[plan.target].clip)
        again = found[number]
        assert np.array_equal(one.mixture, again.mixture)
    assert seen == {"new.Gong0", "new.Siren0", "new.Siren1"}
    np.testing.assert_array_equal(drawn(clips)[3].mixture, found[3].mixture)
    assert not np.array_equal(drawn(clips, seed=1)[3].mixture, found[3].mixture)


def test_drawn_mixtures_are_mixed_as_in_training_but_of_random_classes(clips):
    mixing = {**MIXING, "duration": 0.3, "num_sources": 3, "strategy": "same", "enrollments": 2}
    found = drawn(clips, mixing=mixing)
    assert found[0].mixture.shape == (2400,) and len(found.plan(0).sources) == 3


def test_classes_that_the_model_does_not_know_are_not_mixed_in(clips):
    found = drawn(clips, known=("Bark", "Meow"))
    labels = {source.label for number in range(20) for source in found.plan(number).sources}
    assert labels == {"Bark", "Meow", "Siren", "Gong"}


def test_drawn_mixtures_that_cannot_be(clips, tmp_path, format_clips):
    with pytest.raises(TSXError, match="holds clips of the new class 'Rain'"):
        drawn(clips, labels=("Rain",), known=("Bark", "Meow"))
    with pytest.raises(TSXError, match="expected an example of Hum of 0.1 s .* found none"):
        drawn(clips, labels=("Siren", "Hum"))
    with pytest.raises(TSXError, match="was trained on a fixed set of mixtures"):
        drawn(clips, mixing=None)
    with pytest.raises(TSXError, match="num_mixtures: expected at least 1, found 0"):
        drawn(clips, number=0)
    other = format_clips(tmp_path / "other", {"Bark": 1, "Meow": 1}, 2 * FS)
    with pytest.raises(TSXError, match="expected 8000 Hz as the model, found 16000 Hz"):
        drawn((other, clips[1]))


@pytest.fixture(scope="module", params=[1, "all"])
def written(request, clips, tmp_path_factory):
    """The set is the same with ``num_targets: all``: its new sound is the only target."""
    directory = tmp_path_factory.mktemp("mix") / "adapt"
    config = MixingConfig.from_dict({**MIXING, "num_targets": request.param})
    sampler = Sampler(ClipSet(clips), config, new_classes=["Siren", "Gong"], target="new")
    write_mixtures(sampler, 6, 0, directory)
    return directory


def test_a_set_of_stage_3_and_what_is_drawn_are_the_same_mixtures(written, clips, experiment):
    """The same seed, clips and config; one was written to files, the other is made in memory."""
    fixed = FixedMixtures(written, ("Siren", "Gong"), FS)
    made = drawn(clips, number=6)
    assert len(fixed) == 6
    for one, other in zip(fixed, made):
        assert one.label == other.label
        np.testing.assert_array_equal(one.mixture, other.mixture)
        np.testing.assert_array_equal(one.target, other.target)
    rows = torch.randn(2, 6, generator=torch.Generator().manual_seed(1))
    grown = [add_classes(experiment, dict(zip(("Siren", "Gong"), rows))) for _ in range(2)]
    losses = [adapt(one, given, num_epochs=2) for one, given in zip(grown, (fixed, made))]
    assert losses[0] == losses[1]


def copy_of(directory, out):
    """The tables of a set; its audio stays where it is."""
    for path in directory.iterdir():
        if path.is_file():
            (out / path.name).parent.mkdir(exist_ok=True)
            (out / path.name).write_bytes(path.read_bytes())
    return out


def test_fixed_sets_that_cannot_be(written, tmp_path):
    with pytest.raises(TSXError, match=r"not a complete mixture set; run mix"):
        FixedMixtures(tmp_path, ("Siren", "Gong"), FS)
    with pytest.raises(TSXError, match=r"utt2class: mix0000\d: expected a target of a new class"):
        FixedMixtures(written, ("Siren",), FS)
    with pytest.raises(TSXError, match="expected 16000 Hz, found 8000 Hz"):
        FixedMixtures(written, ("Siren", "Gong"), 2 * FS)
    spoilt = copy_of(written, tmp_path / "set")
    wavs = read_table(spoilt / "wav.scp")
    write_float_wav(tmp_path / "short.wav", np.ones(100, dtype=np.float32), FS)
    write_table(spoilt / "wav.scp", {**wavs, "mix00002": tmp_path / "short.wav"})
    with pytest.raises(TSXError, match="one length, found 3200 samples in .*, 100 samples"):
        FixedMixtures(spoilt, ("Siren", "Gong"), FS)
    write_table(spoilt / "wav.scp", wavs)
    del wavs["mix00004"]
    write_table(spoilt / "spk1.scp", wavs)
    mark_done(spoilt)
    with pytest.raises(TSXError, match="spk1.scp: not the mixtures of wav.scp: 1 of 6"):
        FixedMixtures(spoilt, ("Siren", "Gong"), FS)
