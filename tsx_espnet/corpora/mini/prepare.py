"""Write the generated corpus: WAV files, and data directories for training, validation, test."""

import multiprocessing
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Dict, List, Tuple

from tsx_espnet.corpora.mini.catalogue import CATALOGUE, VERSION, generate
from tsx_espnet.corpora.mini.dsp import FS
from tsx_espnet.error import TSXError
from tsx_espnet.files import DONE, PathLike, atomic_write, is_done, mark_done, write_table
from tsx_espnet.progress import progress

FEWEST_CLIPS = 10
HELD_OUT = 0.15  # of the clips of each class, for validation and for test
Clip = Tuple[str, int]


def clip_id(clip: Clip) -> str:
    """Id of clip ``(class, index)``.

    >>> clip_id(("bark", 3))
    'bark_0003'
    """
    name, index = clip
    return f"{name}_{index:04d}"


def split_clips(clips_per_class: int) -> Dict[str, List[Clip]]:
    """Clips of each set: 70 % of every class for training, 15 % each for validation and test.

    >>> {name: len(clips) // len(CATALOGUE) for name, clips in split_clips(40).items()}
    {'train': 28, 'valid': 6, 'test': 6}
    """
    held_out = max(1, int(round(HELD_OUT * clips_per_class)))
    last_train = clips_per_class - 2 * held_out
    ranges = {
        "train": range(last_train),
        "valid": range(last_train, last_train + held_out),
        "test": range(last_train + held_out, clips_per_class),
    }
    return {
        split: [(name, index) for name in sorted(CATALOGUE) for index in indices]
        for split, indices in ranges.items()
    }


def prepare_mini(
    out: PathLike, data: PathLike, seed: int = 0, clips_per_class: int = 40, num_jobs: int = 1
) -> None:
    """Generate the corpus and write ``data/{train,valid,test}/{wav.scp,utt2labels}``.

    The sounds (16 kHz, 16 bit, ``out/audio/<id>.wav``) are the same for any ``num_jobs``. A corpus
    that is complete and was made with the same options is left alone.

    Args:
        out: directory of the sounds.
        data: directory of the data directories.
        seed: another seed gives other sounds of the same classes.
        clips_per_class: at least 10.
        num_jobs: number of processes.

    Raises:
        TSXError: for an option out of range.
    """
    for option, value, least in (
        ("clips_per_class", clips_per_class, FEWEST_CLIPS),
        ("seed", seed, 0),
        ("num_jobs", num_jobs, 1),
    ):
        if value < least:
            raise TSXError(f"--{option} must be at least {least}, found {value}")
    audio = Path(out).absolute() / "audio"
    splits = split_clips(clips_per_class)
    clips = sorted(clip for split in splits.values() for clip in split)
    facts = {
        "classes": sorted(CATALOGUE),
        "clips_per_class": clips_per_class,
        "seed": seed,
        "version": VERSION,
    }
    if is_done(out, **facts) and all(_wav(audio, clip).is_file() for clip in clips):
        print(f"{out}: complete, left alone")
    else:
        (Path(out) / DONE).unlink(missing_ok=True)
        _write_audio(audio, clips, seed, num_jobs)
        mark_done(out, **facts)
    for split, members in splits.items():
        folder = Path(data) / split
        write_table(folder / "wav.scp", {clip_id(clip): _wav(audio, clip) for clip in members})
        labels = {clip_id(clip): ",".join(CATALOGUE[clip[0]].labels) for clip in members}
        write_table(folder / "utt2labels", labels)
        print(f"{folder}: {len(members)} clips of {len(CATALOGUE)} classes")


def _wav(audio: Path, clip: Clip) -> Path:
    return audio / f"{clip_id(clip)}.wav"


def _write_audio(audio: Path, clips: List[Clip], seed: int, num_jobs: int) -> None:
    audio.mkdir(parents=True, exist_ok=True)
    work = [(audio, clip, seed) for clip in clips]
    if num_jobs == 1:
        for item in progress(work, "generating sounds"):
            _write_clip(item)
        return
    # spawn, as a fork of a process with threads may hang
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(num_jobs, mp_context=context) as pool:
        for _ in progress(pool.map(_write_clip, work, chunksize=8), "generating sounds", len(work)):
            pass


def _write_clip(item: Tuple[Path, Clip, int]) -> None:
    import soundfile

    audio, (name, index), seed = item
    with atomic_write(_wav(audio, (name, index)), "wb") as stream:
        soundfile.write(stream, generate(name, index, seed), FS, subtype="PCM_16", format="WAV")
