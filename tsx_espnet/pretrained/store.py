"""Directories of pretrained networks: which kind they hold, kept with an experiment, loaded.

A directory is one as transformers write it, or has a ``pretrained.json``: the ``kind`` (see
``tsx_espnet.parts``) and its options, as in ``{"kind": "cnn14", "hop": 0.24}``.
"""

import contextlib
import errno
import inspect
import os
import shutil
from pathlib import Path
from typing import Any, Dict, Iterator, List, Mapping, Tuple

from tsx_espnet.checks import check_names, shown
from tsx_espnet.errors import TSXError
from tsx_espnet.parts import find
from tsx_espnet.pretrained.base import AbsPretrained, digest_of_files, find_files
from tsx_espnet.pretrained.frozen import Frozen
from tsx_espnet.pretrained.loading import Tokenizer
from tsx_espnet.tables import PathLike, check_id, parse_json, temporary_name

PRETRAINED = "pretrained"  # in an experiment
ABOUT = "pretrained.json"
# model_type of transformers' config.json; others are language models
MODEL_TYPES = {"clap": "clap", "audio-spectrogram-transformer": "ast"}


def read_about(directory: PathLike) -> Tuple[type, Dict[str, Any]]:
    """The class of the network in a directory, and its options.

    Raises:
        TSXError: if there is none, or it is described wrongly.
    """
    directory = Path(directory)
    if not directory.is_dir():
        raise TSXError(f"{directory}: no such directory; expected a pretrained network")
    path = directory / ABOUT
    if path.is_file():
        options = _read_json(path)
        kind = options.pop("kind", None)
    else:
        path = directory / "config.json"
        if not path.is_file():
            raise TSXError(f"{directory}: expected {ABOUT} or a config.json of transformers")
        kind, options = MODEL_TYPES.get(_read_json(path).get("model_type"), "language_model"), {}
    try:
        network = find("pretrained", str(kind))
    except TSXError as error:
        raise TSXError(f"{path}: {error}") from None
    known = list(inspect.signature(network).parameters)[1:]
    check_names(options, known, str(path))
    return network, options


def _read_json(path: Path) -> Dict[str, Any]:
    try:
        found = parse_json(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise TSXError(f"{path}: cannot be read: {error}") from None
    if not isinstance(found, dict):
        raise TSXError(f"{path}: expected options and their values, found {shown(found)}")
    return found


def files_of(directory: PathLike) -> List[Path]:
    """What a network is made from.

    Raises:
        TSXError: as ``read_about``.
    """
    network, _ = read_about(directory)
    return find_files(Path(directory), network.files)


def digest_of(directory: PathLike) -> str:
    """SHA-256 of what a network is made from: the names and the contents of its files, in hex.

    Raises:
        TSXError: as ``read_about``, or if a file cannot be read.
    """
    network, _ = read_about(directory)
    return digest_of_files(Path(directory), network.files)


def load(directory: PathLike) -> AbsPretrained:
    """The network in a directory.

    Raises:
        TSXError: if it cannot be loaded, with the file.
    """
    network, options = read_about(directory)
    try:
        loaded = network(Path(directory), **options)
    except (TypeError, ValueError) as error:
        raise TSXError(f"{Path(directory) / ABOUT}: {error}") from None
    loaded.digest = digest_of(directory)
    return loaded


def keep(directory: PathLike, kept: PathLike) -> None:
    """Copy the files of a network to ``kept``, whole or not at all, unless they are there.

    Raises:
        TSXError: if they cannot be copied.
    """
    directory, kept = Path(directory), Path(kept)
    files = files_of(directory)
    with contextlib.suppress(TSXError):
        if digest_of(kept) == digest_of(directory):
            return
    temporary = temporary_name(kept)
    try:
        temporary.mkdir(parents=True)
        for path in files:
            shutil.copyfile(path, temporary / path.name)
        shutil.rmtree(kept, ignore_errors=True)
        os.rename(temporary, kept)
    except OSError as error:
        if error.errno not in (errno.EEXIST, errno.ENOTEMPTY):  # another node was faster
            raise TSXError(f"{kept}: cannot be written: {error.strerror or error}") from None
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
    if digest_of(kept) != digest_of(directory):
        raise TSXError(f"{kept}: expected the files of {directory}, found others")


class Networks(Mapping[str, Frozen]):
    """Pretrained networks by name, frozen, each loaded when it is first used.

    Args:
        directories: of the networks, by name.
        digests: those expected of some of them.

    Raises:
        TSXError: for a name that is none of them, a network that cannot be loaded, or another
            digest.
    """

    def __init__(self, directories: Mapping[str, PathLike], digests: Mapping[str, str]):
        self.directories = directories
        self.digests = digests
        self._loaded: Dict[str, Frozen] = {}

    def __getitem__(self, name: str) -> Frozen:
        if name not in self._loaded:
            self._loaded[name] = Frozen(self._load(name))
        return self._loaded[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self.directories)

    def __len__(self) -> int:
        return len(self.directories)

    def directory(self, name: str) -> Path:
        """Where a network lies."""
        if name not in self.directories:
            found = ", ".join(self.directories) or "none"
            raise TSXError(
                f"--pretrained: expected the directory of {name!r}, found those of {found}"
            )
        return Path(self.directories[name])

    def tokenizer(self, name: str) -> Tokenizer:
        """The tokenizer of a text encoder, without its network.

        Raises:
            TSXError: if it is none.
        """
        directory = self.directory(name)
        network, _ = read_about(directory)
        if not hasattr(network, "tokenizer"):
            raise TSXError(f"{directory}: expected a text encoder, found a {network.__name__}")
        return network.tokenizer(directory)

    def _load(self, name: str) -> AbsPretrained:
        directory = self.directory(name)
        network = load(directory)
        expected = self.digests.get(name, network.digest)
        if network.digest != expected:
            raise TSXError(
                f"{directory}: expected the network with SHA-256 {expected}, "
                f"found {network.digest}"
            )
        return network


def check_directories(found: Any) -> Dict[str, str]:
    """The value of ``--pretrained``: name -> directory.

    Raises:
        TSXError: if it is something else, or a name cannot stand in a path.
    """
    if not isinstance(found, Mapping):
        raise TSXError(f"--pretrained: expected '{{name: DIR}}', found {shown(found)}")
    for name, directory in found.items():
        check_id(str(name), "--pretrained")
        if not isinstance(directory, str):
            found = shown(directory)
            raise TSXError(f"--pretrained: expected a directory for {name}, found {found}")
    return {str(name): directory for name, directory in found.items()}
