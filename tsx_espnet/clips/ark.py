"""Matrices of a Kaldi archive, the way stage 2 leaves the energies of the clips.

kaldiio, which writes them, would do more than read: a name with a ``|`` at either end is run as a
command, and an archive may hold a pickle.
"""

import os
import struct

import numpy as np

from tsx_espnet.tables import PathLike

_HEADER = struct.Struct("<6sici")  # binary float matrix, rows, size of the next integer, columns
_MARK = b"\0BFM \4"


def read_matrix(path: PathLike, offset: int) -> np.ndarray:
    """The float32 matrix (R, C) that begins at byte ``offset`` of an archive.

    Raises:
        OSError: if the file cannot be read.
        ValueError: if there is no such matrix at ``offset``, or only a part of one.
    """
    if not os.path.isfile(path):  # a pipe would be waited for
        raise FileNotFoundError("no such file")
    with open(path, "rb") as stream:
        stream.seek(offset)
        head = stream.read(_HEADER.size)
        if len(head) < _HEADER.size or not head.startswith(_MARK):
            raise ValueError("no binary float matrix there")
        _, rows, _, columns = _HEADER.unpack(head)
        left = os.fstat(stream.fileno()).st_size - stream.tell()
        if rows < 0 or columns < 0 or 4 * rows * columns > left:
            raise ValueError(f"expected a matrix of {rows} x {columns}, found {left} bytes")
        data = stream.read(4 * rows * columns)
    return np.frombuffer(data, dtype="<f4").reshape(rows, columns)
