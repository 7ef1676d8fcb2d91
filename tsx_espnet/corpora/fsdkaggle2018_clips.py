"""The clips of FSDKaggle2018, as its CSV files list them."""

from pathlib import Path
from typing import Collection, Dict, NamedTuple, Optional

from tsx_espnet.checks import did_you_mean
from tsx_espnet.corpora.tables import check_layout, read_records
from tsx_espnet.errors import TSXError
from tsx_espnet.tables import check_id

URL = "https://zenodo.org/record/2552860"
AUDIO = {"train": "FSDKaggle2018.audio_train", "test": "FSDKaggle2018.audio_test"}
META = "FSDKaggle2018.meta"
CSVS = {
    "train": "train_post_competition.csv",
    "test": "test_post_competition_scoring_clips.csv",
}
USAGES = ("Public", "Private")  # which of its two test scores a clip counted for at Kaggle


class Clip(NamedTuple):
    """One clip: its class, its audio file, and its recording at Freesound."""

    label: str
    wav: Path
    recording: str


Clips = Dict[str, Clip]


def check_corpus(root: Path) -> None:
    """Raise ``TSXError`` unless ``root`` holds what FSDKaggle2018 unpacks to."""
    folders = (*AUDIO.values(), META)
    expected = (
        f"expected the FSDKaggle2018 corpus with {', '.join(folders)} "
        f"({META} with {', '.join(CSVS.values())}); get it from {URL}"
    )
    check_layout(root, folders, [f"{META}/{name}" for name in CSVS.values()], expected)


def read_clips(
    root: Path,
    name: str,
    usage: str = "all",
    classes: Optional[Collection[str]] = None,
    verified_only: bool = False,
) -> Clips:
    """The clips of the ``train`` or the ``test`` set that are wanted.

    Args:
        usage: of the test set, ``all``, or one of ``USAGES``; ignored clips are left out.
        classes: the only ones that may occur, if given.
        verified_only: of the training set, only clips that are manually verified.

    Raises:
        TSXError: naming file and line, for whatever is not as the corpus has it.
    """
    path = root / META / CSVS[name]
    flag = "manually_verified" if name == "train" else "usage"
    clips: Clips = {}
    seen: Dict[str, str] = {}
    for where, row in read_records(path, ("fname", "label", flag, "freesound_id")):
        fname = row["fname"]
        if not fname.endswith(".wav"):
            raise TSXError(f"{where}: expected a file name that ends in .wav, found {fname!r}")
        clip = check_id(fname[: -len(".wav")], where)
        if clip in seen:
            raise TSXError(f"{where}: clip {clip} occurs twice, first at {seen[clip]}")
        seen[clip] = where
        allowed = ("0", "1") if name == "train" else (*USAGES, "Ignored")
        if row[flag] not in allowed:
            raise TSXError(f"{where}: {flag}: expected {' or '.join(allowed)}, found {row[flag]!r}")
        if row[flag] == "Ignored" or usage not in ("all", row[flag]):
            continue
        if verified_only and row[flag] == "0":
            continue
        label = _label(row["label"], where, classes)
        clips[clip] = Clip(label, root / AUDIO[name] / fname, row["freesound_id"] or clip)
    if not clips:
        raise TSXError(f"{path}: not one clip that is wanted")
    return clips


def _label(label: str, where: str, classes: Optional[Collection[str]]) -> str:
    if not label or label.split() != [label] or "," in label:
        raise TSXError(f"{where}: expected a label without space or comma, found {label!r}")
    if classes is not None and label not in classes:
        hint = did_you_mean(label, classes)
        raise TSXError(f"{where}: label {label!r} does not occur in {CSVS['train']}; {hint}")
    return label
