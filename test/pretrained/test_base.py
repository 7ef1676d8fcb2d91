"""What all pretrained networks share."""

import logging

import pytest
import torch

from tsx_espnet.pretrained import base
from tsx_espnet.pretrained.mobilenet import MobileNet


@pytest.fixture
def hears():
    base._warn_of_rate.cache_clear()
    return MobileNet(["Bark"], 16000, [2] * 11).eval()


def test_a_network_of_a_higher_rate_says_once_what_it_misses(hears, caplog):
    with caplog.at_level(logging.WARNING):
        for _ in range(3):
            hears(torch.zeros(1, 800), 8000)
    assert [record.getMessage() for record in caplog.records] == [
        "MobileNet was trained at 16000 Hz: of sounds at 8000 Hz it hears nothing above 4 kHz; "
        "prefer one of that rate"
    ]


@pytest.mark.parametrize("fs", [None, 16000, 44100])
def test_nothing_is_missed_of_the_same_or_a_higher_rate(hears, caplog, fs):
    with caplog.at_level(logging.WARNING):
        hears(torch.zeros(1, 800), fs)
    assert not caplog.records
