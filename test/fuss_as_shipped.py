"""A small FUSS, written from the words of its README alone: lists, 16-bit WAV files, neighbours."""

import wave

import numpy as np

FS = 16000
LENGTH = 4000
CLIPPED, SILENT = 1, 2  # examples of each set: a clipped mixture, an all-zero source
COUNTS = {"train": 6, "validation": 3, "eval": 4}


def write_wav(path, samples, fs=FS, channels=1):
    path.parent.mkdir(parents=True, exist_ok=True)
    with wave.open(str(path), "wb") as file:
        file.setnchannels(channels)
        file.setsampwidth(2)
        file.setframerate(fs)
        file.writeframes(samples.astype("<i2").tobytes())


def read_wav(path):
    """16-bit samples."""
    with wave.open(str(path), "rb") as file:
        return np.frombuffer(file.readframes(file.getnframes()), "<i2")


def draw_sources(rng, number):
    """A background and 0 to 3 foregrounds, real numbers in 16-bit steps."""
    count = number % 4
    sources = [2000 * rng.standard_normal(LENGTH)]
    for foreground in range(count):
        start = int(rng.integers(LENGTH - 300))
        track = np.zeros(LENGTH)  # the tail is cut: some have a few ms
        track[start : start + 1500] = 1000 * rng.standard_normal(min(1500, LENGTH - start))
        if number % 4 == SILENT and foreground == 1:
            track[:] = 0
        sources.append(track)
    if number % 4 == CLIPPED:
        sources[0][100:110] = sources[1][100:110] = 20000
    return sources


def write_fuss(root, reverb=False, counts=None, digits=(5, 4, 5), fs=FS):
    """Write ``root/ssdata`` or ``ssdata_reverb``; set -> mixture name -> its sources, 16 bit."""
    folder = root / ("ssdata_reverb" if reverb else "ssdata")
    shipped = {}
    for (name, count), width in zip((counts or COUNTS).items(), digits):
        rng = np.random.default_rng([len(name), reverb])
        lines, shipped[name] = [], {}
        for number in range(count):
            stem = f"{name}/example{number:0{width}d}"
            sources = draw_sources(rng, number)
            mixture = np.clip(np.rint(sum(sources)), -(2**15), 2**15 - 1)
            files = [f"{stem}.wav", f"{stem}_sources/background0_sound.wav"]
            files += [f"{stem}_sources/foreground{n}_sound.wav" for n in range(len(sources) - 1)]
            rounded = [np.rint(samples).astype(np.int16) for samples in sources]
            for file, samples in zip(files, [mixture, *rounded]):
                write_wav(folder / file, samples, fs)
            for suffix in ("jams", "txt"):
                (folder / f"{stem}.{suffix}").write_text("0.0\t0.25\tbackground0_sound\nrir.wav\n")
            lines.append("\t".join(files))
            shipped[name][f"example{number:0{width}d}"] = rounded
        (folder / f"{name}_example_list.txt").write_text("\n".join(lines) + "\n")
    return shipped
