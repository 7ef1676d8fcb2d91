"""The whole way from a mixture to waveforms: lengths, levels, sums, batches, gradients."""

import io
import math

import pytest
import small_parts
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tsx_espnet.conditioner.embedding import ConditionEmbedding
from tsx_espnet.conditions import CONDITIONS, UNCONDITIONAL
from tsx_espnet.parts import OURS, find

SPEAKERBEAM = {
    "extractor": "td_speakerbeam",
    "extractor_conf": {
        "layer": 2,
        "stack": 1,
        "bottleneck_dim": 6,
        "hidden_dim": 8,
        "skip_dim": 6,
        "i_adapt_layer": 1,
        "adapt_enroll_dim": 6,
        "use_spk_emb": True,
        "spk_emb_dim": 6,
    },
}
# small sizes of the registered extractors; any that is not here is built with its defaults
CONV_TASNET = {
    "extractor": "conv_tasnet",
    "extractor_conf": {"bottleneck_dim": 8, "hidden_dim": 12, "layer": 2, "stack": 2},
}
TDCN = {
    "extractor": "tdcn",
    "extractor_conf": {"bottleneck_channels": 8, "hidden_channels": 12, "num_blocks": 2},
}
CHANGES = {"sudormrf": {}, "conv_tasnet": CONV_TASNET, "tdcn": TDCN}
EXTRACTORS = {name: CHANGES.get(name, {"extractor": name}) for name in OURS["extractor"]}
EXTRACTORS["td_speakerbeam"] = SPEAKERBEAM
FILTERBANKS = [(21, 10), (20, 10), (9, 4), (5, 5), (12, 11), (16, 1)]  # kernel size, stride
STFT = {"encoder": "stft", "decoder": "stft"}
STFT.update(dict.fromkeys(("encoder_conf", "decoder_conf"), {"n_fft": 64, "hop_length": 32}))


@pytest.fixture(params=sorted(EXTRACTORS))
def model(request, make_model):
    return make_model(**EXTRACTORS[request.param])


def noise(size=2, length=400, seed=0, level=0.1):
    return level * torch.randn(size, length, generator=torch.Generator().manual_seed(seed))


def energy(model, *values):
    """The condition "low" (0) or "high" (1) for each mixture."""
    return model.embed({**batch_of(model, len(values)), "energy": torch.tensor(values)[:, None]})[
        "energy"
    ]


def batch_of(model, size, length=400, seed=0):
    """Values of all conditions, each not applicable in the last mixture."""
    generator = torch.Generator().manual_seed(seed)
    batch = {}
    for name in CONDITIONS:
        if name == "text":
            batch["text"] = torch.randn(size, 1, 8, generator=generator)
            batch["text_lengths"] = torch.tensor([1] * (size - 1) + [0])
        elif name == "enrollment":
            batch["enrollment"] = torch.randn(size, 150, generator=generator)
            batch["enrollment_lengths"] = torch.tensor([150, 70, 20][: size - 1] + [0])
        else:
            batch[name] = torch.tensor([[0], [1]] * size)[: size - 1].tolist() + [[-1]]
            batch[name] = torch.tensor(batch[name])
    return batch


@pytest.mark.parametrize("length", [1, 2, 3, 4, 5, 8, 9, 10, 77, 400])
def test_lengths_and_sum(model, length):
    mixture = noise(length=length)
    target, other = model.extract(mixture, energy(model, 0, 1)).unbind(dim=1)
    assert target.shape == other.shape == (2, length)
    assert target.isfinite().all()
    torch.testing.assert_close(target + other, mixture, atol=1e-6, rtol=1e-5)


@pytest.fixture(scope="module")
def filterbanks(make_model):
    models = {}

    def make(kernel_size, stride):
        if (kernel_size, stride) not in models:
            conf = {"channel": 4, "kernel_size": kernel_size, "stride": stride}
            models[kernel_size, stride] = make_model(encoder_conf=conf, decoder_conf=conf)
        return models[kernel_size, stride]

    return make


