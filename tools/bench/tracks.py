#!/usr/bin/env python3
"""How often a sound changes its output from one segment of a recording to the next.

Recordings of 96 s are made of a few sources, each a clip that is repeated after pauses, at levels
within 30 dB. The separator that is simulated is exact but for leakage, and gives its outputs in
another order in every segment. With ``--varied``, every clip of a source is another one, so that
what an output held before says nothing; then only sounds that go on where segments meet count.

    python tools/bench/tracks.py --clips FSD50K.eval_audio --memory 0 0.1 0.3 1
"""

import argparse
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

import numpy as np  # noqa: E402
import torch  # noqa: E402

from tsx_espnet.audio import read_recording  # noqa: E402
from tsx_espnet.recordings import tracks  # noqa: E402
from tsx_espnet.recordings.segments import lengths  # noqa: E402

FS = 8000
SECONDS = 96
CASES = [  # outputs, sources, leakage, clips of a source in 10 s of pauses
    (outputs, sources, leak, density)
    for outputs, sources in ((2, 2), (4, 2), (4, 3))
    for leak in (0.03, 0.15)
    for density in (1, 5)
]


def draw_clip(paths, rng):
    """A clip of 0.5 s or more, within 15 dB of one level."""
    while True:
        clip = read_recording(paths[rng.integers(len(paths))], FS)
        level = np.sqrt(np.mean(clip**2))
        if level > 1e-4 and len(clip) > FS // 2:
            return clip / level * 10 ** (rng.uniform(-15, 15) / 20)


def draw_source(paths, rng, density, varied):
    """(T,)"""
    source, start, clip = np.zeros(SECONDS * FS, dtype=np.float32), 0, draw_clip(paths, rng)
    while True:
        start += int(rng.exponential(10 / density) * FS)
        if start >= len(source):
            return source
        clip = draw_clip(paths, rng) if varied else clip
        source[start : start + len(clip)] = clip[: len(source) - start]
        start += len(clip)


def changes(sources, leak, rng, varied):
    """How many sounds changed their output, and how many could."""
    size, shared = lengths(FS)
    placing, before, changed, total = tracks.Tracks(FS, shared), {}, 0, 0
    for start in range(0, sources.shape[1] - shared, size - shared):
        part = sources[:, start : start + size]
        gains = np.eye(len(part)) + leak * rng.uniform(0, 1, (len(part), len(part)))
        order = rng.permutation(len(part))
        outputs = torch.from_numpy((gains @ part)[order, None].astype(np.float32))
        placed = placing.place(outputs)
        power, meeting = (np.square(p).mean(axis=1) for p in (part, part[:, :shared]))
        now = {}
        for track, one in enumerate(placed):
            (position,) = (k for k, output in enumerate(outputs) if torch.equal(one, output))
            source = order[position]
            goes_on = meeting[source] > 0.01 * max(meeting.sum(), power.sum())
            if power[source] > 0.01 * power.sum():
                now[source] = track
                if source in before and (goes_on or not varied):
                    total += 1
                    changed += before[source] != track
        before = now if varied else {**before, **now}
    return np.array([changed, total])


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--clips", type=Path, required=True, help="directory of recordings")
    parser.add_argument("--memory", type=float, nargs="+", default=[tracks.MEMORY])
    parser.add_argument("--varied", action="store_true")
    parser.add_argument("--recordings", type=int, default=5, help="of each case")
    args = parser.parse_args()
    paths = sorted(path for path in args.clips.iterdir() if path.suffix in (".wav", ".flac"))
    found = {memory: np.zeros(2, dtype=int) for memory in args.memory}
    for number, (num_outputs, num_sources, leak, density) in enumerate(CASES * args.recordings):
        rng = np.random.default_rng(number)
        sources = np.zeros((num_outputs, SECONDS * FS), dtype=np.float32)
        for source in range(num_sources):
            sources[source] = draw_source(paths, rng, density, args.varied)
        for memory in args.memory:
            tracks.MEMORY = memory
            found[memory] += changes(sources, leak, np.random.default_rng(number), args.varied)
    for memory, (changed, total) in found.items():
        share = 100 * changed / max(1, total)
        print(f"memory {memory:g}: {changed} of {total} change their output ({share:.1f} %)")


if __name__ == "__main__":
    main()
