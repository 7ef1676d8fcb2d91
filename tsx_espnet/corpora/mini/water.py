"""Water: rain, waves, drip, filling a bottle."""

import numpy as np

from tsx_espnet.corpora.mini import dsp


def rain(rng: np.random.Generator, seconds: float) -> np.ndarray:
    """Rain: a patter of drops on surfaces of many pitches over the hiss of those farther away."""
    num = dsp.to_samples(seconds)
    density = rng.uniform(40, 160)  # audible single drops a second
    distant = rng.uniform(0.1, 0.28)
    out = distant * dsp.noise(rng, num, low=500, tilt=rng.uniform(-3, 0))
    out *= 1 + 0.15 * dsp.wander(rng, num, 3)
    surfaces = 8
    for frequency in np.geomspace(700, 6500, surfaces) * rng.uniform(0.85, 1.15, surfaces):
        hits = rng.uniform(size=num) < density / surfaces / dsp.FS
        drops = np.zeros(num)
        drops[hits] = rng.uniform(0.2, 1.6, int(hits.sum())) * rng.choice([-1, 1], int(hits.sum()))
        out += 6.0 * dsp.resonate(drops, frequency, rng.uniform(250, 700))
    return out * dsp.fade(num, 0.02, 0.05)


def waves(rng: np.random.Generator, seconds: float) -> np.ndarray:
    """Surf: noise that swells, breaks (brightens) and runs out, over a low rumble."""
    num = dsp.to_samples(seconds)
    period = rng.uniform(1.5, 3.2)
    turns = np.arange(num) / (period * dsp.FS) + rng.uniform(0.0, 1.0)
    part = np.mod(turns * (1 + 0.05 * dsp.wander(rng, num, 1)), 1.0)
    # rises for 40 % of the time, breaks, and runs out
    swell = np.interp(part, [0, 0.25, 0.4, 0.6, 1], [0.12, 0.45, 1.0, 0.5, 0.12])
    rumble = dsp.noise(rng, num, low=30, high=350, tilt=-3)
    body = dsp.noise(rng, num, low=150, high=1500, tilt=-4)
    foam = dsp.noise(rng, num, low=1200, high=6000, tilt=-2)
    bright = rng.uniform(0.25, 0.6)
    return (0.15 * rumble + swell * body + bright * swell**2 * foam) * dsp.fade(num, 0.03, 0.05)


def bubble(num: int, pitch: float, decay: float, rise: float) -> np.ndarray:
    """The ring of an air bubble under a drop (Minnaert, 1933): a dying sine, its pitch rising.

    Args:
        pitch: frequency at the beginning, in Hz (3.3 m/s over the radius in water).
        decay: seconds to 1/e.
        rise: relative growth of the frequency per ``decay``: the bubble nears the surface.
    """
    elapsed = np.arange(num) / (decay * dsp.FS)
    return np.sin(dsp.phase(pitch * (1 + rise * elapsed), num)) * np.exp(-elapsed)


def drip(rng: np.random.Generator, seconds: float) -> np.ndarray:
    """A dripping tap in a hollow room: a tick of impact, then the bubble."""
    out = np.zeros(dsp.to_samples(seconds))
    pitch, rise = rng.uniform(550, 1300), rng.uniform(0.08, 0.25)
    gap = rng.uniform(0.16, 0.4)
    for time in dsp.onsets(rng, seconds, (0.8 * gap, 1.2 * gap), first=0.05):
        decay = rng.uniform(0.018, 0.04)
        num = dsp.to_samples(5 * decay)
        tick = dsp.noise(rng, num, low=2000) * np.exp(-np.arange(num) / (0.002 * dsp.FS))
        dsp.add_at(out, time, 0.15 * tick)
        ring = bubble(num, pitch * rng.uniform(0.85, 1.2), decay, rise) * dsp.fade(num, 0.001, 0.01)
        dsp.add_at(out, time + rng.uniform(0.008, 0.02), rng.uniform(0.6, 1.0) * ring)
    return dsp.room(rng, out, rng.uniform(0.4, 0.8), rng.uniform(0.2, 0.4))


def fill(rng: np.random.Generator, seconds: float) -> np.ndarray:
    """Water poured into a bottle: the air column above it sings, higher and higher."""
    num = dsp.to_samples(seconds)
    low = rng.uniform(260, 420)
    note = dsp.contour([low, low * rng.uniform(1.5, 2.2)], num) * (
        1 + 0.004 * dsp.wander(rng, num, 8)
    )
    out = 0.12 * dsp.noise(rng, num, low=900, high=5000, tilt=-3)
    splash = 1 + 0.3 * dsp.wander(rng, num, 10)
    # a tube closed by the water: odd multiples; narrow bands of noise, as splashes excite it
    for order, level in ((1, 1.0), (3, 0.35), (5, 0.12)):
        width = rng.uniform(10, 18)
        real, imaginary = dsp.wander(rng, num, width), dsp.wander(rng, num, width)
        angle = dsp.phase(order * note, num)
        out += level * (np.cos(angle) * (0.8 + real) + np.sin(angle) * imaginary)
    out *= splash
    for time in dsp.onsets(rng, seconds, (0.02, 0.12)):
        size = dsp.to_samples(0.05)
        gurgle = bubble(size, rng.uniform(500, 1600), rng.uniform(0.006, 0.012), 0.15)
        dsp.add_at(out, time, rng.uniform(0.1, 0.5) * gurgle)
    return out * dsp.fade(num, 0.03, 0.08)
