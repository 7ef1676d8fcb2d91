"""Our names on ESPnet's command lines; for the tables themselves see ``test_plugin.py``."""

import os
import sys
import types

import pytest

from tsx_espnet import parts, register


def test_espnets_parsers_take_our_names():
    from espnet2.bin import enh_train, enh_tse_train

    register()
    for name in parts.OURS["extractor"]:
        args = enh_tse_train.get_parser().parse_args(["--extractor", name])
        assert args.extractor == name
    for name in parts.OURS["separator"]:
        args = enh_train.get_parser().parse_args(["--separator", name])
        assert args.separator == name
    with pytest.raises(SystemExit):
        enh_train.get_parser().parse_args(["--separator", "no_such"])


def test_espnetez_learns_of_our_task_if_it_is_there(monkeypatch):
    from tsx_espnet.training.task import TSXTask

    easy = types.ModuleType("espnetez.task")
    easy.TASK_CLASSES = {"enh": object}
    monkeypatch.setitem(sys.modules, "espnetez.task", easy)
    register()
    register()
    assert easy.TASK_CLASSES == {"enh": object, "tsx": TSXTask}


def test_imports_are_quiet_unless_they_fail(capfd):
    with parts.quiet_imports():
        os.write(1, b"hello")
        os.write(2, b"hello")
    os.write(1, b"there")
    assert capfd.readouterr() == ("there", "")
    with pytest.raises(ImportError), parts.quiet_imports():
        os.write(1, b"what led to it")
        raise ImportError
    assert capfd.readouterr() == ("", "what led to it")