@settings(deadline=None, max_examples=80)
@given(
    length=st.one_of(st.integers(1, 100), st.integers(7950, 8050)),
    sizes=st.sampled_from(FILTERBANKS),
)
def test_any_length_under_any_filterbank(filterbanks, length, sizes):
    model = filterbanks(*sizes)
    mixture = noise(1, length)
    target, other = model.extract(mixture, energy(model, 1)).unbind(dim=1)
    assert target.shape == other.shape == (1, length)
    torch.testing.assert_close(target + other, mixture, atol=1e-6, rtol=1e-5)


@settings(deadline=None, max_examples=40)
@given(length=st.integers(1, 300), sizes=st.sampled_from(FILTERBANKS))
def test_every_sample_lies_in_as_many_frames(filterbanks, length, sizes):
    """An encoder and decoder of ones count the frames a sample is in; none stands out."""
    kernel_size, stride = sizes
    model = filterbanks(kernel_size, stride)
    before, after = model._padding(length)
    frames = range((before + length + after - kernel_size) // stride + 1)
    covered = [0] * (before + length + after)
    for frame in frames:
        for sample in range(frame * stride, frame * stride + kernel_size):
            covered[sample] += 1
    inner = covered[before : before + length]
    assert min(inner) >= math.floor(kernel_size / stride)
    assert max(inner) <= math.ceil(kernel_size / stride)


@pytest.mark.parametrize("length", [1, 7, 20, 77, 400])
@pytest.mark.parametrize("kernel_size, stride", [(8, 4), (5, 5), (16, 1)])
def test_nothing_is_moved(make_model, length, kernel_size, stride):
    """One base a sample, no mask: the frames add up to the mixture, K / S times, ends included."""
    conf = {"channel": kernel_size, "kernel_size": kernel_size, "stride": stride}
    model = make_model(encoder_conf=conf, decoder_conf=conf)
    bases = torch.eye(kernel_size).unsqueeze(1)
    model.encoder.conv1d.weight.data = model.decoder.convtrans1d.weight.data = bases
    model.extractor.extract = lambda feature, *_: feature.unsqueeze(1)
    mixture = noise(length=length).abs()  # the encoder is rectified
    target = model.extract(mixture, energy(model, 0, 1))[:, 0]
    torch.testing.assert_close(target * stride / kernel_size, mixture)


@pytest.mark.parametrize("length", [1, 100, 400])
@pytest.mark.parametrize(
    "changes", [SPEAKERBEAM, CONV_TASNET], ids=["td_speakerbeam", "conv_tasnet"]
)
def test_spectral_filterbank(make_model, length, changes):
    model = make_model(**STFT, **changes)
    mixture = noise(length=length)
    target, other = model.extract(mixture, energy(model, 0, 1)).unbind(dim=1)
    assert target.shape == (2, length) and target.isfinite().all()
    torch.testing.assert_close(target + other, mixture, atol=1e-6, rtol=1e-5)


@settings(deadline=None, max_examples=30)
@given(exponent=st.floats(-4, 4))
def test_the_level_is_kept(make_model, exponent):
    model = make_model()
    mixture, gain = noise(), 10**exponent  # -80 dB to +80 dB
    condition = energy(model, 0, 1)
    target, other = model.extract(mixture, condition).unbind(dim=1)
    louder_target, louder_other = model.extract(gain * mixture, condition).unbind(dim=1)
    torch.testing.assert_close(louder_target / gain, target, atol=1e-5, rtol=1e-3)
    torch.testing.assert_close(louder_other / gain, other, atol=1e-5, rtol=1e-3)


@pytest.mark.parametrize("value", [0.0, 0.3])
def test_silence_and_direct_current(model, value):
    mixture = torch.full((2, 400), value, requires_grad=True)
    target, other = model.extract(mixture, energy(model, 0, 1)).unbind(dim=1)
    assert target.isfinite().all() and other.isfinite().all()
    if value == 0:
        assert target.abs().max() < 1e-6
    (target.square().sum() + other.square().sum()).backward()
    assert mixture.grad.isfinite().all()


def test_batch_item_is_single_item_and_twice_is_twice(model):
    mixture, condition = noise(3), energy(model, 0, 1, 1)
    together = model.extract(mixture, condition)
    assert torch.equal(together, model.extract(mixture, condition))
    for row in range(3):
        alone = model.extract(mixture[row : row + 1], condition.select(torch.tensor([row])))
        torch.testing.assert_close(alone[0], together[row], atol=1e-6, rtol=1e-4)


def test_some_rows_of_a_batch(model):
    mixture = noise(3)
    encoded = model.encode(mixture, torch.full((3,), 400))
    condition = energy(model, 1, 0)
    rows = torch.tensor([2, 0])
    found = model.separate(encoded, condition, rows)
    torch.testing.assert_close(found, model.extract(mixture[rows], condition), atol=1e-6, rtol=1e-4)


def test_what_all_conditions_share_is_computed_once_a_mixture(make_model):
    model = make_model(**CONV_TASNET)
    sizes = []
    for stack in model.extractor.tcn.stacks:
        sizes.append([])
        stack[0].register_forward_hook(
            lambda _, inputs, __, found=sizes[-1]: found.append(len(inputs[0]))
        )
    encoded = model.encode(noise(3), torch.full((3,), 400))
    assert sizes == [[3], []]
    for values in ((0, 0, 0), (1, 1, 1)):
        model.separate(encoded, energy(model, *values))
    rows = torch.tensor([2, 0, 2, 1])
    model.separate(encoded, energy(model, 1, 0, 1, 0), rows)
    assert sizes == [[3], [3, 3, 4]]


def test_two_paths_of_a_mixture_share_what_comes_before_the_condition(make_model):
    """SoundBeam's mixed training: one pass of the first stack, two of the others, as one batch."""
    options = {"objective": "mixed", "criterions": [{"name": "snr"}], **CONV_TASNET}
    model = make_model(**options).train()
    sizes = []
    for part in (model.encoder, *(stack[0] for stack in model.extractor.tcn.stacks)):
        sizes.append([])
        part.register_forward_hook(
            lambda _, inputs, __, found=sizes[-1]: found.append(len(inputs[0]))
        )
    loss, _, _ = model(noise(4), noise(4, seed=1), **batch_of(model, 4))
    assert sizes == [[4], [4], [6]]  # nothing applies to the last mixture
    first = model.extractor.tcn.stacks[0][0].expand.weight
    (shared,) = torch.autograd.grad(loss, first)

    model.extractor.prepare = lambda feature, lengths: None  # each path by itself
    prepare = type(model.extractor).prepare
    extract = model.extractor.extract
    model.extractor.extract = lambda feature, lengths, condition, prepared: extract(
        feature, lengths, condition, prepare(model.extractor, feature, lengths)
    )
    apart, _, _ = model(noise(4), noise(4, seed=1), **batch_of(model, 4))
    assert sizes[1] == [4, 6]
    torch.testing.assert_close(apart, loss)
    torch.testing.assert_close(torch.autograd.grad(apart, first)[0], shared, atol=1e-5, rtol=1e-4)


def test_the_condition_decides(model):
    mixture = noise(1)
    low, high = (model.extract(mixture, energy(model, value))[:, 0] for value in (0, 1))
    assert (low - high).abs().max() > 1e-5


def test_save_load_equal_output(make_model):
    for name, changes in EXTRACTORS.items():
        model, loaded = make_model(seed=0, **changes), make_model(seed=1, **changes)
        file = io.BytesIO()
        torch.save(model.state_dict(), file)
        mixture = noise()
        expected = model.extract(mixture, energy(model, 0, 1))
        assert not torch.equal(loaded.extract(mixture, energy(loaded, 0, 1)), expected), name
        loaded.load_state_dict(torch.load(io.BytesIO(file.getvalue()), weights_only=True))
        assert torch.equal(loaded.extract(mixture, energy(loaded, 0, 1)), expected), name


def test_zeros_at_the_end_of_a_shorter_mixture_do_not_change_its_level(make_model):
    """The lengths tell silence that was recorded from silence that was padded."""
    model = make_model()
    mixture = noise(1)
    padded = torch.nn.functional.pad(mixture, (0, 400))
    level = model.encode(padded, torch.tensor([400])).level
    assert level.item() == pytest.approx(mixture.square().mean().sqrt().item(), rel=1e-5)
    level = model.encode(padded, torch.tensor([800])).level
    assert level.item() == pytest.approx((mixture.square().mean() / 2).sqrt().item(), rel=1e-5)


def test_embed_reads_the_batch(make_model):
    model = make_model()
    batch = batch_of(model, 3)
    conditions = model.embed(batch)
    assert tuple(conditions) == tuple(CONDITIONS)
    for name, condition in conditions.items():
        assert isinstance(condition, ConditionEmbedding)
        assert condition.embedding.shape == (3, 1, 6)
        assert condition.applicable.tolist() == [True, True, False], name
    table = model.conditioners["order"].table.weight
    torch.testing.assert_close(conditions["order"].vector()[1], table[1])


@pytest.mark.parametrize("number", [1, 2, 3, 4])
@pytest.mark.parametrize("kind", ["uniform", "energy", "predicted"])
def test_every_consistency(make_model, tiny_config, kind, number):
    extractor_conf = {**tiny_config["extractor_conf"], "num_outputs": number}
    model = make_model(consistency=kind, extractor_conf=extractor_conf)
    mixture = noise()
    outputs = model.extract(mixture, energy(model, 0, 1))
    assert outputs.shape == (2, max(2, number), 400)
    torch.testing.assert_close(outputs.sum(dim=1), mixture, atol=1e-6, rtol=1e-5)


def test_without_consistency_the_decoders_outputs_are_left_alone(make_model):
    model, uniform = make_model(consistency=None), make_model(consistency="uniform")
    uniform.load_state_dict(model.state_dict())
    mixture = noise()
    raw = model.extract(mixture, energy(model, 0, 1))
    expected = raw + (mixture - raw.sum(dim=1)).unsqueeze(1) / 2
    found = uniform.extract(mixture, energy(model, 0, 1))
    torch.testing.assert_close(found, expected, atol=1e-6, rtol=1e-4)
    assert (raw.sum(dim=1) - mixture).abs().max() > 1e-3


UNQUERIED = {"pit", "guided"}  # objectives of models without queries
EXTRA_STATS = {
    "mixed": {"embedding_distance"},
    "octpp": {"refiner_dead", "refiner_mixture_to_text"},
    "guided": {"guidance"},
}


def needed_options(objective):
    if find("objective", objective).needs_refiner:
        return {"refiner": "mixture", "refiner_conf": {"channels": 8}}
    return {}


@pytest.mark.parametrize("objective", sorted(OURS["objective"]))
@pytest.mark.parametrize("mode", [True, False])
def test_training_forward(make_model, objective, mode, monkeypatch, tmp_path):
    options, names = needed_options(objective), CONDITIONS
    if objective in UNQUERIED:
        options, names = {"conditions": {UNCONDITIONAL: {}}}, [UNCONDITIONAL]
    if objective == "guided":
        small_parts.register(monkeypatch)
        options["conditions"] = {UNCONDITIONAL: {"conditioner": "classifier", "pretrained": "ears"}}
        options["objective_conf"] = {"pretrained": "ears"}
        options["pretrained"] = {"ears": str(small_parts.write_ears(tmp_path))}
    model = make_model(objective=objective, **options).train(mode)
    mixture = noise(3)
    loss, stats, weight = model(
        speech_mix=mixture,
        speech_ref1=0.5 * noise(3, seed=1),
        speech_mix_lengths=torch.full((3,), 400),
        **{**batch_of(model, 3), UNCONDITIONAL: torch.zeros(3, 1).long()},
    )
    assert loss.numel() == 1 and loss.isfinite() and weight.item() == 3
    assert stats["loss"].item() == loss.item()
    names = {f"{k}_{n}" for k in ("loss", "si_sdr", "best") for n in names} | {"loss"}
    assert set(stats) == names | EXTRA_STATS.get(objective, set())
    if mode:
        loss.backward()
        grads = [p.grad for p in model.parameters() if p.grad is not None]
        assert grads and all(grad.isfinite().all() for grad in grads)
        for part in (model.encoder, model.extractor, model.decoder):
            assert any(p.grad.abs().sum() > 0 for p in part.parameters() if p.grad is not None)


@pytest.mark.parametrize("objective", sorted(set(OURS["objective"]) - UNQUERIED))
def test_a_batch_that_nothing_can_be_asked_of_is_a_step_without_learning(make_model, objective):
    """Training on order alone ended, one batch in ten thousand, in a RuntimeError of torch's: the
    zero loss was a leaf of the graph, and ESPnet's trainer divides the loss in place."""
    model = make_model(objective=objective, **needed_options(objective)).train()
    batch = {name: torch.full((3, 1), -1) for name in CONDITIONS}
    batch.update(text=torch.zeros(3, 1, 8), text_lengths=torch.zeros(3).long())
    batch.update(enrollment=torch.zeros(3, 0), enrollment_lengths=torch.zeros(3).long())
    loss, _, _ = model(speech_mix=noise(3), speech_ref1=noise(3, seed=1), **batch)
    loss /= 2
    loss.backward()
    assert loss.item() == 0
    assert all(p.grad is None or not p.grad.any() for p in model.parameters())


def test_the_other_reference_is_by_default_the_rest_of_the_mixture(make_model):
    model = make_model()
    mixture, target = noise(3), 0.5 * noise(3, seed=1)
    batch = batch_of(model, 3)
    with torch.no_grad():
        loss, _, _ = model(mixture, target, **batch)
        given_loss, _, _ = model(mixture, target, mixture - target, **batch)
        other_loss, _, _ = model(mixture, target, noise(3, seed=5), **batch)
    assert loss == given_loss != other_loss


def test_the_loss_is_what_extracting_and_measuring_gives(make_model):
    from torchmetrics.functional.audio import scale_invariant_signal_distortion_ratio as measure

    model = make_model(objective="single", objective_conf={"condition": "order"})
    mixture, target = noise(3), 0.5 * noise(3, seed=1)
    batch = batch_of(model, 3)
    with torch.no_grad():
        loss, stats, _ = model(mixture, target, **batch)
        found, rest = model.extract(mixture, model.embed(batch)["order"]).unbind(dim=1)
    target_ratio = measure(found[:2], target[:2], zero_mean=True)  # not applicable in the third
    rest_ratio = measure(rest[:2], (mixture - target)[:2], zero_mean=True)
    assert loss.item() == pytest.approx(-(target_ratio + rest_ratio).mean().item(), abs=0.01)
    assert stats["si_sdr_order"].item() == pytest.approx(target_ratio.mean().item(), abs=0.01)


def test_distance_is_the_weighted_sum_of_the_criterions(make_model):
    model = make_model(
        criterions=[
            {"name": "si_sdr", "wrapper_conf": {"weight": 0.5}},
            {"name": "si_sdr", "conf": {"eps": 1e-2}, "wrapper": "fixed_order"},
        ]
    )
    ref, est = noise(), noise(seed=1)
    criterion = find("criterion", "si_sdr")
    expected = 0.5 * criterion()(ref, est) + criterion(eps=1e-2)(ref, est)
    torch.testing.assert_close(model.criterions(ref, est), expected)


def test_nothing_is_collected(make_model):
    assert make_model().collect_feats(speech_mix=noise()) == {}
