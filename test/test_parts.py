"""Our parts in ESPnet's own tables."""

import subprocess
import sys

import pytest

import tsx_espnet
from tsx_espnet import parts
from tsx_espnet.errors import TSXError

KINDS = ("extractor", "separator", "criterion")


def every(tables):
    return [(kind, name) for kind, table in sorted(tables.items()) for name in sorted(table)]


@pytest.mark.parametrize("kind, name", every(parts.OURS))
def test_every_part_of_ours_is_there(kind, name):
    part = parts.find(kind, name)
    assert part.__module__.startswith("tsx_espnet.") and part.__doc__


@pytest.mark.parametrize("kind, name", every(parts.ESPNET))
def test_the_short_way_to_a_part_of_espnet_ends_at_the_same_class(kind, name):
    assert parts.find(kind, name) is parts.load(parts.CHOICES[kind]).get_class(name)


def test_parts_of_espnet_come_without_warnings():
    """Each extraction by a model on spectra began with two lines about ``torch.cuda.amp``."""
    command = "from tsx_espnet import parts; print(parts.find('encoder', 'stft').__name__)"
    end = subprocess.run([sys.executable, "-c", command], capture_output=True, text=True)
    assert (end.stdout, end.stderr) == ("STFTEncoder\n", "")


def test_any_other_part_is_found_in_espnets_tables():
    from espnet2.enh.loss.criterions.time_domain import SDRLoss

    assert parts.find("criterion", "sdr") is SDRLoss


def test_an_unknown_part_is_named():
    with pytest.raises(TSXError, match="--objective: expected one of .* oct, .*found 'best'"):
        parts.find("objective", "best")
    with pytest.raises(TSXError, match="nonesuch"):
        parts.find("separator", "nonesuch")


def tables():
    return {kind: parts.load(parts.CHOICES[kind]).classes for kind in KINDS}


def test_registering_adds_ours_and_nothing_else_however_often():
    tsx_espnet.register()
    first = {kind: dict(table) for kind, table in tables().items()}
    tsx_espnet.register()
    assert tables() == first
    for kind in KINDS:
        for name in parts.OURS[kind]:
            assert first[kind][name] is parts.find(kind, name)
    assert "td_speakerbeam" in first["extractor"] and "conformer" in first["separator"]


def test_espnets_options_accept_our_names():
    tsx_espnet.register()
    for kind in KINDS:
        choices = parts.load(parts.CHOICES[kind])
        assert set(parts.OURS[kind]) <= set(choices.choices())
        for name in parts.OURS[kind]:
            assert issubclass(choices.get_class(name), choices.base_type)


@pytest.mark.parametrize("kind", KINDS)
def test_a_foreign_class_under_our_name_is_an_error_that_names_both(kind, monkeypatch):
    class Foreign:
        pass

    tsx_espnet.register()
    name = next(iter(parts.OURS[kind]))
    monkeypatch.setitem(tables()[kind], name, Foreign)
    with pytest.raises(RuntimeError) as error:
        tsx_espnet.register()
    ours = parts.find(kind, name)
    for part in (Foreign, ours):
        assert f"{part.__module__}.{part.__qualname__}" in str(error.value)
    assert f"ESPnet's {kind} table" in str(error.value) and repr(name) in str(error.value)
    assert tables()[kind][name] is Foreign  # and it is left there


def test_the_old_name_of_a_part_stays_readable():
    tsx_espnet.register()
    for kind, table in parts.ALIASES.items():
        for old, new in table.items():
            assert old not in parts.OURS[kind] and parts.find(kind, old) is parts.find(kind, new)
            assert tables()[kind][old] is tables()[kind][new]
