"""Classifiers over time: windows, and AST against transformers."""

import json
import shutil

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from tsx_espnet.errors import TSXError
from tsx_espnet.pretrained.classifier import WindowClassifier
from tsx_espnet.pretrained.store import load


class Extremes(WindowClassifier):
    """The "logits" of a clip: its first and its last sample, and their number."""

    labels = ("first", "last", "number")

    def __init__(self, window, hop, fs=100, level=1.0):
        super().__init__(window, hop, fs, level)
        self.unit = torch.nn.Parameter(torch.ones(()))

    def classify(self, clips):
        number = torch.full((len(clips),), float(clips.shape[1]))
        return torch.stack([clips[:, 0], clips[:, -1], number], dim=1)


@given(
    length=st.integers(1, 300),
    window=st.integers(1, 100),
    hop=st.integers(1, 120),
)
def test_windows_lie_around_their_frames_and_within_the_waveform(length, window, hop):
    classifier = Extremes(window / 100, hop / 100)
    assert (classifier.window, classifier.hop) == (window, hop)
    time = torch.arange(length).float()
    found = classifier(torch.stack([time, -time]))
    num_frames = -(-length // hop)
    assert found.shape == (2, num_frames, 3)
    first, last, number = found[0].T
    assert torch.equal(found[1, :, :2], -found[0, :, :2])
    assert (number == min(window, length)).all() and torch.equal(last - first, number - 1)
    for frame in range(num_frames):
        middle = frame * hop + hop // 2
        if window // 2 <= middle < length - window:  # away from the ends
            assert first[frame] == middle - window // 2
    assert first[0] >= 0 and last[-1] <= length - 1
    assert (first.diff() >= 0).all()


@pytest.mark.parametrize("options", [{"window": 0, "hop": 1}, {"window": 1, "hop": -0.1}])
def test_no_window_and_no_hop_are_refused(options):
    with pytest.raises(ValueError, match="expected seconds, at least 1 / 100, found"):
        Extremes(**options)


def test_the_level_is_a_factor_of_the_waveform():
    samples = torch.rand(2, 50)
    loud, quiet = (Extremes(0.1, 0.1, level=level)(samples) for level in (1.0, 0.25))
    assert torch.equal(quiet[..., :2], 0.25 * loud[..., :2])
    with pytest.raises(ValueError, match="level: expected a factor above 0, found 0"):
        Extremes(0.1, 0.1, level=0)


@pytest.fixture(scope="module")
def ast(tiny_ast):
    return load(tiny_ast).eval()


def sounds(seconds, rows=2, fs=16000):
    generator = torch.Generator().manual_seed(0)
    return 0.1 * torch.randn(rows, round(seconds * fs), generator=generator)


@pytest.mark.parametrize("seconds", [0.3, 0.64, 0.655, 3.0])
def test_a_clip_by_ast_is_as_transformers_classify_it(tiny_ast, ast, seconds):
    """Of 3 s, theirs is the first 0.64 s."""
    from transformers import ASTFeatureExtractor, ASTForAudioClassification

    samples = sounds(seconds)
    extractor = ASTFeatureExtractor.from_pretrained(tiny_ast)
    model = ASTForAudioClassification.from_pretrained(tiny_ast).eval()
    inputs = extractor(list(samples.numpy()), sampling_rate=16000, return_tensors="pt")
    with torch.no_grad():
        expected = model(**inputs).logits
        found = ast(samples)
    assert found.shape == (2, 1, 3) and ast.labels == ("Bark", "Rain", "Meow")
    torch.testing.assert_close(found[:, 0], expected, atol=1e-4, rtol=0)
    assert (found[0] - found[1]).abs().max() > 1e-3


def test_options_stand_in_pretrained_json(tiny_ast, tmp_path):
    directory = shutil.copytree(tiny_ast, tmp_path / "ast")
    about = {"kind": "ast", "window": 0.5, "hop": 0.1, "level": 0.5}
    (directory / "pretrained.json").write_text(json.dumps(about))
    classifier = load(directory).eval()
    assert (classifier.window, classifier.hop, classifier.fs) == (8000, 1600, 16000)
    samples = sounds(1.0)
    with torch.no_grad():
        found = classifier(samples)
        middle = classifier.classify(0.5 * samples[:, 4 * 1600 + 800 - 4000 :][:, :8000])
    assert found.shape == (2, 10, 3)
    torch.testing.assert_close(found[:, 4], middle)


def test_gradients_reach_the_waveform_by_finite_differences(tiny_ast):
    ast = load(tiny_ast).eval().double().requires_grad_(False)
    waveform = sounds(0.3, rows=1).double().requires_grad_()
    weights = torch.tensor([1.0, -2.0, 0.5], dtype=torch.double)

    def loss(x):
        return (ast(x) @ weights).sum()

    loss(waveform).backward()
    generator = torch.Generator().manual_seed(1)
    for _ in range(5):
        step = torch.randn(waveform.shape, dtype=torch.double, generator=generator)
        with torch.no_grad():
            slope = (loss(waveform + 1e-6 * step) - loss(waveform - 1e-6 * step)) / 2e-6
        torch.testing.assert_close((waveform.grad * step).sum(), slope, rtol=1e-4, atol=1e-8)


def test_layers_cover_all_weights_but_none_twice(ast):
    owned = [id(p) for layer in ast.layers() for p in layer.parameters()]
    assert len(owned) == len(set(owned))
    assert set(owned) == {id(parameter) for parameter in ast.parameters()}
    assert ast.layers()[-1] is ast.model.classifier


def test_settings_of_something_else_are_refused(tiny_ast, tmp_path):
    directory = shutil.copytree(tiny_ast, tmp_path / "ast")
    (directory / "preprocessor_config.json").unlink()
    with pytest.raises(TSXError, match="expected settings of ASTFeatureExtractor"):
        load(directory)
