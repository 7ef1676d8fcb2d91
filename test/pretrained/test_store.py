"""Directories of pretrained networks: recognised, copied, told apart, loaded once."""

import hashlib
import json
import shutil

import pytest
import torch

from tsx_espnet.errors import TSXError
from tsx_espnet.pretrained.classifier import AudioSpectrogramTransformer
from tsx_espnet.pretrained.cnn14 import Cnn14
from tsx_espnet.pretrained.joint import ClapEncoder, LanguageModelEncoder
from tsx_espnet.pretrained.store import (
    Networks,
    check_directories,
    digest_of,
    keep,
    load,
    read_about,
)


@pytest.mark.parametrize(
    "name, kind",
    [
        ("tiny_clap", ClapEncoder),
        ("tiny_ast", AudioSpectrogramTransformer),
        ("tiny_bert", LanguageModelEncoder),
        ("panns", Cnn14),
    ],
)
def test_every_kind_is_recognised(request, name, kind):
    assert read_about(request.getfixturevalue(name)) == (kind, {})


def about(text):
    def write(directory):
        (directory / "pretrained.json").write_text(text)

    return write


@pytest.mark.parametrize(
    "spoil, message",
    [
        (shutil.rmtree, "no such directory; expected a pretrained network"),
        (lambda directory: None, "expected pretrained.json or a config.json of transformers"),
        (about("{"), "pretrained.json: cannot be read"),
        (about("[1]"), "pretrained.json: expected options and their values, found .1."),
        (about("{}"), "pretrained.json: --pretrained: expected one of cnn14, .*, found 'None'"),
        (about('{"kind": "cnn15"}'), "expected one of cnn14, .*, found 'cnn15'"),
        (about('{"kind": "cnn14", "hob": 1}'), "no option 'hob'; did you mean hop?"),
        (about('{"kind": "cnn14", "directory": "x"}'), "no option 'directory'"),
        (about('{"kind": "ast", "hop": "x"}'), "expected settings of ASTFeatureExtractor"),
    ],
)
def test_what_is_no_network_is_refused_in_one_line(tmp_path, spoil, message):
    directory = tmp_path / "network"
    directory.mkdir()
    spoil(directory)
    with pytest.raises(TSXError, match=message) as error:
        load(directory)
    assert str(directory) in str(error.value) and "\n" not in str(error.value)


@pytest.mark.parametrize(
    "options, message",
    [
        ({"kind": "ast", "hop": "x"}, "pretrained.json: "),
        ({"kind": "ast", "hop": 0}, "pretrained.json: hop: expected seconds, .* found 0"),
        ({"kind": "language_model", "pooling": "max"}, "pretrained.json: pooling: expected one of"),
    ],
)
def test_a_wrong_value_of_an_option_is_refused(tiny_ast, tiny_bert, tmp_path, options, message):
    source = tiny_ast if options["kind"] == "ast" else tiny_bert
    directory = shutil.copytree(source, tmp_path / "network")
    (directory / "pretrained.json").write_text(json.dumps(options))
    with pytest.raises(TSXError, match=message):
        load(directory)


def test_the_digest_is_of_names_and_contents_of_what_is_used(tiny_ast, tmp_path):
    directory = shutil.copytree(tiny_ast, tmp_path / "ast")
    names = sorted(path.name for path in directory.iterdir())
    assert names == ["config.json", "model.safetensors", "preprocessor_config.json"]
    lines = "".join(
        f"{name} {hashlib.sha256((directory / name).read_bytes()).hexdigest()}\n" for name in names
    )
    assert digest_of(directory) == hashlib.sha256(lines.encode()).hexdigest()
    assert load(directory).digest == digest_of(directory) == digest_of(tiny_ast)
    (directory / "README.md").write_text("not used")
    assert digest_of(directory) == digest_of(tiny_ast)
    weights = directory / "model.safetensors"
    data = bytearray(weights.read_bytes())
    data[-1] ^= 1
    weights.write_bytes(bytes(data))
    assert digest_of(directory) != digest_of(tiny_ast)


def test_what_is_used_is_copied_and_nothing_else(tiny_clap, tmp_path):
    source = shutil.copytree(tiny_clap, tmp_path / "clap")
    (source / "README.md").write_text("not used")
    (source / "pytorch_model.bin").write_bytes(b"not used")
    kept = tmp_path / "exp" / "pretrained" / "clap"
    keep(source, kept)
    assert {path.name for path in kept.iterdir()} == {path.name for path in tiny_clap.iterdir()}
    assert digest_of(kept) == digest_of(tiny_clap)
    assert [path.name for path in kept.parent.iterdir()] == ["clap"]


