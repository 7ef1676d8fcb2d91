import numpy as np
import pytest

from tsx_espnet.audio import write_float_wav
from tsx_espnet.training.examples import Collate, TSXPreprocessor

NAMES = ("energy", "enrollment", "class")


@pytest.fixture
def preprocess(vocabulary):
    return TSXPreprocessor(True, NAMES, vocabulary)


def test_what_a_set_says_nothing_about_is_not_applicable(preprocess):
    mixture = np.zeros(9, dtype=np.float32)
    found = preprocess("mix1", {"speech_mix": mixture, "class": "Rain", "order": "first"})
    assert set(found) == {"speech_mix", *NAMES}
    assert found["speech_mix"] is mixture
    assert (found["energy"].tolist(), found["class"].tolist()) == ([-1], [2])
    assert found["enrollment"].shape == (0,)


def test_enrollments_as_paths_as_samples_and_none_at_all_make_a_batch(preprocess, tmp_path):
    """A path is what a table holds; samples are what ESPnet loads as ``sound``."""
    write_float_wav(tmp_path / "a.wav", np.arange(4), 8000)
    values = (str(tmp_path / "a.wav"), "n/a", np.full(2, 7, dtype=np.float32))
    examples = [(value, preprocess("mix", {"enrollment": value})) for value in values]
    _, batch = Collate()(examples)
    assert batch["enrollment"].tolist() == [[0, 1, 2, 3], [0, 0, 0, 0], [7, 7, 0, 0]]
    assert batch["enrollment_lengths"].tolist() == [4, 0, 2]
