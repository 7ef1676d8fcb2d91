"""Musical instruments: guitar, flute, church bell, snare drum."""

from typing import List, Sequence

import numpy as np
from scipy.signal import lfilter

from tsx_espnet.corpora.mini import dsp

PENTATONIC = (0, 2, 4, 7, 9, 12, 14, 16, 19)  # semitones over the root: any order sounds melodic
BELL = (0.5, 1.0, 1.19, 1.5, 2.0, 2.51, 2.66, 3.01, 4.1, 5.35)  # hum, prime, tierce, quint, nominal
MEMBRANE = (1.0, 1.593, 2.135, 2.295, 2.653)  # zeros of Bessel functions over the first


def melody(rng: np.random.Generator, root: float, count: int) -> List[float]:
    """``count`` pitches in Hz: a walk in small steps over the pentatonic scale on ``root``."""
    step = int(rng.integers(len(PENTATONIC)))
    pitches = []
    for _ in range(count):
        pitches.append(root * 2 ** (PENTATONIC[step] / 12))
        step = int(np.clip(step + rng.integers(-2, 3), 0, len(PENTATONIC) - 1))
    return pitches


def pluck(
    rng: np.random.Generator, pitch: float, num: int, bright: float, decay: float
) -> np.ndarray:
    """A plucked string (Karplus and Strong, 1983; Jaffe and Smith, 1983, for the tuning).

    Args:
        pitch: fundamental frequency in Hz.
        bright: 0 (finger) to 1 (plectrum).
        decay: seconds in which the fundamental falls by 60 dB.
    """
    period = dsp.FS / pitch
    damping = 0.5 - 0.35 * bright  # weight of the older of two neighbours, which delays by as much
    whole = int(period - damping)
    rest = period - damping - whole
    # the two-point averages lose a little at the fundamental too: make up for it in the loop gain
    omega = 2 * np.pi * pitch / dsp.FS
    loss = abs(1 - damping + damping * np.exp(-1j * omega))
    loss *= abs(1 - rest + rest * np.exp(-1j * omega))
    gain = min(0.9999, 10 ** (-3 * period / (dsp.FS * decay)) / loss)
    taps = np.convolve([1 - damping, damping], [1 - rest, rest])
    loop = np.zeros(whole + 3)
    loop[0] = 1.0
    loop[whole : whole + 3] -= gain * taps
    burst = np.zeros(num)
    width = min(num, whole)
    burst[:width] = rng.uniform(-1, 1, width)
    burst[:width] = lfilter([0.3 + 0.6 * bright], [1, -(0.7 - 0.6 * bright)], burst[:width])
    burst[:width] -= np.mean(burst[:width])
    comb = np.zeros(max(2, int(0.18 * period)) + 1)  # plucked at 18 % of the string
    comb[0], comb[-1] = 1.0, -1.0
    return lfilter([1.0], loop, lfilter(comb, [1.0], burst))


def guitar(rng: np.random.Generator, seconds: float) -> np.ndarray:
    """An acoustic guitar: a picked melody, now and then two strings at once."""
    out = np.zeros(dsp.to_samples(seconds))
    bright, decay = rng.uniform(0.2, 0.9), rng.uniform(1.2, 3.0)
    beat = rng.uniform(0.18, 0.42)
    times = dsp.onsets(rng, seconds, (0.97 * beat, 1.03 * beat), first=0.05)
    pitches = melody(rng, rng.uniform(98, 220), len(times))
    for time, pitch in zip(times, pitches):
        num = dsp.to_samples(min(1.4, seconds - time))
        end = dsp.fade(num, 0.0005, min(0.4, num / dsp.FS / 2))
        level = rng.uniform(0.6, 1.0)
        dsp.add_at(out, time, level * end * pluck(rng, pitch, num, bright, decay))
        if rng.uniform() < 0.2:
            dsp.add_at(out, time + 0.02, 0.7 * end * pluck(rng, pitch * 1.5, num, bright, decay))
    return out + 0.6 * dsp.resonate(out, 190, 40) + 0.4 * dsp.resonate(out, 105, 30)  # the body


def flute_note(
    rng: np.random.Generator, pitch: float, num: int, overtones: Sequence[float], breath: float
) -> np.ndarray:
    """A blown note at ``pitch`` Hz: tone, vibrato that sets in late, breath noise, soft chiff."""
    depth = 0.008 * dsp.contour([0, 0, 1, 1], num)
    f0 = pitch * (1 + depth * np.sin(dsp.phase(rng.uniform(4.5, 6.0), num)))
    f0 *= 1 + 0.001 * dsp.wander(rng, num, 20)
    tone = dsp.tones(f0, num, overtones) * (1 + 8 * depth * np.sin(dsp.phase(5.2, num)))
    air = dsp.noise(rng, num, low=0.8 * pitch, high=3500, tilt=-4)
    chiff = air * np.exp(-np.arange(num) / (0.03 * dsp.FS))
    tone *= dsp.contour([0, 1, 1], num, [0, min(0.9, 0.05 * dsp.FS / num), 1])
    return (tone + breath * air + 0.25 * chiff) * dsp.fade(num, 0.02, 0.05)