def test_it_is_copied_once_and_replaced_if_it_is_another(tiny_ast, tiny_clap, tmp_path):
    kept = tmp_path / "pretrained" / "network"
    keep(tiny_ast, kept)
    before = {path: path.stat().st_mtime_ns for path in kept.iterdir()}
    keep(tiny_ast, kept)
    keep(kept, kept)
    assert {path: path.stat().st_mtime_ns for path in kept.iterdir()} == before
    (kept / "model.safetensors").write_bytes(b"damaged")
    keep(tiny_ast, kept)
    assert digest_of(kept) == digest_of(tiny_ast)
    keep(tiny_clap, kept)
    assert digest_of(kept) == digest_of(tiny_clap)


def test_links_of_a_download_cache_are_followed(tiny_ast, tmp_path):
    snapshot = tmp_path / "snapshot"
    snapshot.mkdir()
    for path in tiny_ast.iterdir():
        (snapshot / path.name).symlink_to(path)
    keep(snapshot, tmp_path / "kept")
    assert not any(path.is_symlink() for path in (tmp_path / "kept").iterdir())
    assert digest_of(tmp_path / "kept") == digest_of(tiny_ast)


def test_a_place_that_cannot_be_written_is_named(tiny_ast, tmp_path):
    (tmp_path / "exp").write_text("a file")
    with pytest.raises(TSXError, match="exp/pretrained/ast: cannot be written: Not a directory"):
        keep(tiny_ast, tmp_path / "exp" / "pretrained" / "ast")


def test_networks_are_loaded_once_and_frozen(tiny_ast, tmp_path):
    networks = Networks({"ast": tiny_ast, "other": tmp_path / "nowhere"}, {})
    assert list(networks) == ["ast", "other"] and len(networks) == 2
    assert networks["ast"] is networks["ast"]
    assert not any(parameter.requires_grad for parameter in networks["ast"].network.parameters())
    with pytest.raises(TSXError, match="nowhere: no such directory; expected a pretrained"):
        networks["other"]
    with pytest.raises(TSXError, match="--pretrained: expected .* of 'clap', found .* ast, other"):
        networks["clap"]
    with pytest.raises(TSXError, match="expected the directory of 'clap', found those of none"):
        Networks({}, {}).tokenizer("clap")
    with pytest.raises(TSXError, match="expected a text encoder, found a AudioSpectrogramTransf"):
        networks.tokenizer("ast")


def test_another_digest_than_expected_is_refused(tiny_ast):
    right = digest_of(tiny_ast)
    assert Networks({"ast": tiny_ast}, {"ast": right})["ast"].network.digest == right
    message = f"{tiny_ast}: expected the network with SHA-256 {'0' * 64}, found {right}"
    with pytest.raises(TSXError) as error:
        Networks({"ast": tiny_ast}, {"ast": "0" * 64})["ast"]
    assert str(error.value) == message


@pytest.mark.parametrize(
    "found, message",
    [
        ("clap", "--pretrained: expected '{name: DIR}', found 'clap'"),
        ({"../x": "d"}, "--pretrained: id '../x' must start with a letter"),
        ({"clap": {"dir": "d"}}, "--pretrained: expected a directory for clap, found {'dir': 'd'}"),
    ],
)
def test_the_option_is_checked(found, message):
    with pytest.raises(TSXError) as error:
        check_directories(found)
    assert str(error.value).startswith(message)
    assert check_directories({"clap": "d"}) == {"clap": "d"}


def test_nothing_is_fetched_and_the_import_is_late():
    """Loading an extractor takes no transformers; nothing but local files is ever asked for."""
    import subprocess
    import sys

    code = "import sys, tsx_espnet.inference, tsx_espnet.pretrained.store, tsx_espnet.build\n"
    code += "print([name for name in ('transformers', 'torchaudio') if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
    with pytest.raises(TSXError, match="laion/larger_clap_general: no such directory"):
        load("laion/larger_clap_general")


def test_float16_weights_are_computed_with_in_float32(tiny_ast, tmp_path):
    from transformers import ASTForAudioClassification

    directory = shutil.copytree(tiny_ast, tmp_path / "ast")
    ASTForAudioClassification.from_pretrained(tiny_ast).half().save_pretrained(directory)
    network = load(directory)
    assert {parameter.dtype for parameter in network.parameters()} == {torch.float32}
