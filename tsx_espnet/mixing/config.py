"""How mixtures are drawn: the numbers of ``conf/mix_*.yaml``, checked."""

import dataclasses
import json
import math
from pathlib import Path
from typing import Any, Dict, Mapping, Optional, Tuple, Union

from tsx_espnet.checks import Fields
from tsx_espnet.conditions import CONDITIONS, find, hop_length
from tsx_espnet.conditions.signal import Energy, Harmonicity, Order
from tsx_espnet.errors import TSXError
from tsx_espnet.mixing.background import BackgroundConfig, from_options
from tsx_espnet.mixing.plan import LONGEST, MAX_SOURCES
from tsx_espnet.tables import PathLike, read_yaml

STRATEGIES = ("random", "different", "same", "clips")
SIGNAL_VALUES = ("measured", "random")
TEXTS_OF = ("specific", "drawn")
ENROLLMENTS_FROM = ("other", "other_clip", "same")
CLASS_LEVELS = ("specific", "any")
PLACEMENTS = ("overlap", "uniform")
# written only where they are not the default
_LEFT_OUT = (
    *("margins", "component_sources", "num_targets", "write_sources"),
    *("enrollment_from", "interference", "text_of", "signal_values"),
)


@dataclasses.dataclass(frozen=True)
class MixingConfig:
    """The distribution that mixtures are drawn from ([OCT] Sec. 3.1; defaults: the harder set).

    Args:
        duration: of a mixture, in seconds; rounded to whole 10 ms frames.
        strategy: the classes are ``random`` ones, or come from ``different`` super-classes or
            the ``same``; or ``clips`` are drawn whatever their classes, if they have any.
        snr: bounds of the absolute level difference of each further source to the first one, over
            the mixture, in dB; None: the levels are drawn over that of the background, see
            ``placement.py``.
        min_overlap: of the sounding parts, in [0, 1]; see ``placement.py``.
        onset_gap: bounds of the time from the first audible onset to each other one, in seconds;
            None: every gap that keeps ``min_overlap`` is equally likely.
        min_sounding: least sounding time of a source within the mixture, in seconds.
        level: of the mixture (its RMS), in dB re full scale.
        level_margin, harmonicity_margin, onset_margin: differences (dB, dB, seconds) under which
            energy, harmonicity and order are not applicable.
        class_level: the class condition is the most ``specific`` label that tells the target
            apart, or ``any`` such label, drawn.
        text_variants: draw synonyms and captions too (training), else one fixed text.
        text_of: the label that the text is of: the most ``specific`` one that tells the target
            apart, or the one that the source was ``drawn`` for if it does ([OCT]'s authors), by the
            first of its names and whatever the captions of the clip.
        signal_values: of energy, harmonicity and order: as ``measured``, or, as a control, at
            ``random``: exchanged with probability 1/2 for each mixture and condition, so that they
            are applicable to the same mixtures but say nothing about the target.
        superclasses: JSON file of the super-classes and their sub-classes; None: FSD50K's.
        num_sources: of a mixture, the target among them; or the bounds of their number.
        clip_duration: bounds of the length of what is taken from a clip, in seconds, a shorter clip
            whole; None: as much as fits into the mixture.
        placement: sources ``overlap`` by ``min_overlap``, or lie at ``uniform`` random times, whole
            and independent of each other.
        background: of every mixture, see ``BackgroundConfig``; a mapping of its options will do.
        enrollments: how many other clips of the target's class go with a mixture.
        enrollment_duration: longest enrollment, in seconds; of a longer clip, a part.
        enrollment_from: an ``other`` recording than the target's clip was cut from (if that is not
            known, any other clip), any ``other_clip``, or a part of the ``same`` clip that is not
            mixed.
        interference: directory of formatted clips: all sources but the first, which is the target,
            are drawn from it, each clip as likely as any other; None: from where the first is.
        component_sources: sources of a component; a target of several is queried by their texts
            together.
        num_targets: of a mixture: 1, which is drawn, or ``all`` components that could be drawn are
            queried, each by its own conditions and enrollments.
        write_sources: write the components of each mixture of a set, with their queries; always
            done if there are queries beyond those of one target.
        margins: name -> margin of conditions that have no option of their own, in their own unit;
            None: as they say themselves.

    Raises:
        TSXError: naming the option that is out of range.
    """

    duration: float = 5.0
    strategy: str = "random"
    snr: Optional[Tuple[float, float]] = (0.0, 2.5)
    min_overlap: float = 0.8
    onset_gap: Optional[Tuple[float, float]] = None
    min_sounding: float = 0.25
    level: float = -26.0
    level_margin: float = Energy.margin
    harmonicity_margin: float = Harmonicity.margin
    onset_margin: float = Order.margin
    class_level: str = "specific"
    text_variants: bool = False
    superclasses: Optional[str] = None
    num_sources: Union[int, Tuple[int, int]] = 2
    clip_duration: Optional[Tuple[float, float]] = None
    placement: str = "overlap"
    background: Optional[BackgroundConfig] = None
    enrollments: int = 0
    enrollment_duration: float = 10.0
    margins: Optional[Mapping[str, float]] = None
    enrollment_from: str = "other"
    interference: Optional[str] = None
    component_sources: int = 1
    num_targets: Union[int, str] = 1
    write_sources: bool = False
    text_of: str = "specific"
    signal_values: str = "measured"

    def __post_init__(self):
        fields = Fields(vars(self))
        fields.number("duration", 0.1, LONGEST)
        fields.number("min_overlap", 0.0, 1.0)
        fields.number("min_sounding", 0.01, self.duration)
        # far below, the -60 dB floor under which nothing counts as sounding would eat the sources
        fields.number("level", -40.0, 0.0)
        for name in ("level_margin", "harmonicity_margin"):
            fields.number(name, 0.0, 60.0)
        fields.number("onset_margin", 0.0, self.duration)
        if self.snr is not None:
            fields.interval("snr", 0.0, 60.0)
        fields.choice("strategy", STRATEGIES)
        fields.choice("class_level", CLASS_LEVELS)
        fields.flag("text_variants")
        fields.choice("text_of", TEXTS_OF)
        fields.choice("signal_values", SIGNAL_VALUES)
        if self.text_of == "drawn" and self.strategy == "clips":
            raise TSXError("text_of: drawn needs labels to draw, found strategy clips")
        fields.file_name("superclasses")
        if isinstance(self.num_sources, (list, tuple)):
            fields.integers("num_sources", 1, MAX_SOURCES)
        else:
            fields.integer("num_sources", 1, MAX_SOURCES)
        fields.choice("placement", PLACEMENTS)
        if self.onset_gap is not None:
            fields.interval("onset_gap", 0.0, self.duration)
            if self.placement == "uniform":
                raise TSXError("onset_gap: only for placement overlap, found placement uniform")
        if self.clip_duration is not None:
            fields.interval("clip_duration", self.min_sounding, self.duration)
        if isinstance(self.background, Mapping):
            fields.values["background"] = from_options(
                BackgroundConfig, self.background, "background"
            )
        elif not isinstance(self.background, (BackgroundConfig, type(None))):
            fields.refuse("background", "options or null")
        if self.snr is None and self.background is None:
            raise TSXError("snr: null needs a background that levels are over, found none")
        fields.integer("enrollments", 0, 100)
        fields.number("enrollment_duration", self.min_sounding, 600.0)
        self._check_components(fields)
        self._check_second_set(fields)
        self._check_margins(fields)

    def _check_components(self, fields: Fields) -> None:
        fields.integer("component_sources", 1, MAX_SOURCES)
        if self.component_sources > 1:
            where = f"with component_sources {self.component_sources}"
            if any(number % self.component_sources for number in self.source_counts):
                fields.refuse("num_sources", f"a multiple {where}")
            if self.enrollments:
                raise TSXError(f"enrollments: expected 0 {where}, found {self.enrollments}")
        if self.num_targets is True or self.num_targets not in (1, "all"):
            fields.refuse("num_targets", "1 or all")
        fields.flag("write_sources")

    def _check_second_set(self, fields: Fields) -> None:
        fields.choice("enrollment_from", ENROLLMENTS_FROM)
        if self.enrollment_from == "same" and self.enrollments > 1:
            raise TSXError(f"enrollments: at most 1 from the same clip, found {self.enrollments}")
        fields.file_name("interference")
        if self.interference is not None:
            for name, fitting in (("strategy", ("random", "clips")), ("component_sources", (1,))):
                found = getattr(self, name)
                if found not in fitting:
                    expected = " or ".join(map(str, fitting))
                    raise TSXError(f"interference: expected {name} {expected}, found {found}")

    def _check_margins(self, fields: Fields) -> None:
        if self.margins is None:
            return
        if not isinstance(self.margins, Mapping):
            fields.refuse("margins", "'condition: number' lines")
        margins = Fields(dict(self.margins), "margins")
        for name in self.margins:
            try:
                condition = find(str(name))
            except TSXError as error:
                raise TSXError(f"margins: {error}") from None
            if condition.margin is None:
                raise TSXError(f"margins: {name} has none")
            if condition.margin_option is not None:
                option = condition.margin_option
                raise TSXError(f"margins: {name} has an option of its own, {option}")
            margins.number(name, 0.0)
        fields.values["margins"] = margins.values

    @property
    def condition_margins(self) -> Dict[str, float]:
        """Condition -> the smallest difference that counts, of those for which it is set."""
        named = {
            name: getattr(self, condition.margin_option)
            for name, condition in CONDITIONS.items()
            if condition.margin_option is not None
        }
        return {**named, **(self.margins or {})}

    def with_noise(self, directory: PathLike) -> "MixingConfig":
        """The same with a background of the recordings of noise in ``directory``.

        Raises:
            TSXError: if there is no background.
        """
        if self.background is None:
            raise TSXError(f"noise {directory}: the mixing config has no background")
        background = dataclasses.replace(self.background, noise=str(directory))
        return dataclasses.replace(self, background=background)

    @property
    def has_sources(self) -> bool:
        """Whether the components and all queries are written to a mixture set."""
        return self.write_sources or self.num_targets == "all" or self.component_sources > 1

    def with_interference(self, directory: PathLike) -> "MixingConfig":
        """The same with all sources but the first from the clips in ``directory``."""
        return dataclasses.replace(self, interference=str(directory))

    @property
    def source_counts(self) -> Tuple[int, int]:
        """The least and the greatest number of sources of a mixture."""
        number = self.num_sources
        return (number, number) if isinstance(number, int) else number

    @property
    def splits_clips(self) -> bool:
        """Whether a clip gives both a source and its enrollment."""
        return self.enrollments > 0 and self.enrollment_from == "same"

    def least_samples(self, fs: int) -> int:
        """Of a clip at ``fs`` Hz that can sound for ``min_sounding``."""
        return math.ceil(self.min_sounding * fs)

    def num_frames(self, fs: int) -> int:
        """Length of a mixture at ``fs`` Hz in 10 ms frames of ``hop_length(fs)`` samples."""
        return round(self.duration * fs / hop_length(fs))

    def to_dict(self) -> Dict[str, Any]:
        """Options and values, as they are written in yaml or JSON."""
        written = json.loads(json.dumps(dataclasses.asdict(self)))  # tuples become lists
        for field in dataclasses.fields(self):  # sets and runs of before do not have these
            if field.name in _LEFT_OUT and written[field.name] == field.default:
                del written[field.name]
        return written

    @classmethod
    def from_dict(cls, options: Mapping[str, Any], where: str = "mixing config") -> "MixingConfig":
        """From options by name, see ``from_options``."""
        return from_options(cls, options, where)

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
