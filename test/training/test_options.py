"""Options of training that stand for others."""

import argparse
import dataclasses

import pytest

from tsx_espnet.errors import TSXError
from tsx_espnet.mixing.config import MixingConfig
from tsx_espnet.training.options import expand_data_options

PAPERS = "duration: 6.0\nsnr: null\nplacement: uniform\nbackground: {snr: [15.0, 25.0]}\n"


@pytest.fixture
def options(tmp_path):
    """``options(**others)``: those of a run on mixtures drawn on the fly."""
    (tmp_path / "mixing.yaml").write_text(PAPERS)

    def make(**others):
        given = {
            **dict.fromkeys(("valid_mixtures", "text_embeddings", "class_list")),
            **dict.fromkeys(("train_streams", "train_mixtures", "interference")),
            **{"train_clips": str(tmp_path), "mixing_config": str(tmp_path / "mixing.yaml")},
            **{"class_level": "any", "text_variants": False, "background_noise": None},
            "remix": False,
            **{"conditions": {}, "fs": 8000, "mixtures_per_epoch": 1, "dry_run": True},
        }
        for mode in ("train", "valid"):
            given[f"{mode}_data_path_and_name_and_type"] = given[f"{mode}_shape_file"] = []
        return argparse.Namespace(**{**given, **others})

    return make


def test_recorded_noise_changes_where_the_background_comes_from_and_nothing_else(options):
    """The settings of the mixtures stay the paper's, as if their yaml named the noise."""
    generated, recorded = options(), options(background_noise="dump/8k/noise")
    for args in (generated, recorded):
        expand_data_options(args)
    papers = MixingConfig.from_yaml(generated.mixing_config)
    for args, config in ((generated, papers), (recorded, papers.with_noise("dump/8k/noise"))):
        assert args.mixing_conf == dataclasses.replace(config, class_level="any").to_dict()


def test_interference_changes_where_the_other_sources_come_from(options):
    args = options(interference="dump/8k/music")
    expand_data_options(args)
    config = MixingConfig.from_yaml(args.mixing_config).with_interference("dump/8k/music")
    assert args.mixing_conf == dataclasses.replace(config, class_level="any").to_dict()
    with pytest.raises(TSXError, match="--interference is for mixtures of --train_clips"):
        expand_data_options(options(interference="music", train_clips=None))


def test_clips_without_labels_have_no_list_of_classes(options, tmp_path):
    args = options(conditions={"text": {}})
    expand_data_options(args)
    assert args.class_list is None
    args = options(conditions={"class": {}})  # which is refused later, naming the file
    expand_data_options(args)
    assert args.class_list == str(tmp_path / "classes.txt")


def test_noise_without_clips_to_mix_is_refused(options):
    args = options(background_noise="noise", train_clips=None)
    with pytest.raises(TSXError, match="--background_noise is for mixtures of --train_clips"):
        expand_data_options(args)


@pytest.mark.parametrize(
    "given, message",
    [
        ({"train_streams": "a.yaml"}, "--train_clips and --train_streams exclude each other"),
        ({"train_mixtures": "dir"}, "--mixing_config and --train_mixtures exclude each other"),
        (
            {"train_mixtures": "dir", "train_clips": None},
            "--train_mixtures is for mixtures of --train_clips, which is missing",
        ),
        ({"remix": True}, "--remix is for --train_mixtures, which is missing"),
        ({"mixing_config": None}, "--train_clips needs --mixing_config"),
        (
            {"train_clips": None, "dry_run": False},
            "--train_clips is missing \\(or --train_streams or --train_data_path",
        ),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
)
def test_mixtures_come_from_one_place(options, given, message):
    with pytest.raises(TSXError, match=message):
        expand_data_options(options(**given))
