"""What the SoundBeam paper reports: Tables 1 and 2, what they say, and which scores of ours are it.

References:
    [SoundBeam] Delcroix et al., "Few-shot learning of new sound classes for target sound
    extraction", Interspeech 2021, Sec. 5.
"""

from pathlib import Path
from typing import Dict, List, NamedTuple, Optional

from tsx_espnet.conditions import ENROLLMENT
from tsx_espnet.corpora.examples import drawn
from tsx_espnet.evaluation.system import INFER

CLASS = "class"
# method (conf/method_<method>.yaml) -> the paper's name
METHODS = {"onehot": "1-hot", "enrl": "Enrl", "mixed": "Mixed", "mixed_el": "Mixed+EL"}
ADAPTED = "mixed_el"  # the model that the paper adapts
# how the row of a new class starts -> the paper's name
INITS = {"random": "+adapt (rnd init)", "average": "+adapt (avg init)"}
SHOTS = (1, 5, 10)  # K, recordings of a new class
SEEN, NEW_SEEN, NEW = "seen", "new_seen", "new"
NEW_CLASSES = "new_classes"  # directory of the models that were adapted, in an experiment's
# set -> what its mixtures are of, and the BSS-eval SDR in dB of the mixtures themselves
SETS = {
    SEEN: "seen classes",
    NEW_SEEN: "seen classes and a new one, target: seen",
    NEW: "seen classes and a new one, target: new",
}
MIXTURE_SDR = {SEEN: -3.6, NEW_SEEN: -3.4, NEW: -4.0}


class Place(NamedTuple):
    """Where an experiment keeps the scores of one set.

    Attributes:
        test: a key of ``SETS``.
        shots: K, for a new class.
        init: a key of ``INITS`` for rows that were adapted.
    """

    test: str
    shots: Optional[int] = None
    init: Optional[str] = None

    def directory(self, kind: str, draw: int = 0) -> Path:
        """The directory of ``scores.csv``, relative to the experiment's.

        >>> Place("new", 5).directory("random_soundbeam", draw=2).as_posix()
        'infer/new_random_soundbeam_K5_draw2'
        """
        examples = f"K{self.shots}{drawn(draw)}"
        if self.init:
            return Path(NEW_CLASSES, f"{self.init}_{examples}", INFER, f"{NEW}_{kind}")
        name = {SEEN: f"test_{kind}", NEW_SEEN: f"new_seen_{kind}"}.get(self.test)
        return Path(INFER, name or f"{NEW}_{kind}_{examples}")


PLACES = (
    Place(SEEN),
    Place(NEW_SEEN),
    *(Place(NEW, shots) for shots in SHOTS),
    *(Place(NEW, shots, init) for init in INITS for shots in SHOTS),
)


class Asked(NamedTuple):
    """One cell of a table: a model, on a set, by one kind of embedding."""

    method: str
    place: Place
    condition: str

    @property
    def label(self) -> str:
        """In words.

        >>> Asked("mixed", Place("new", 5, "average"), "class").label
        'Mixed +adapt (avg init), K=5'
        """
        words = METHODS[self.method]
        if self.place.test != NEW:
            return f"{words}, {self.place.test}, by {self.condition}"
        words += f" {INITS[self.place.init]}" if self.place.init else ""
        return f"{words}, K={self.place.shots}"


def seen(method: str, condition: str) -> Asked:
    """A cell of Table 1."""
    return Asked(method, Place(SEEN), condition)


def new_seen(method: str) -> Asked:
    """A cell of Table 2, left: by class "except for the enrollment-based model"."""
    return Asked(method, Place(NEW_SEEN), ENROLLMENT if method == "enrl" else CLASS)


def new(method: str, shots: int, init: Optional[str] = None) -> Asked:
    """A cell of Table 2, right: the mean of K embeddings (Eq. 8), or the row adapted from it."""
    return Asked(method, Place(NEW, shots, init), CLASS if init else ENROLLMENT)


# SDR improvement in dB as printed
PRINTED: Dict[Asked, float] = {
    seen("onehot", CLASS): 11.4,
    seen("mixed", CLASS): 12.6,
    seen("mixed_el", CLASS): 12.9,
    seen("enrl", ENROLLMENT): 10.4,
    seen("mixed", ENROLLMENT): 10.5,
    seen("mixed_el", ENROLLMENT): 10.1,
}
PRINTED.update(
    {new_seen(m): n for m, n in zip(METHODS, (10.5, 10.4, 11.6, 11.8))},
)
for _method, _init, _numbers in (
    ("enrl", None, (4.9, 7.0, 7.0)),
    ("mixed", None, (4.4, 7.2, 7.5)),
    ("mixed_el", None, (3.2, 7.1, 7.4)),
    (ADAPTED, "random", (0.2, 3.4, 5.1)),
    (ADAPTED, "average", (3.8, 7.8, 8.2)),
):
    PRINTED.update({new(_method, k, _init): n for k, n in zip(SHOTS, _numbers)})
# every cell that a new class can have, model by model
NEW_CELLS = tuple(new(m, k, init) for m in METHODS for init in (None, *INITS) for k in SHOTS)


class Claim(NamedTuple):
    """A difference that the paper has above 0 (for another model than the one it adapts: would)."""

    name: str
    minuend: Asked
    subtrahend: Asked

    @property
    def printed(self) -> Optional[float]:
        """The difference of the paper's numbers in dB; None where it has none."""
        numbers = PRINTED.get(self.minuend), PRINTED.get(self.subtrahend)
        return None if None in numbers else numbers[0] - numbers[1]


def claims(method: str) -> List[Claim]:
    """What adaptation does to a model, for each K."""
    name = METHODS[method]
    found = []
    for other, words in (("random", "adapt (rnd init)"), (None, "no adaptation")):
        for shots in SHOTS:
            title = f"{name}: adapt (avg init) - {words}, new, K={shots}"
            pair = new(method, shots, "average"), new(method, shots, other)
            found.append(Claim(title, *pair))
    return found


CLAIMS = (
    Claim("Mixed - 1-hot, seen, by class", seen("mixed", CLASS), seen("onehot", CLASS)),
    Claim("Mixed+EL - 1-hot, seen, by class", seen("mixed_el", CLASS), seen("onehot", CLASS)),
    Claim("Mixed+EL - Mixed, seen, by class", seen("mixed_el", CLASS), seen("mixed", CLASS)),
    Claim("1-hot - Enrl, seen", seen("onehot", CLASS), seen("enrl", ENROLLMENT)),
    *(
        Claim(f"{METHODS[m]}: K={k} - K=1, new", new(m, k), new(m, 1))
        for m in ("enrl", "mixed", "mixed_el")
        for k in (5, 10)
    ),
    Claim("Mixed - Enrl, new, K=10", new("mixed", 10), new("enrl", 10)),
)
