"""What a run takes as it is: copied once, used from there, and not to be exchanged."""

import argparse
import shutil
from pathlib import Path

import numpy as np
import pytest
import yaml

from tsx_espnet.errors import TSXError
from tsx_espnet.pretrained.store import digest_of
from tsx_espnet.pretrained.text_table import TextTable
from tsx_espnet.training.frozen_parts import keep_frozen_parts, read_vocabulary

TOKENS = {"conditioner": "tokens", "pretrained": "clap"}


@pytest.fixture
def options(tmp_path):
    """``options(**others)``: those of a run in ``exp``."""

    def make(**others):
        given = {
            **{"output_dir": str(tmp_path / "exp"), "resume": True, "dry_run": False, "fs": 8000},
            **{"conditions": {"text": {}}, "conditioner_conf": {}, "class_list": ["Bark"]},
            **{"text_embeddings": None, "pretrained": {}},
        }
        return argparse.Namespace(**{**given, **others})

    return make


def begin(args):
    """What ESPnet leaves of a run that can be resumed."""
    keep_frozen_parts(args)
    directory = Path(args.output_dir)
    directory.mkdir(exist_ok=True)
    (directory / "config.yaml").write_text(yaml.safe_dump(vars(args)))
    (directory / "checkpoint.pth").touch()
    return args


def test_networks_are_copied_and_used_from_the_experiment(options, tiny_clap, tmp_path):
    source = shutil.copytree(tiny_clap, tmp_path / "clap")
    args = begin(options(pretrained={"clap": str(source)}, conditions={"text": TOKENS}))
    kept = tmp_path / "exp" / "pretrained" / "clap"
    assert args.pretrained == {"clap": str(kept)}
    assert args.pretrained_digest == {"clap": digest_of(tiny_clap)}
    shutil.rmtree(source)
    again = options(pretrained={"clap": str(source)}, conditions={"text": TOKENS})
    keep_frozen_parts(again)  # resumed, the place that it came from is not needed
    assert again.pretrained == args.pretrained and digest_of(kept) == digest_of(tiny_clap)
    vocabulary = read_vocabulary(again)
    assert vocabulary.takes == {"text": "tokens"} and vocabulary.text_table is None
    assert vocabulary.encode("text", "a dog").shape == (4,)


def test_another_network_is_refused_and_leaves_the_old_one(options, tiny_clap, tiny_ast, tmp_path):
    begin(options(pretrained={"net": str(tiny_clap)}))
    kept = tmp_path / "exp" / "pretrained" / "net"
    old, new = digest_of(tiny_clap), digest_of(tiny_ast)
    for pretrained, found in (({"net": str(tiny_ast)}, new), ({}, "none")):
        with pytest.raises(TSXError) as error:
            keep_frozen_parts(options(pretrained=pretrained))
        assert str(error.value).startswith(
            f"{tmp_path}/exp: this run was begun with the pretrained network net of SHA-256 {old}, "
            f"now it is {found}; choose another --output_dir"
        )
        assert digest_of(kept) == old
    keep_frozen_parts(options(pretrained={"net": str(tiny_ast)}, resume=False))
    assert digest_of(kept) == new


def test_a_place_without_a_network_is_refused_where_no_run_was_begun(options, tmp_path):
    with pytest.raises(TSXError, match="gone: no such directory; expected a pretrained network"):
        keep_frozen_parts(options(pretrained={"clap": str(tmp_path / "gone")}))
    assert not (tmp_path / "exp").exists()


def test_a_dry_run_copies_nothing(options, tiny_clap, tmp_path):
    args = options(pretrained={"clap": str(tiny_clap)}, dry_run=True)
    keep_frozen_parts(args)
    assert args.pretrained == {"clap": str(tiny_clap)} and not (tmp_path / "exp").exists()


def test_a_run_of_before_has_no_digests(options, tiny_clap, tmp_path):
    args = begin(options())
    config = yaml.safe_load((tmp_path / "exp" / "config.yaml").read_text())
    del config["pretrained"], config["pretrained_digest"]
    (tmp_path / "exp" / "config.yaml").write_text(yaml.safe_dump(config))
    keep_frozen_parts(options())
    assert args.pretrained_digest == {}


def write_texts(path, digest, model="lm", phrases=("rain",)):
    vectors = np.ones((len(phrases), 3), dtype=np.float32)
    TextTable(phrases, vectors, model, "mean", digest).write(path)
    return str(path)


@pytest.mark.parametrize("condition", ["text", "class"])
def test_texts_of_a_model_that_was_trained_again_are_refused(options, tmp_path, condition):
    """Under the same name. Of older tables the name alone is known."""
    conditions = {condition: {"conditioner": "text"}}
    first, second = "1" * 64, "2" * 64
    begin(
        options(
            text_embeddings=write_texts(tmp_path / "a.safetensors", first), conditions=conditions
        )
    )
    again = write_texts(tmp_path / "b.safetensors", second)
    message = f"begun with text embeddings of lm of SHA-256 {first}, now it is lm of .* {second}"
    with pytest.raises(TSXError, match=message):
        keep_frozen_parts(options(text_embeddings=again, conditions=conditions))
    for digest in (None, first):
        more = write_texts(tmp_path / "b.safetensors", digest, phrases=("rain", "dog"))
        args = options(text_embeddings=more, conditions=conditions)
        keep_frozen_parts(args)
        assert "dog" in read_vocabulary(args).text_table


def test_whoever_takes_vectors_needs_them(options):
    with pytest.raises(TSXError, match="the class condition needs vectors: --text_embeddings is"):
        read_vocabulary(options(conditions={"class": {"conditioner": "text"}, "energy": {}}))
    assert read_vocabulary(options(conditions={"class": {}})).text_table is None
    dry = read_vocabulary(options(dry_run=True))
    assert dry.takes == {"text": "vector"} and dry.text_table is None


def test_a_class_that_is_a_phrase_needs_no_list_of_classes(options, tmp_path):
    texts = write_texts(tmp_path / "a.safetensors", None)
    conditions = {"class": {"conditioner": "text"}}
    args = options(conditions=conditions, class_list=None, text_embeddings=texts)
    assert read_vocabulary(args).encode("class", "Rain").shape == (1, 3)
    with pytest.raises(TSXError, match="the class condition needs its labels: --class_list is"):
        read_vocabulary(options(conditions={"class": {}}, class_list=None))
