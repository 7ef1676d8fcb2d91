"""TDCN++ in a model: spectra and learned bases, one pass and two, with a condition and without."""

import pytest
import small_parts
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tsx_espnet.conditioner.embedding import ConditionEmbedding
from tsx_espnet.conditions import UNCONDITIONAL
from tsx_espnet.errors import TSXError
from tsx_espnet.extractor.tdcn import TDCNExtractor

SIZES = {"bottleneck_channels": 6, "hidden_channels": 8, "num_repeats": 2, "num_blocks": 2}
STFT = {"encoder": "stft", "decoder": "stft"}
STFT.update(dict.fromkeys(("encoder_conf", "decoder_conf"), {"n_fft": 64, "hop_length": 32}))
NULL = {UNCONDITIONAL: {"conditioner": "null"}}
ALL = ["mixture", "estimates"]


@pytest.fixture(autouse=True)
def more_parts(monkeypatch):
    small_parts.register(monkeypatch)


def tdcn(objective="pit", **options):
    sizes = {**SIZES, **options}
    return {"extractor": "tdcn", "extractor_conf": sizes, "objective": objective}


def hearing(hears, number):
    return {UNCONDITIONAL: {"conditioner": "envelopes", "hears": hears, "number": number}}


def noise(*shape, seed=0, level=0.1):
    return level * torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def passes(model, mixture):
    encoded = model.encode(mixture, torch.full((len(mixture),), mixture.shape[1]))
    batch = {UNCONDITIONAL: torch.zeros(len(mixture), 1).long()}
    condition = model.embed(batch, encoded)[UNCONDITIONAL]
    return [outputs for outputs, _ in model.passes(encoded, condition)]


@pytest.fixture(params=[1, 2, 3, 4])
def iterative(request, make_model):
    """Models of M outputs and two passes: blind, hearing, on learned bases."""
    number = request.param
    later = {"conditions": hearing(ALL, 1 + max(2, number))}
    plain = tdcn(num_outputs=number, fusion="none")
    heard = tdcn(num_outputs=number)
    return [
        make_model(conditions=NULL, later=[{}], **plain, **STFT),
        make_model(conditions=NULL, later=[{}], **plain),
        make_model(conditions=hearing(["mixture"], 1), later=[later], **heard, **STFT),
    ]


def test_outputs_of_both_passes_add_up_to_the_mixture(iterative):
    @settings(max_examples=15)
    @given(length=st.integers(1, 500), level=st.floats(-6, 4), seed=st.integers(0, 99))
    def check(length, level, seed):
        mixture = noise(2, length, seed=seed, level=10**level)
        for model in iterative:
            outputs = passes(model, mixture)
            assert len(outputs) == 2
            for one in outputs:
                assert one.shape == (2, max(2, model.extractor.num_outputs), length)
                largest = mixture.abs().max().item()
                torch.testing.assert_close(one.sum(1), mixture, atol=2e-6 * largest, rtol=0)

    check()


def test_consistent_masks_are_mixture_consistency_with_learned_weights(make_model):
    """Wisdom et al. 2019: ``ŝ_j + w_j (x - Σ ŝ_k)`` of waveforms, ``w`` softmax of a linear map."""
    options = {"conditions": NULL, "consistency": None, **STFT}
    model = make_model(**options, **tdcn(num_outputs=3, fusion="none", consistent_masks=True))
    plain = make_model(**options, **tdcn(num_outputs=3, fusion="none"))
    state = model.state_dict()
    shares = state.pop("extractor.network.shares.weight")
    plain.load_state_dict(state)
    mixture = noise(2, 400)
    last = []
    plain.extractor.network.mask.register_forward_pre_hook(lambda _, given: last.append(given[0]))
    (estimates,) = passes(plain, mixture)
    weights = torch.softmax(last[0].mean(dim=2) @ shares.T, dim=1).unsqueeze(2)
    residual = (mixture - estimates.sum(dim=1)).unsqueeze(1)
    (found,) = passes(model, mixture)
    torch.testing.assert_close(found, estimates + weights * residual, atol=1e-6, rtol=1e-4)
    torch.testing.assert_close(found.sum(dim=1), mixture, atol=1e-6, rtol=1e-5)
    assert residual.abs().max() > 1e-2 and weights.std() > 1e-3


def parameters_of(model):
    return sum(p.numel() for p in model.extractor.parameters())


