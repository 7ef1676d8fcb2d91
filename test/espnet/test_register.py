"""Our classes in ESPnet's tables."""

import sys
import types

import pytest
from espnet2.enh.separator.rnn_separator import RNNSeparator

from tsx_espnet import plugin, register
from tsx_espnet.criterion.si_sdr import SISDRLoss
from tsx_espnet.extractor.sudormrf import SudoRMRFExtractor
from tsx_espnet.separator.sudormrf import SudoRMRFSeparator

OURS = {
    "extractor": ("sudormrf", SudoRMRFExtractor),
    "separator": ("sudormrf", SudoRMRFSeparator),
    "criterion": ("si_sdr", SISDRLoss),
}


@pytest.mark.parametrize("kind", OURS)
def test_in_the_table_with_espnets_own(kind):
    register()
    choices = plugin.load(plugin.CHOICES[kind])
    name, part = OURS[kind]
    assert choices.get_class(name) is part
    assert issubclass(part, choices.base_type)
    theirs = {"extractor": "td_speakerbeam", "separator": "rnn", "criterion": "si_snr"}
    assert theirs[kind] in choices.choices()


def test_may_be_called_again():
    tables = [plugin.load(plugin.CHOICES[kind]).classes for kind in OURS]
    before = [dict(table) for table in tables]
    register()
    register()
    assert [dict(table) for table in tables] == before


def test_a_foreign_class_under_our_name(monkeypatch):
    classes = plugin.load(plugin.CHOICES["separator"]).classes
    monkeypatch.setitem(classes, "sudormrf", RNNSeparator)
    with pytest.raises(RuntimeError, match="RNNSeparator.*'sudormrf'.*SudoRMRFSeparator"):
        register()
    assert classes["sudormrf"] is RNNSeparator  # nothing was overwritten


def test_espnetez_learns_of_our_task_if_it_is_there(monkeypatch):
    from tsx_espnet.task import TSXTask

    easy = types.ModuleType("espnetez.task")
    easy.TASK_CLASSES = {"enh": object}
    monkeypatch.setitem(sys.modules, "espnetez.task", easy)
    register()
    assert easy.TASK_CLASSES == {"enh": object, "tsx": TSXTask}


def test_espnets_parsers_take_our_names():
    from espnet2.bin import enh_train, enh_tse_train

    args = enh_tse_train.get_parser().parse_args(["--extractor", "sudormrf"])
    assert args.extractor == "sudormrf"
    args = enh_train.get_parser().parse_args(
        ["--separator", "sudormrf", "--criterions", "name=si_sdr"]
    )
    assert args.separator == "sudormrf"
    with pytest.raises(SystemExit):
        enh_train.get_parser().parse_args(["--separator", "no_such"])


@pytest.mark.parametrize("path", ["extractor td_speakerbeam", "separator rnn", "encoder stft"])
def test_parts_of_espnet_are_found_by_the_same_name(path):
    kind, name = path.split()
    assert plugin.find(kind, name) is plugin.load(plugin.CHOICES[kind]).get_class(name)


@pytest.mark.parametrize("kind", ["extractor", "conditioner"])
def test_no_such_part(kind):
    with pytest.raises(ValueError, match=f"--{kind} must be one of .*no_such"):
        plugin.find(kind, "no_such")
