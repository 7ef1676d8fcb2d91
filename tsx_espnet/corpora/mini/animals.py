"""Animals: bark, meow, chirp, frog. Each function draws one clip of about ``seconds`` seconds."""

import numpy as np

from tsx_espnet.corpora.mini import dsp


def bark(rng: np.random.Generator, seconds: float) -> np.ndarray:
    """A dog: groups of short rough voiced bursts, pitch falling, mouth opening and closing."""
    out = np.zeros(dsp.to_samples(seconds))
    size = rng.uniform(0.0, 1.0)  # 0: large dog, 1: small dog
    pitch = 210 * (720 / 210) ** size * rng.uniform(0.93, 1.07)
    length = 0.3 - 0.12 * size
    tract = 0.8 + 0.45 * size
    rough, pace = rng.uniform(0.25, 0.6), rng.uniform(1.25, 1.7)
    now = rng.uniform(0.01, 0.08)
    while now < seconds:
        for _ in range(rng.integers(1, 5)):
            burst = length * rng.uniform(0.85, 1.2)
            voice = _woof(rng, burst, pitch * rng.uniform(0.94, 1.06), tract, rough)
            dsp.add_at(out, now, rng.uniform(0.7, 1.0) * voice)
            now += burst * pace * rng.uniform(0.9, 1.15)
        now += rng.uniform(0.1, 0.35)
    return dsp.room(rng, out, rng.uniform(0.25, 0.5), rng.uniform(0.1, 0.3))


def _woof(
    rng: np.random.Generator, seconds: float, pitch: float, tract: float, rough: float
) -> np.ndarray:
    num = dsp.to_samples(seconds)
    f0 = pitch * dsp.contour([0.8, 1.12, 1.0, 0.65], num, [0, 0.18, 0.5, 1])
    f0 *= 1 + 0.06 * rough * dsp.wander(rng, num, 180)  # irregular folds: a hoarse voice
    voice = dsp.pulses(f0, num) + rough * dsp.noise(rng, num)
    opening = dsp.contour([0.6, 1.0, 0.95, 0.55], num, [0, 0.25, 0.55, 1])
    tracks = [850 * tract * opening, 1750 * tract * opening, 3100 * tract]
    sound = dsp.formant_filter(np.diff(voice, append=0.0), tracks, [160, 220, 350])
    envelope = dsp.contour([0, 1, 0.8, 0.35, 0], num, [0, 0.07, 0.4, 0.75, 1])
    return sound * envelope / np.max(np.abs(sound))


def meow(rng: np.random.Generator, seconds: float) -> np.ndarray:
    """A cat: a long voiced glide, closed (m) - open (e) - rounded (ow)."""
    out = np.zeros(dsp.to_samples(seconds))
    pitch = rng.uniform(420, 760)
    tract = rng.uniform(0.9, 1.15)
    breath = rng.uniform(0.01, 0.06)
    now = rng.uniform(0.01, 0.08)
    while now < seconds - 0.25:
        length = min(rng.uniform(0.55, 1.25), seconds - now)
        num = dsp.to_samples(length)
        peak = rng.uniform(0.25, 0.45)
        f0 = pitch * dsp.contour(
            [rng.uniform(0.7, 0.85), rng.uniform(1.1, 1.3), 1.0, rng.uniform(0.6, 0.75)],
            num,
            [0, peak, 0.7, 1],
        )
        f0 *= (
            1 + 0.012 * np.sin(dsp.phase(rng.uniform(5, 8), num)) + 0.006 * dsp.wander(rng, num, 30)
        )
        voice = dsp.pulses(f0, num) + breath * dsp.noise(rng, num, low=800)
        voice = dsp.formant_filter(voice, [0.0], [450])  # falling glottal spectrum
        opening = [0, peak, 0.65, 1]
        tracks = [
            tract * dsp.contour([450, 1350, 1150, 600], num, opening),
            tract * dsp.contour([1300, 2500, 1900, 1000], num, opening),
            tract * 3700,
        ]
        sound = dsp.formant_filter(voice, tracks, [160, 200, 350])
        sound *= dsp.contour([0, 0.35, 1, 0.8, 0], num, [0, 0.1, peak + 0.05, 0.7, 1])
        dsp.add_at(out, now, rng.uniform(0.75, 1.0) * sound / np.max(np.abs(sound)))
        now += length + rng.uniform(0.1, 0.4)
    return dsp.room(rng, out, rng.uniform(0.25, 0.5), rng.uniform(0.1, 0.25))


def chirp(rng: np.random.Generator, seconds: float) -> np.ndarray:
    """A song bird: a phrase of fast whistled sweeps, repeated."""
    out = np.zeros(dsp.to_samples(seconds))
    base = rng.uniform(2100, 3300)
    shapes = [[1.25, 0.8], [0.8, 1.2], [0.85, 1.2, 0.85], [1.15, 0.85, 1.1], [1.2, 1.0, 0.75]]
    phrase = [
        (shapes[rng.integers(len(shapes))], rng.uniform(0.05, 0.14), rng.uniform(0.9, 1.1))
        for _ in range(rng.integers(1, 4))
    ]
    repeats, gap, pause = rng.integers(1, 4), rng.uniform(0.02, 0.06), rng.uniform(0.1, 0.35)
    flutter = rng.uniform(0.0, 0.03) * (rng.uniform() < 0.4)
    second = rng.uniform(0.03, 0.15)
    now = rng.uniform(0.01, 0.06)
    while now < seconds:
        for shape, length, height in phrase * int(repeats):
            num = dsp.to_samples(length * rng.uniform(0.95, 1.05))
            f = base * height * dsp.contour(shape, num)
            f *= 1 + flutter * np.sin(dsp.phase(45.0, num))
            angle = dsp.phase(f, num)
            note = (np.sin(angle) + second * np.sin(2 * angle)) * dsp.fade(num, 0.012, 0.02)
            dsp.add_at(out, now, rng.uniform(0.8, 1.0) * note)
            now += num / dsp.FS + gap
        now += pause * rng.uniform(0.8, 1.2)
    return out


def frog(rng: np.random.Generator, seconds: float) -> np.ndarray:
    """A frog: croaks, each a run of pulses that ring in the vocal sac."""
    out = np.zeros(dsp.to_samples(seconds))
    rate, sac = rng.uniform(26, 48), rng.uniform(450, 950)
    second, length = sac * rng.uniform(2.0, 2.6), rng.uniform(0.22, 0.5)
    rise = rng.uniform(1.0, 1.35)  # the sac tightens: "rib-bit"
    ring = dsp.to_samples(0.06)
    now = rng.uniform(0.01, 0.06)
    while now < seconds:
        croak = length * rng.uniform(0.85, 1.15)
        count = max(3, int(croak * rate))
        swell = dsp.contour([0.35, 1.0, 0.8, 0.3], count, [0, 0.4, 0.8, 1])
        for index in range(count):
            tension = rise ** (index / count)
            pulse = dsp.modes(
                ring,
                [sac * tension, second * tension, 3.4 * sac],
                [rng.uniform(0.005, 0.009), 0.004, 0.002],
                [1.0, 0.5, 0.25],
            )
            moment = now + (index + rng.normal(0, 0.03)) / rate
            dsp.add_at(out, moment, swell[index] * rng.uniform(0.85, 1.0) * pulse)
        now += croak + rng.uniform(0.12, 0.4)
    return dsp.room(rng, out, rng.uniform(0.2, 0.4), rng.uniform(0.1, 0.2))
