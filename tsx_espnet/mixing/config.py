"""How mixtures are drawn: the numbers of ``conf/mix_*.yaml``, checked."""

import dataclasses
import difflib
import math
from pathlib import Path
from typing import Any, Dict, Mapping, Optional, Tuple

from tsx_espnet.condition import Margins, hop_length
from tsx_espnet.error import TSXError
from tsx_espnet.files import PathLike, read_yaml

STRATEGIES = ("random", "different", "same")
CLASS_LEVELS = ("specific", "any")


@dataclasses.dataclass(frozen=True)
class MixingConfig:
    """The distribution that mixtures are drawn from ([OCT] Sec. 3.1; defaults: the harder set).

    Args:
        duration: of a mixture, in seconds; rounded to whole 10 ms frames.
        strategy: the two classes are ``random`` ones, or come from ``different`` super-classes or
            the ``same``.
        snr: bounds of the absolute level difference of the sources over the mixture, in dB.
        min_overlap: of the sounding parts, in [0, 1]; see ``placement.py``.
        onset_gap: bounds of the time between the two audible onsets, in seconds; None: every gap
            that keeps ``min_overlap`` is equally likely.
        min_sounding: least sounding time of a source within the mixture, in seconds.
        level: of the mixture (its RMS), in dB re full scale.
        level_margin, harmonicity_margin, onset_margin: differences (dB, dB, seconds) under which
            energy, harmonicity and order are not applicable.
        class_level: the class condition is the most ``specific`` label that tells the target
            apart, or ``any`` such label, drawn.
        text_variants: draw synonyms and captions too (training), else one fixed text.
        superclasses: JSON file of the super-classes and their sub-classes; None: FSD50K's.

    Raises:
        TSXError: naming the option that is out of range.
    """

    duration: float = 5.0
    strategy: str = "random"
    snr: Tuple[float, float] = (0.0, 2.5)
    min_overlap: float = 0.8
    onset_gap: Optional[Tuple[float, float]] = None
    min_sounding: float = 0.25
    level: float = -26.0
    level_margin: float = 0.1
    harmonicity_margin: float = 0.5
    onset_margin: float = 0.1
    class_level: str = "specific"
    text_variants: bool = False
    superclasses: Optional[str] = None

    def __post_init__(self):
        _number(self, "duration", 0.1, 600.0)
        _number(self, "min_overlap", 0.0, 1.0)
        _number(self, "min_sounding", 0.01, self.duration)
        # far below, the -60 dB floor under which nothing counts as sounding would eat the sources
        _number(self, "level", -40.0, 0.0)
        for name in ("level_margin", "harmonicity_margin"):
            _number(self, name, 0.0, 60.0)
        _number(self, "onset_margin", 0.0, self.duration)
        _range(self, "snr", 0.0, 60.0)
        if self.onset_gap is not None:
            _range(self, "onset_gap", 0.0, self.duration)
        _choice(self, "strategy", STRATEGIES)
        _choice(self, "class_level", CLASS_LEVELS)
        if not isinstance(self.text_variants, bool):
            raise TSXError(f"text_variants: expected true or false, found {self.text_variants!r}")
        if self.superclasses is not None and not isinstance(self.superclasses, str):
            raise TSXError(f"superclasses: expected a file name, found {self.superclasses!r}")

    @property
    def margins(self) -> Margins:
        return Margins(self.level_margin, self.harmonicity_margin, self.onset_margin)

    def num_frames(self, fs: int) -> int:
        """Length of a mixture at ``fs`` Hz in 10 ms frames of ``hop_length(fs)`` samples."""
        return round(self.duration * fs / hop_length(fs))

    def to_dict(self) -> Dict[str, Any]:
        """Options and values, as they are written in yaml or JSON."""
        plain = dataclasses.asdict(self)
        return {name: list(v) if isinstance(v, tuple) else v for name, v in plain.items()}

    @classmethod
    def from_dict(cls, options: Mapping[str, Any], where: str = "mixing config") -> "MixingConfig":
        """From options by name; those left out keep their default.

        Raises:
            TSXError: naming ``where`` and the option, for an unknown name or a bad value.
        """
        if not isinstance(options, Mapping):
            raise TSXError(f"{where}: expected 'option: value' lines, found {options!r:.80}")
        known = [field.name for field in dataclasses.fields(cls)]
        for name in options:
            if name not in known:
                near = difflib.get_close_matches(str(name), known, n=1, cutoff=0.5)
                hint = f"did you mean {near[0]!r}?" if near else f"expected: {', '.join(known)}"
                raise TSXError(f"{where}: no option {name!r}; {hint}")
        try:
            return cls(**options)
        except TSXError as error:
            raise TSXError(f"{where}: {error}") from None

    @classmethod
    def from_yaml(cls, path: PathLike) -> "MixingConfig":
        """From a yaml file of ``option: value`` lines.

        Raises:
            TSXError: naming the file, if it is missing, is no yaml, or holds a bad option.
        """
        path = Path(path)
        if not path.is_file():
            raise TSXError(f"{path}: no such mixing config")
        options = read_yaml(path)
        return cls.from_dict({} if options is None else options, str(path))


def _is_number(value: Any, low: float, high: float) -> bool:
    good_type = isinstance(value, (int, float)) and not isinstance(value, bool)
    return good_type and math.isfinite(value) and low <= value <= high


def _number(config: MixingConfig, name: str, low: float, high: float) -> None:
    value = getattr(config, name)
    if not _is_number(value, low, high):
        raise TSXError(f"{name}: expected a number in [{low:g}, {high:g}], found {value!r}")
    object.__setattr__(config, name, float(value))


def _range(config: MixingConfig, name: str, low: float, high: float) -> None:
    value = getattr(config, name)
    fits = isinstance(value, (list, tuple)) and len(value) == 2
    if not (fits and all(_is_number(v, low, high) for v in value) and value[0] <= value[1]):
        raise TSXError(
            f"{name}: expected [lowest, highest] within [{low:g}, {high:g}], found {value!r}"
        )
    object.__setattr__(config, name, (float(value[0]), float(value[1])))


def _choice(config: MixingConfig, name: str, choices: Tuple[str, ...]) -> None:
    value = getattr(config, name)
    if value not in choices:
        raise TSXError(f"{name}: expected one of {', '.join(choices)}, found {value!r}")
