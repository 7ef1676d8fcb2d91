"""Vehicles: engine, siren, car horn, steam train."""

import numpy as np

from tsx_espnet.corpora.mini import dsp


def engine(rng: np.random.Generator, seconds: float) -> np.ndarray:
    """A four-cylinder engine that idles and is revved: uneven explosions through an exhaust."""
    num = dsp.to_samples(seconds)
    idle = rng.uniform(22, 40)  # explosions a second
    knots = max(3, int(seconds / 0.8) + 1)
    revs = idle * (1 + rng.uniform(0.0, 1.6, knots) * (rng.uniform(size=knots) < 0.6))
    firing = dsp.contour(revs, num) * (1 + 0.015 * dsp.wander(rng, num, 40))
    cycle = dsp.phase(firing, num) / (2 * np.pi)
    shots = np.flatnonzero(np.diff(np.floor(cycle))) + 1
    shots = np.concatenate([[0], shots])
    cylinder = rng.uniform(0.6, 1.0, 4)
    strength = cylinder[np.arange(len(shots)) % 4] * rng.uniform(0.8, 1.1, len(shots))
    train = np.zeros(num)
    train[shots] = strength
    # each explosion: a thump, and a hiss of gas that dies within its stroke
    since = cycle - np.floor(cycle)
    gas = dsp.noise(rng, num, low=150, high=2500, tilt=-3) * np.exp(-5 * since)
    body = lowest = rng.uniform(75, 120)
    sound = 9 * dsp.resonate(train, body, 50)
    for ratio, gain in ((3.1, 7.0), (6.7, 4.0), (12.0, 2.0)):
        sound += gain * dsp.resonate(train, lowest * ratio * rng.uniform(0.9, 1.1), 120)
    sound = sound / np.std(sound) + rng.uniform(0.25, 0.5) * gas
    load = np.sqrt(firing / idle)  # revving is louder
    return sound * load * dsp.fade(num, 0.03, 0.05)


def siren_glide(num: int, low: float, high: float, period: float, start: float) -> np.ndarray:
    """Frequency in Hz of a wailing siren: up and down between ``low`` and ``high``, log-evenly.

    Args:
        period: seconds of one up and down.
        start: where in the period it begins, 0 (lowest) to 1.
    """
    swing = 0.5 - 0.5 * np.cos(2 * np.pi * (np.arange(num) / (period * dsp.FS) + start))
    return low * (high / low) ** swing


def siren(rng: np.random.Generator, seconds: float) -> np.ndarray:
    """A police siren: a rich tone that wails slowly or yelps, with the echo of a street."""
    num = dsp.to_samples(seconds)
    low, high = rng.uniform(480, 680), rng.uniform(1100, 1500)
    yelp = rng.uniform() < 0.3
    period = rng.uniform(0.4, 0.7) if yelp else rng.uniform(1.6, 3.2)
    f = siren_glide(num, low, high, period, rng.uniform(0, 1))
    tilt = rng.uniform(1.0, 1.6)
    tone = dsp.tones(f, num, [k**-tilt * (1.0 if k % 2 else 0.45) for k in range(1, 6)])
    return dsp.room(rng, tone * dsp.fade(num, 0.03, 0.05), 0.4, rng.uniform(0.1, 0.3))


def horn(rng: np.random.Generator, seconds: float) -> np.ndarray:
    """A car horn: two brassy discs about a major third apart, honked short or long."""
    out = np.zeros(dsp.to_samples(seconds))
    pitch, ratio = rng.uniform(310, 470), rng.uniform(1.18, 1.28)
    bell, tilt = rng.uniform(1500, 2400), rng.uniform(300, 900)
    long = rng.uniform(0.2, 0.8)
    now = rng.uniform(0.01, 0.06)
    while now < seconds - 0.1:
        span = (0.7, 1.6) if rng.uniform() < long else (0.2, 0.45)
        length = min(seconds - now, rng.uniform(*span))
        num = dsp.to_samples(length)
        onset = 1 - 0.03 * np.exp(
            -np.arange(num) / (0.02 * dsp.FS)
        )  # the disc swings in from below
        both = dsp.pulses(pitch * onset, num) + dsp.pulses(pitch * ratio * onset, num)
        brassy = dsp.formant_filter(both, [0.0, bell], [tilt, 900])
        dsp.add_at(out, now, brassy * dsp.fade(num, 0.012, 0.04))
        now += length + rng.uniform(0.08, 0.3)
    return dsp.room(rng, out, 0.3, 0.15)


def train(rng: np.random.Generator, seconds: float) -> np.ndarray:
    """A steam train: puffs in fours, the first the loudest, wheels that click over rail joints."""
    num = dsp.to_samples(seconds)
    out = 0.05 * dsp.noise(rng, num, low=40, high=220, tilt=-3) * dsp.fade(num, 0.05, 0.1)
    pace = rng.uniform(0.13, 0.3)
    faster = rng.uniform(0.85, 1.0)  # pulling away
    puff, colour = 0.55 * pace, rng.uniform(450, 1000)
    now, count = rng.uniform(0.01, 0.06), 0
    while now < seconds:
        length = dsp.to_samples(puff * 2.2)
        steam = dsp.noise(rng, length, low=0.5 * colour, high=2.2 * colour)
        steam += 0.35 * dsp.noise(rng, length, low=2000, high=5000)
        steam *= np.exp(-np.arange(length) / (0.45 * puff * dsp.FS)) * dsp.fade(length, 0.008, 0.02)
        level = 1.0 if count % 4 == 0 else rng.uniform(0.5, 0.75)
        dsp.add_at(out, now, level * 0.3 * steam)
        now += pace * faster ** (now / seconds) * rng.uniform(0.97, 1.03)
        count += 1
    ring = dsp.to_samples(0.08)
    metal = rng.uniform(900, 1500) * np.array([1.0, 1.47, 2.09])
    joint = 4.3 * pace
    for time in dsp.onsets(rng, seconds, (0.98 * joint, 1.02 * joint), first=joint):
        for later in (0.0, 0.11):
            click = dsp.modes(
                ring, [110, *metal], [0.03, 0.012, 0.01, 0.008], [0.6, 0.35, 0.3, 0.2]
            )
            dsp.add_at(out, time + later, rng.uniform(0.5, 0.8) * click)
    return out
