"""Matrices of an archive, against kaldiio; and what an archive from a stranger must not do."""

import struct

import kaldiio
import numpy as np
import pytest

from tsx_espnet.clips.ark import read_matrix


@pytest.fixture
def archive(tmp_path):
    rng = np.random.default_rng(0)
    shapes = {"a": (1, 3), "b": (250, 3), "c": (0, 3), "d": (7, 5)}
    matrices = {name: rng.normal(size=size).astype(np.float32) for name, size in shapes.items()}
    path, table = tmp_path / "a [1] b.ark", tmp_path / "x.scp"
    kaldiio.save_ark(str(path), matrices, scp=str(table))
    places = dict(line.split(" ", 1) for line in table.read_text().splitlines())
    return path, matrices, {name: int(place.rsplit(":", 1)[1]) for name, place in places.items()}


def test_what_kaldiio_wrote_is_read(archive):
    path, matrices, offsets = archive
    for name, offset in offsets.items():
        found = read_matrix(path, offset)
        assert found.dtype == np.float32
        np.testing.assert_array_equal(found, matrices[name])


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\0BFM \4",
        b"PKL" + bytes(30),  # kaldiio would unpickle it
        b"\0BDM \4" + struct.pack("<ici", 1, b"\4", 1) + bytes(8),
        b"\0BFM \4" + struct.pack("<ici", 2, b"\4", 3) + bytes(20),
        b"\0BFM \4" + struct.pack("<ici", 2**31 - 1, b"\4", 2**31 - 1) + bytes(20),
        b"\0BFM \4" + struct.pack("<ici", -1, b"\4", -1) + bytes(20),
    ],
)
def test_anything_else_is_refused(tmp_path, data):
    (tmp_path / "x.ark").write_bytes(data)
    with pytest.raises(ValueError):
        read_matrix(tmp_path / "x.ark", 0)


def test_a_name_is_never_a_command(tmp_path):
    """Kaldi runs a name that begins or ends with a pipe; a data set from elsewhere may hold one."""
    for name in (f"touch {tmp_path}/ran |", f"| touch {tmp_path}/ran", "-"):
        with pytest.raises(OSError):
            read_matrix(name, 0)
    assert not list(tmp_path.iterdir())
