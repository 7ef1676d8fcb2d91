"""The data table, against what the model needs and what ESPnet loads."""

from espnet2.train.dataset import DATA_TYPES

from tsx_espnet.conditions import CONDITIONS
from tsx_espnet.mixing.data_table import data_names, data_table, path_name_type


def test_names_are_unique_and_loaders_are_espnets():
    names = [row.name for row in data_table()]
    assert len(set(names)) == len(names)
    assert {row.type for row in data_table()} <= set(DATA_TYPES)


def test_what_a_batch_needs():
    """``ESPnetTSXModel.forward`` needs mixture and target; extraction needs the mixture alone."""
    assert data_names(required=True) == ("speech_mix", "speech_ref1")
    assert data_names(required=False) == ("speech_ref2", *CONDITIONS, "sources", "queries")
    assert data_names(required=True, inference=True) == ("speech_mix",)
    assert data_names(required=False, inference=True) == tuple(CONDITIONS)


def test_data_options_ask_for_the_models_conditions_alone():
    assert path_name_type("dump/mix", ("energy", "text")) == [
        ("dump/mix/wav.scp", "speech_mix", "sound"),
        ("dump/mix/spk1.scp", "speech_ref1", "sound"),
        ("dump/mix/spk2.scp", "speech_ref2", "sound"),
        ("dump/mix/utt2energy", "energy", "text"),
        ("dump/mix/utt2text", "text", "text"),
    ]
    # paths, not sound: a mixture may have several recordings, of any rate
    assert path_name_type("x", ("enrollment",))[3:] == [
        ("x/utt2enrollment", "enrollment", "text")
    ]
    assert path_name_type("x", ("text",), queries=True) == [
        ("x/wav.scp", "speech_mix", "sound"),
        ("x/sources.scp", "sources", "sound"),
        ("x/utt2queries", "queries", "text"),
    ]