def flute(rng: np.random.Generator, seconds: float) -> np.ndarray:
    """A flute: a slow melody of blown notes."""
    out = np.zeros(dsp.to_samples(seconds))
    overtones = [1.0, rng.uniform(0.2, 0.55), rng.uniform(0.1, 0.3), rng.uniform(0.02, 0.1), 0.03]
    breath, beat = rng.uniform(0.03, 0.09), rng.uniform(0.3, 0.6)
    times = dsp.onsets(rng, seconds, (beat, 1.6 * beat), first=0.05)
    pitches = melody(rng, rng.uniform(420, 700), len(times))
    for time, until, pitch in zip(times, times[1:] + [seconds], pitches):
        num = dsp.to_samples(max(0.1, until - time + 0.03))
        dsp.add_at(
            out, time, rng.uniform(0.75, 1.0) * flute_note(rng, pitch, num, overtones, breath)
        )
    return out


def bell_stroke(
    rng: np.random.Generator, pitch: float, num: int, bright: float, decay: float
) -> np.ndarray:
    """One stroke of a church bell whose prime lies at ``pitch`` Hz; ``decay`` is that of the prime.

    The partials are those of a minor-third bell; high ones die first, and each is a pair a little
    apart, as no bell is quite round: it beats.
    """
    ratios = np.asarray(BELL)
    levels = np.array([0.5, 0.8, 0.75, 0.3, 1.0, 0.45, 0.4, 0.5, 0.4, 0.3])
    levels *= bright ** np.maximum(0, np.log2(ratios))
    falls = decay * np.array([1.5, 1.0, 0.8, 0.6, 0.55, 0.35, 0.35, 0.3, 0.22, 0.15])
    split = 1 + rng.uniform(0.0004, 0.0015, len(ratios))
    sound = dsp.modes(num, pitch * ratios, falls, 0.65 * levels)
    sound += dsp.modes(num, pitch * ratios * split, falls, 0.35 * levels)
    clapper = dsp.noise(rng, num, low=1500) * np.exp(-np.arange(num) / (0.004 * dsp.FS))
    return sound + 0.3 * bright * clapper


def church_bell(rng: np.random.Generator, seconds: float) -> np.ndarray:
    """A church bell struck again and again."""
    out = np.zeros(dsp.to_samples(seconds))
    pitch, bright, decay = rng.uniform(190, 520), rng.uniform(0.6, 1.0), rng.uniform(0.7, 1.6)
    beat = rng.uniform(0.7, 1.4)
    for time in dsp.onsets(rng, seconds, (0.97 * beat, 1.03 * beat), first=0.05):
        num = dsp.to_samples(seconds - time)
        dsp.add_at(out, time, rng.uniform(0.7, 1.0) * bell_stroke(rng, pitch, num, bright, decay))
    return out


def snare(rng: np.random.Generator, seconds: float) -> np.ndarray:
    """A snare drum: a marching pattern with accents; membrane, and wires that rattle as noise."""
    out = np.zeros(dsp.to_samples(seconds))
    pitch, tight = rng.uniform(170, 270), rng.uniform(0.05, 0.12)
    wires, colour = rng.uniform(0.5, 0.9), rng.uniform(1200, 2200)
    num = dsp.to_samples(6 * tight)
    fall = np.exp(-np.arange(num) / (tight * dsp.FS))
    pattern = rng.uniform(size=8) < 0.75
    pattern[0] = True
    beat = rng.uniform(0.11, 0.2)
    for index, time in enumerate(dsp.onsets(rng, seconds, (0.98 * beat, 1.02 * beat), first=0.04)):
        if not pattern[index % 8]:
            continue
        skin = dsp.modes(
            num, pitch * np.array(MEMBRANE), [0.6 * tight] * 5, [1, 0.6, 0.3, 0.3, 0.2]
        )
        rattle = dsp.noise(rng, num, low=colour, high=6500) * fall
        level = rng.uniform(0.85, 1.0) if index % 4 == 0 else rng.uniform(0.4, 0.75)
        dsp.add_at(out, time, level * (0.6 * skin + wires * rattle) * dsp.fade(num, 0.001, 0.01))
    return out