def test_a_model_without_a_condition_does_not_pay_for_one(make_model):
    embedding = {"embedding_dim": 6}
    blind = make_model(conditions=NULL, **embedding, **tdcn(fusion="none"))
    concat = make_model(conditions=NULL, **embedding, **tdcn())
    gate = make_model(conditions=NULL, **embedding, **tdcn(fusion="gate"))
    everywhere = make_model(conditions=NULL, **embedding, **tdcn(everywhere=True))
    # the condition's 6 channels enter block 0 (8 channels) and its long skip (6)
    assert parameters_of(concat) == parameters_of(blind) + 6 * (8 + 6)
    assert parameters_of(everywhere) == parameters_of(blind) + 6 * (4 * 8 + 6)
    assert parameters_of(gate) == parameters_of(blind)


@pytest.mark.parametrize(
    "changes, message",
    [
        (
            {"conditions": {"energy": {}}, **tdcn("hct", fusion="none")},
            r"--extractor tdcn takes null, .* energy \(OneHotConditioner\) gives vector",
        ),
        (
            {"conditions": {"text": {"conditioner": "words"}}, **tdcn("hct")},
            r"--extractor tdcn takes vector or timed, .* text \(Words\) gives tokens",
        ),
        ({"embedding_dim": 5, **tdcn(fusion="gate")}, "extractor_conf of tdcn: fusion gate"),
        (tdcn(fusion="none", everywhere=True), "extractor_conf of tdcn: everywhere"),
        (tdcn(fusion="film"), "extractor_conf of tdcn: fusion: .* none, concat, gate"),
        (tdcn(num_masks=3), "extractor_conf of tdcn: no option 'num_masks'"),
    ],
)
def test_what_does_not_fit_is_refused(make_model, changes, message):
    with pytest.raises(TSXError, match=message):
        make_model(**changes)


@pytest.mark.parametrize("fusion", ["concat", "gate"])
@pytest.mark.parametrize("everywhere", [False, True])
def test_timed_conditions_are_heard_at_their_frames(fusion, everywhere):
    torch.manual_seed(0)
    extractor = TDCNExtractor(5, 6, fusion=fusion, everywhere=everywhere, **SIZES).eval()
    feature, lengths = torch.rand(2, 30, 5), torch.full((2,), 30)
    short = ConditionEmbedding(torch.randn(2, 3, 6), torch.ones(2, 3).bool(), timed=True)
    longer = short.embedding.repeat_interleave(10, dim=1)
    repeated = ConditionEmbedding(longer, torch.ones(2, 30).bool(), timed=True)
    found = extractor.extract(feature, lengths, short)
    torch.testing.assert_close(found, extractor.extract(feature, lengths, repeated))
    mean = ConditionEmbedding(short.embedding, short.mask)
    assert (extractor.extract(feature, lengths, mean) - found).abs().max() > 1e-4


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_mixed_precision_on_spectra(make_model, dtype):
    """Layers of half precision, masks and complex spectra of single precision, and back."""
    heard = {"conditions": hearing(ALL, 3)}
    options = {"consistency": None, **tdcn(consistent_masks=True), **STFT}
    model = make_model(conditions=hearing(["mixture"], 1), later=[heard], **options).train()
    sources = noise(3, 2, 400, seed=1)
    mixture, value = sources.sum(dim=1), torch.zeros(3, 1).long()

    def loss():
        model.zero_grad()
        found, _, _ = model(mixture, sources[:, 0], sources[:, 1], **{UNCONDITIONAL: value})
        found.sum().backward()
        return found.detach(), torch.cat([p.grad.flatten() for p in model.parameters()])

    expected, gradient = loss()
    with torch.autocast("cpu", dtype=dtype):
        found, rough = loss()
        outputs = passes(model, mixture)
    for one in outputs:
        assert one.dtype == torch.float32
        torch.testing.assert_close(one.sum(dim=1), mixture, atol=1e-6, rtol=1e-5)
    torch.testing.assert_close(found, expected, atol=0.2, rtol=0)
    assert rough.isfinite().all()
    assert torch.cosine_similarity(rough, gradient, dim=0) > 0.98


def test_a_model_learns_to_tell_a_low_sound_from_a_high_one(make_model):
    """Two tones, one below and one above 1 kHz, of random phase: 15 dB each after 25 steps."""
    torch.manual_seed(0)
    options = {"conditions": NULL, "criterions": [{"name": "thresholded_snr"}], **STFT}
    model = make_model(**options, **tdcn(fusion="none")).train()
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-2)
    time = torch.arange(400) / 8000
    for _ in range(25):
        low = 200 + 600 * torch.rand(4, 1)
        frequency = torch.stack([low, 1500 + 5 * low], dim=1)
        sources = torch.sin(2 * torch.pi * frequency * time + 6 * torch.rand(4, 2, 1))
        value = torch.zeros(4, 1).long()
        loss, _, _ = model(sources.sum(dim=1), sources[:, 0], **{UNCONDITIONAL: value})
        optimizer.zero_grad()
        loss.sum().backward()
        optimizer.step()
    assert loss.mean() < -30
