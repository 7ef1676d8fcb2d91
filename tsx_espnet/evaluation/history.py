"""What an ESPnet training has logged: its learning curves and the size of the model."""

import re
from pathlib import Path
from typing import Dict, List, Optional, Tuple

from tsx_espnet.tables import PathLike

_EPOCH = re.compile(r"\b(\d+)epoch results: (.*)")
_PART = re.compile(r"\[(\w+)\] ")
# a number up to a comma or the end: "time=3 minutes and 2.1 seconds" is none
_VALUE = re.compile(r"(\w+)=(-?\d[\d.]*(?:e[-+]?\d+)?)(?=,|\s*$)")
_PARAMETERS = re.compile(r"Total Number of model parameters: (.+)")

Curve = Dict[int, float]  # epoch (from 1) -> value


class History:
    """The learning curves found in ``<exp>/train.log`` and its rotated predecessors.

    Attributes:
        curves: (part, name) -> epoch -> value, e.g. ``curves["valid", "loss"][3]``. Where an epoch
            was run twice (killed, then resumed) the later run counts.
        parameters: the model's size as ESPnet words it ("1.07 M"), or None.
    """

    def __init__(self, directory: PathLike) -> None:
        self.curves: Dict[Tuple[str, str], Curve] = {}
        self.parameters: Optional[str] = None
        for path in log_files(directory):
            with open(path, encoding="utf-8", errors="replace") as stream:
                for line in stream:
                    self._read(line)

    @property
    def epochs(self) -> int:
        """The last epoch that was finished, 0 if none."""
        return max((max(curve) for curve in self.curves.values()), default=0)

    def curve(self, part: str, name: str) -> Curve:
        """The curve ``name`` of "train" or "valid", in order of the epochs; empty if not logged."""
        return dict(sorted(self.curves.get((part, name), {}).items()))

    def _read(self, line: str) -> None:
        size = _PARAMETERS.search(line)
        if size:
            self.parameters = size.group(1).strip()
        results = _EPOCH.search(line)
        if not results:
            return
        words = _PART.split(results.group(2))  # "", "train", "k=v, ...", "valid", "k=v, ..."
        for part, values in zip(words[1::2], words[2::2]):
            for name, value in _VALUE.findall(values):
                self.curves.setdefault((part, name), {})[int(results.group(1))] = float(value)


def log_files(directory: PathLike) -> List[Path]:
    """``train.log`` and what launching again has renamed (``train.1.log``, ...), oldest first."""
    rotated = [path for path in Path(directory).glob("train.*.log") if path.stem[6:].isdigit()]
    rotated.sort(key=lambda path: -int(path.stem[6:]))
    newest = Path(directory) / "train.log"
    return rotated + ([newest] if newest.is_file() else [])
