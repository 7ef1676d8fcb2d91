"""A separator and a classifier that make no mistake, for sounds in bands of their own."""

import numpy as np
import torch

from tsx_espnet.pretrained.classifier import AbsClassifier

FS = 8000
BANDS = {"Hum": (150, 1200), "Hiss": (1500, 3000)}  # Hz


def band(samples, fs, low, high):
    """What lies between two frequencies: (T, ...) -> (T, ...)."""
    spectrum = np.fft.rfft(samples, axis=0)
    frequencies = np.fft.rfftfreq(len(samples), 1 / fs)
    spectrum[(frequencies < low) | (frequencies >= high)] = 0
    return np.fft.irfft(spectrum, len(samples), axis=0)


def noise(name, seconds, fs=FS, sounding=None, seed=0):
    """Noise in the band of a sound, while ``sounding(t)`` holds: (T,)."""
    rng = np.random.default_rng([seed, *name.encode()])
    samples = band(rng.standard_normal(round(seconds * fs)), fs, *BANDS[name])
    times = np.arange(len(samples)) / fs
    return 0.1 * samples * (1 if sounding is None else sounding(times))


class Exact:
    """The sounds of a mixture, each in any of M outputs, drawn anew for every mixture."""

    def __init__(self, num_outputs=2, seed=0):
        self.num_outputs = num_outputs
        self.rng = np.random.default_rng(seed)
        self.orders = []

    def __call__(self, mixture, condition):
        samples = mixture[0].double().numpy()
        low = band(samples, FS, 0, 1350)
        outputs = np.zeros((self.num_outputs, len(samples)))
        order = self.rng.permutation(self.num_outputs)[:2]
        outputs[order] = low, samples - low
        self.orders.append(tuple(order))
        return torch.from_numpy(outputs[None]).float()


class Bands(AbsClassifier):
    """Hears a sound in every frame of 0.1 s in which it has more than some power.

    The power of the mixture is 1.
    """

    labels = ("Hiss", "Hum", "Hush")
    hop = 800
    fs = FS

    def __init__(self, floor=1e-3):
        super().__init__()
        self.floor = floor
        self.weight = torch.nn.Parameter(torch.zeros(1))
        self.levels = []  # RMS of what it heard

    def forward(self, waveform, fs=None):
        assert fs == self.fs
        self.levels.append(float(waveform.square().mean().sqrt()))
        samples = waveform[0].double().numpy()
        silence = np.zeros_like(samples)
        found = [band(samples, FS, *BANDS[n]) if n in BANDS else silence for n in self.labels]
        padded = np.pad(np.stack(found), ((0, 0), (0, -len(samples) % self.hop)))
        power = np.square(padded).reshape(len(found), -1, self.hop).mean(axis=2).T
        return torch.from_numpy(np.where(power > self.floor, 4.0, -4.0))[None]
