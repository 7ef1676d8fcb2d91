"""How loud each source of a mixture is, and the background.

The level of each further source relative to the first one is uniform in ``snr``, a coin says which
of the two is louder, and the background lies ``background.snr`` below all sources together.

With ``snr: null`` every source lies ``background.snr`` above the background, drawn for each by
itself, over the time of its own crop: this is how Scaper, by which the mixtures of [SoundBeam]
Sec. 5.1 were made, understands an SNR. The paper leaves open how the levels of its sources were
drawn. Scaper measures loudness (LUFS), here it is the energy.
"""

from typing import NamedTuple, Optional

import numpy as np

from tsx_espnet.mixing.config import MixingConfig
from tsx_espnet.mixing.refused import Refused


class Gains(NamedTuple):
    """Factors of the sources, (M,), and of the background, 0 without one."""

    sources: np.ndarray
    background: float


def draw_gains(
    rng: np.random.Generator,
    energy: np.ndarray,
    length: np.ndarray,
    num_frames: int,
    power: float,
    config: MixingConfig,
    noise_energy: Optional[float] = None,
) -> Gains:
    """Gains that give the level differences exactly, and the mixture's level up to cross terms.

    Shape: energy (M,) as recorded, length (M,) in frames -> (M,)

    The RMS level of the mixture is ``config.level`` if its parts are uncorrelated, as sounds of
    different origin nearly are.

    Args:
        energy, length: of the crops, as they lie in the mixture of ``num_frames`` frames.
        power: energy that the mixture shall have.
        noise_energy: of the background at gain 1.

    Raises:
        Refused: if a source or the background is silent.
    """
    if config.snr is None:
        over = np.array([rng.uniform(*config.background.snr) for _ in energy])
        share, noise_share = length / num_frames * 10 ** (over / 10), 1.0
    else:
        share, noise_share = _draw_shares(rng, len(energy), config), 0.0
        if noise_energy is not None:
            noise_share = share.sum() * 10 ** (-rng.uniform(*config.background.snr) / 10)
    if not np.all(energy > 0):
        raise Refused("silent after the tail cut")
    if noise_energy is not None and not noise_energy > 0:
        raise Refused("silent background")
    total = share.sum() + noise_share
    background = 0.0
    if noise_energy is not None:
        background = float(np.sqrt(power * noise_share / total / noise_energy))
    return Gains(np.sqrt(power * share / total / energy), background)


def _draw_shares(rng: np.random.Generator, number: int, config: MixingConfig) -> np.ndarray:
    """Energies relative to that of the first source, (M,)."""
    share = [1.0]
    for _ in range(number - 1):
        difference = rng.uniform(*config.snr) * (1 if rng.integers(2) else -1)
        share.append(10 ** (-difference / 10))
    return np.array(share)
