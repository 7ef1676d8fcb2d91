"""Write the generated corpus: WAV files, and data directories for training, validation, test."""

import multiprocessing
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Dict, List, Sequence, Tuple

from tsx_espnet.audio import write_audio
from tsx_espnet.checks import check_at_least, did_you_mean
from tsx_espnet.cli import progress
from tsx_espnet.corpora.examples import choose_examples
from tsx_espnet.corpora.mini.catalogue import CATALOGUE, VERSION, generate
from tsx_espnet.corpora.mini.dsp import FS
from tsx_espnet.corpora.tables import write_sets
from tsx_espnet.errors import TSXError
from tsx_espnet.tables import DONE, PathLike, is_done, mark_done, remove_leftovers

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
    out: PathLike,
    data: PathLike,
    seed: int = 0,
    clips_per_class: int = 40,
    num_jobs: int = 1,
    new_classes: Sequence[str] = (),
    examples: Sequence[int] = (),
    num_draws: int = 1,
) -> None:
    """Generate the corpus and write ``data/{train,valid,test}/{wav.scp,utt2labels}``.

    The sounds (16 kHz, 16 bit, ``out/audio/<id>.wav``) do not depend on ``num_jobs`` and
    ``new_classes``. A complete corpus made with the same options is left alone.

    New classes are in none of the three sets: their test clips are ``new_test``, the others
    ``new_train``, and ``new_enroll_<K>`` holds K of these, see ``choose_examples``. There a clip
    has only its most specific label, as the others may be known from training.

    Args:
        out: directory of the sounds.
        data: directory of the data directories.
        seed: another seed gives other sounds of the same classes.
        clips_per_class: at least 10.
        num_jobs: number of processes.
        new_classes: most specific labels of the classes to hold out.
        examples: each K, none without new classes.
        num_draws: how often examples are chosen.

    Raises:
        TSXError: for an option out of range, an unknown class, or too few clips for K examples.
    """
    check_at_least(FEWEST_CLIPS, clips_per_class=clips_per_class)
    check_at_least(0, seed=seed)
    check_at_least(1, num_jobs=num_jobs, num_draws=num_draws)
    audio = Path(out).absolute() / "audio"
    splits = split_clips(clips_per_class)
    clips = sorted(clip for split in splits.values() for clip in split)
    sets = _sets(splits, _held_out(new_classes), examples, num_draws, audio)
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
        remove_leftovers(audio)
    write_sets(data, sets)
    for name, members in sets.items():
        classes = {labels for labels, _ in members.values()}
        print(f"{Path(data) / name}: {len(members)} clips of {len(classes)} classes")


def _held_out(new_classes: Sequence[str]) -> List[str]:
    """Names in the catalogue of the new classes."""
    names = {sound.labels[0]: name for name, sound in CATALOGUE.items()}
    for label in new_classes:
        if label not in names:
            raise TSXError(
                f"new class {label!r}: not one of the sounds; {did_you_mean(label, names)}"
            )
    if names.keys() <= set(new_classes):
        raise TSXError("new classes: no class is left that is not new")
    return [names[label] for label in new_classes]


def _sets(
    splits: Dict[str, List[Clip]],
    new: Sequence[str],
    examples: Sequence[int],
    num_draws: int,
    audio: Path,
) -> Dict[str, Dict[str, Tuple[str, Path]]]:
    """Set -> clip id -> labels and audio file."""
    sets = {
        split: {
            clip_id(clip): (",".join(CATALOGUE[clip[0]].labels), _wav(audio, clip))
            for clip in clips
            if clip[0] not in new
        }
        for split, clips in splits.items()
    }
    if not new:
        return sets
    for name, parts in (("new_train", ("train", "valid")), ("new_test", ("test",))):
        sets[name] = {
            clip_id(clip): (CATALOGUE[clip[0]].labels[0], _wav(audio, clip))
            for split in parts
            for clip in splits[split]
            if clip[0] in new
        }
    rows = sets["new_train"]
    labels = {clip: label for clip, (label, _) in rows.items()}
    chosen = choose_examples(labels, {clip: clip for clip in rows}, examples, num_draws)
    for name, members in chosen.items():
        sets[name] = {one: rows[clip] for one, clip in members.items()}
    return sets


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
    audio, (name, index), seed = item
    write_audio(_wav(audio, (name, index)), generate(name, index, seed), FS, "WAV", "PCM_16")
