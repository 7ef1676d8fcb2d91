import pytest

from tsx_espnet.errors import TSXError
from tsx_espnet.mixing.config import MixingConfig


def test_defaults_are_the_harder_set_of_the_paper():
    config = MixingConfig()
    assert (config.duration, config.snr, config.min_overlap) == (5.0, (0.0, 2.5), 0.8)
    assert config.num_frames(8000) == 500
    assert MixingConfig(duration=1).num_frames(11025) == 100  # frames of 110 samples


def test_yaml_round_trip(tmp_path):
    import yaml

    config = MixingConfig(strategy="same", snr=[3, 8], onset_gap=[1.5, 3], text_variants=True)
    (tmp_path / "mix.yaml").write_text(yaml.safe_dump(config.to_dict()))
    assert MixingConfig.from_yaml(tmp_path / "mix.yaml") == config
    (tmp_path / "empty.yaml").write_text("# only the defaults\n")
    assert MixingConfig.from_yaml(tmp_path / "empty.yaml") == MixingConfig()


def test_options_of_many_sources_come_back(tmp_path):
    import yaml

    text = "{num_sources: 3, clip_duration: [2, 5], placement: uniform, snr: null, enrollments: 1, "
    text += "background: {snr: [15, 25]}}"
    (tmp_path / "mix.yaml").write_text(text)
    config = MixingConfig.from_yaml(tmp_path / "mix.yaml")
    assert config.background.snr == (15.0, 25.0) and config.background.noise is None
    (tmp_path / "again.yaml").write_text(yaml.safe_dump(config.to_dict()))
    assert MixingConfig.from_yaml(tmp_path / "again.yaml") == config
    assert config.with_noise("dump/8k/noise").background.noise == "dump/8k/noise"
    with pytest.raises(TSXError, match="noise x: the mixing config has no background"):
        MixingConfig().with_noise("x")


@pytest.mark.parametrize(
    "options",
    [
        {"num_targets": "all"},
        {"component_sources": 2, "num_sources": 6},
        {"write_sources": True},
        {"text_of": "drawn"},
        {"signal_values": "random"},
    ],
)
def test_options_that_are_written_where_they_are_not_the_default(options):
    config = MixingConfig(**options)
    assert MixingConfig.from_dict(config.to_dict()) == config
    written = {name: config.to_dict()[name] for name in options}
    assert written == options and not set(options) & set(MixingConfig().to_dict()) - {"num_sources"}


@pytest.mark.parametrize(
    "text, message",
    [
        ("min_overlapp: 0.5", "no option 'min_overlapp'; did you mean min_overlap?"),
        ("text_of: label", "text_of: expected one of specific, drawn"),
        ("{text_of: drawn, strategy: clips}", "text_of: drawn needs labels to draw"),
        ("zzz: 0.5", "no option 'zzz'; expected one of duration, strategy"),
        ("min_overlap: 1.5", r"min_overlap: expected a number in \[0, 1\], found 1.5"),
        ("min_overlap: .nan", "min_overlap: expected a number"),
        ("min_overlap: true", "min_overlap: expected a number"),
        ("duration: 5 s", "duration: expected a number"),
        ("duration: 0", "duration: expected a number"),
        ("min_sounding: 6", r"min_sounding: expected a number in \[0.01, 5\]"),
        ("snr: [2.5, 0]", r"snr: expected \[lowest, highest\] within \[0, 60\]"),
        ("snr: [-2.5, 2.5]", "snr: expected"),
        ("snr: 2.5", "snr: expected"),
        ("snr: [0, 1, 2]", "snr: expected"),
        ("onset_gap: [0, 9]", r"onset_gap: expected \[lowest, highest\] within \[0, 5\]"),
        ("strategy: flat", "strategy: expected one of random, different, same, clips, found"),
        ("class_level: [any]", "class_level: expected one of specific, any"),
        ("text_variants: 1", "text_variants: expected true or false"),
        ("superclasses: 3", "superclasses: expected a file name"),
        ("level: 3", "level: expected a number"),
        ("num_sources: 0", r"num_sources: expected an integer in \[1, 16\], found 0"),
        ("num_sources: [3, 2]", r"num_sources: expected two integers \[lowest, highest\] within"),
        ("num_sources: [0, 2]", r"num_sources: .* within \[1, 16\], found \[0, 2\]"),
        ("num_sources: [1, 2.0]", "num_sources: expected two integers"),
        ("num_sources: [true, 2]", "num_sources: expected two integers"),
        ("enrollment_from: self", "enrollment_from: expected one of other, other_clip, same"),
        ("{enrollment_from: same, enrollments: 2}", "enrollments: at most 1 from the same clip"),
        ("interference: 3", "interference: expected a file name"),
        ("{interference: x, strategy: same}", "interference: expected strategy random or clips"),
        ("num_sources: 3.0", "num_sources: expected an integer"),
        ("num_sources: true", "num_sources: expected an integer"),
        ("clip_duration: [2, 6]", r"clip_duration: expected \[lowest, highest\] within \[0.25, 5"),
        ("clip_duration: 2", "clip_duration: expected"),
        ("placement: anywhere", "placement: expected one of overlap, uniform, found 'anywhere'"),
        ("{placement: uniform, onset_gap: [0, 1]}", "onset_gap: only for placement overlap"),
        ("snr: null", "snr: null needs a background"),
        ("background: 20", "background: expected options or null, found 20"),
        ("background: {snr: 20}", "background: snr: expected"),
        ("background: {nois: x}", "background: no option 'nois'; did you mean noise?"),
        ("background: {noise: 3}", "background: noise: expected a file name"),
        ("background: {slope: [0, 20]}", r"background: slope: expected .* within \[-12, 12\]"),
        ("enrollments: -1", r"enrollments: expected an integer in \[0, 100\]"),
        ("enrollments: yes", "enrollments: expected an integer"),
        ("enrollment_duration: 0.1", "enrollment_duration: expected a number in"),
        ("component_sources: 0", r"component_sources: expected an integer in \[1, 16\], found 0"),
        ("{component_sources: 2, num_sources: 3}", "num_sources: expected a multiple with comp"),
        (
            "{component_sources: 2, num_sources: 4, enrollments: 1}",
            "enrollments: expected 0 with component_sources 2, found 1",
        ),
        ("num_targets: 2", "num_targets: expected 1 or all, found 2"),
        ("num_targets: true", "num_targets: expected 1 or all, found True"),
        ("num_targets: every", "num_targets: expected 1 or all, found 'every'"),
        ("write_sources: 1", "write_sources: expected true or false"),
        ("- duration", "expected options and their values"),
        ("snr: [0, 1", "not a yaml file"),
        ("5: 3", "no option 5"),
    ],
)
def test_mistakes_are_named(tmp_path, text, message):
    (tmp_path / "mix.yaml").write_text(text)
    with pytest.raises(TSXError, match=rf"mix\.yaml: {message}"):
        MixingConfig.from_yaml(tmp_path / "mix.yaml")


def test_missing_file(tmp_path):
    with pytest.raises(TSXError, match="none.yaml: no such mixing config"):
        MixingConfig.from_yaml(tmp_path / "none.yaml")
