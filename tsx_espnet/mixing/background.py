"""The background of a mixture: stationary noise, never the target ([SoundBeam] Sec. 5.1).

References:
    [SoundBeam] Delcroix et al., "Few-shot learning of new sound classes for target sound
    extraction", 2021.
"""

import dataclasses
from typing import Any, Mapping, Optional, Tuple, Type, TypeVar

import numpy as np

from tsx_espnet.checks import Fields, check_names
from tsx_espnet.clips.clip_set import ClipSet
from tsx_espnet.errors import TSXError
from tsx_espnet.mixing.elements import Background, GeneratedNoise, RecordedNoise

NOISE_LEVEL = 0.1  # RMS of generated noise re full scale
LOWEST = 50.0  # Hz; the spectrum is flat below, or a steep one would be rumble alone
FADE = 0.05  # s
_STEPS = 32768
Config = TypeVar("Config")


@dataclasses.dataclass(frozen=True)
class BackgroundConfig:
    """The distribution that backgrounds are drawn from.

    Args:
        snr: bounds of the level of all sources together over the background, in dB; or of each
            source by itself, if the mixing config has ``snr: null`` (see ``placement.py``).
        noise: directory of formatted recordings of noise; None: noise is generated.
        slope: bounds of the slope of generated noise, in dB an octave: 0 is white, -6 brown.

    Raises:
        TSXError: naming the option that is out of range.
    """

    snr: Tuple[float, float] = (15.0, 25.0)
    noise: Optional[str] = None
    slope: Tuple[float, float] = (-6.0, 0.0)

    def __post_init__(self):
        fields = Fields(vars(self))
        fields.interval("snr", -20.0, 100.0)
        fields.file_name("noise")
        fields.interval("slope", -12.0, 12.0)


def from_options(kind: Type[Config], options: Mapping[str, Any], where: str) -> Config:
    """A config of options by name; those left out keep their default.

    Raises:
        TSXError: naming ``where`` and the option, for an unknown name or a bad value.
    """
    check_names(options, [field.name for field in dataclasses.fields(kind)], where)
    try:
        return kind(**options)
    except TSXError as error:
        raise TSXError(f"{where}: {error}") from None


def open_noise(config: Optional[BackgroundConfig], fs: int) -> Optional[ClipSet]:
    """The recordings of noise that a config names, if it does.

    Raises:
        TSXError: if they are not formatted, or have another rate than the clips, ``fs`` Hz.
    """
    if config is None or config.noise is None:
        return None
    try:
        noise = ClipSet(config.noise)
    except TSXError as error:
        raise TSXError(f"background noise: {error}") from None
    if noise.fs != fs:
        raise TSXError(f"background noise {noise}: expected {fs} Hz (the clips), found {noise.fs}")
    return noise


def draw_background(
    rng: np.random.Generator,
    config: BackgroundConfig,
    num_samples: int,
    fs: int,
    noise: Optional[ClipSet] = None,
) -> Tuple[Background, float]:
    """A background at gain 1 and its energy over the mixture, re full scale.

    The energy of recorded noise is measured here, as its length and loop are not on the frame grid.
    """
    if noise is None:
        seed, slope = int(rng.integers(2**63)), float(rng.uniform(*config.slope))
        return GeneratedNoise(seed, slope, 1.0), NOISE_LEVEL**2 * num_samples
    clip = noise.ids[int(rng.integers(len(noise)))]
    length = noise.num_samples(clip)
    starts = length - num_samples + 1 if length >= num_samples else loop_length(length, fs)
    drawn = RecordedNoise(clip, int(rng.integers(starts)), 1.0)
    samples = render_background(drawn, num_samples, fs, noise)
    return drawn, float(np.square(samples, dtype=np.float64).sum())


def render_background(
    background: Background, num_samples: int, fs: int, noise: Optional[ClipSet]
) -> np.ndarray:
    """The background as it stands in the mixture, (num_samples,) float32.

    Raises:
        TSXError: if it is a recording and there is no ``noise``, or not this one.
    """
    if isinstance(background, GeneratedNoise):
        samples = coloured_noise(background.seed, background.slope, num_samples, fs)
    elif noise is None:
        raise TSXError(f"its background is the recording {background.clip!r}: --noise is missing")
    elif background.start + num_samples <= noise.num_samples(background.clip):
        samples = noise.read(background.clip, background.start, num_samples)
    else:
        samples = looped(noise.read(background.clip), background.start, num_samples, fs)
    return samples * np.float32(background.gain)


def coloured_noise(seed: int, slope: float, num_samples: int, fs: int) -> np.ndarray:
    """Gaussian noise whose spectrum rises or falls by ``slope`` dB an octave, RMS ``NOISE_LEVEL``.

    Shape: (num_samples,) float32

    The samples are whole 16-bit steps, like those of a recording, so that the last bit of a Fourier
    transform, which depends on the machine, does not matter.

    Args:
        slope: 0 is white, -3 pink, -6 brown.
        fs: sampling rate in Hz.

    >>> noise = coloured_noise(seed=1, slope=-3.0, num_samples=8000, fs=8000)
    >>> round(float(np.sqrt(np.mean(noise**2))), 4)
    0.1
    """
    frequency = np.fft.rfftfreq(num_samples, 1 / fs)
    shape = np.maximum(frequency, LOWEST) ** (slope / (20 * np.log10(2)))
    shape[0] = 0.0  # no mean
    spectrum = np.random.default_rng(seed).normal(size=2 * len(frequency)).view(np.complex128)
    spectrum *= shape
    noise = np.fft.irfft(spectrum, num_samples)
    power = np.dot(noise, noise) / num_samples
    noise *= NOISE_LEVEL * _STEPS / np.sqrt(power) if power > 0 else 0.0  # one sample is its mean
    return np.rint(noise, out=noise).astype(np.float32) / np.float32(_STEPS)


def looped(samples: np.ndarray, start: int, num_samples: int, fs: int) -> np.ndarray:
    """``num_samples`` of a recording that repeats forever, from sample ``start`` on.

    Shape: samples (N,) -> (num_samples,)

    The end is cross-faded into the beginning, over 50 ms (half of a shorter recording) and at equal
    power, so that neither a click nor a dip is heard.
    """
    fade = min(round(FADE * fs), len(samples) // 2)
    period = loop_length(len(samples), fs)
    body = samples[:period].copy()
    if fade:
        rising = ((np.arange(fade) + 0.5) / fade).astype(samples.dtype)
        body[:fade] = samples[:fade] * np.sqrt(rising) + samples[period:] * np.sqrt(1 - rising)
    return body[(start + np.arange(num_samples)) % period]


def loop_length(length: int, fs: int) -> int:
    """Samples after which a recording of ``length`` samples repeats in ``looped``.

    >>> loop_length(8000, fs=8000), loop_length(100, fs=8000)
    (7600, 50)
    """
    return length - min(round(FADE * fs), length // 2)
