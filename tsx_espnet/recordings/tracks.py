"""Outputs in any order, put into one order in all segments and channels of a recording."""

from typing import Optional

import torch

from tsx_espnet.criterion.assignment import assign

FRAME = 0.032  # seconds, of the spectra that are compared
MEMORY = 0.01  # weight of all that a track held before, against what two segments share


class Tracks:
    """The outputs of one segment after the other, each in the track that it was in before.

    Without a query, a model gives its outputs in any order, in each segment in another one. The
    order is taken in which the magnitudes of their spectra agree most with those of the segment
    before, over what the two share. Of outputs that are silent there, the mean spectrum decides:
    an output goes where something like it was heard before.

    Args:
        fs: of the outputs in Hz.
        shared: samples that neighbouring segments share.
    """

    def __init__(self, fs: int, shared: int):
        self.fs, self.shared = fs, shared
        self.before: Optional[torch.Tensor] = None  # (M, C, F, W), of what the next one shares
        self.memory: Optional[torch.Tensor] = None  # (M, F), summed over the segments

    def place(self, outputs: torch.Tensor) -> torch.Tensor:
        """The outputs of the next segment, in the order of the tracks: (M, C, T) -> (M, C, T)."""
        mean = magnitudes(outputs, self.fs).mean(dim=(1, 3))
        if self.before is None:
            self.memory = torch.zeros_like(mean)
        else:
            shared = magnitudes(outputs[..., : self.shared], self.fs)
            agreement = _products(self.before, shared) / shared[0, :, 0].numel()
            alike = torch.nn.functional.normalize(self.memory, dim=1) @ mean.T
            order = assign(-agreement - MEMORY * alike * mean.norm(dim=1))
            outputs, mean = outputs[order], mean[order]
        self.before = magnitudes(outputs[..., -self.shared :], self.fs)
        self.memory += mean
        return outputs


def in_order_of(anchor: torch.Tensor, outputs: torch.Tensor, fs: int) -> torch.Tensor:
    """The outputs of a channel in the order of those of another signal: (M, T), (M, T) -> (M, T).

    Magnitudes are compared, as a sound may reach the channels at different times.
    """
    one, other = (magnitudes(signals.unsqueeze(1), fs) for signals in (anchor, outputs))
    return outputs[assign(-_products(one, other))]


def weights_to_mono(mixture: torch.Tensor) -> torch.Tensor:
    """Weights of the mean of the channels: (C, T) -> (C,).

    Channels of opposite phase are turned, so that they do not cancel.
    """
    loudest = mixture.square().sum(dim=1).argmax()
    return torch.where(mixture @ mixture[loudest] < 0, -1.0, 1.0) / len(mixture)


def magnitudes(signals: torch.Tensor, fs: int) -> torch.Tensor:
    """Magnitudes of spectra of 32 ms every 16 ms: (M, C, T) -> (M, C, F, W)."""
    n_fft = 2 * round(FRAME * fs / 2)
    window = torch.hann_window(n_fft, device=signals.device)
    spectra = torch.stft(
        *(signals.flatten(0, 1), n_fft, n_fft // 2, None, window),
        pad_mode="constant",
        return_complex=True,
    )
    return spectra.abs().unflatten(0, signals.shape[:2])


def _products(one: torch.Tensor, other: torch.Tensor) -> torch.Tensor:
    """(M, C, F, W), (M, C, F, W) -> (M, M), summed over channels, frequencies and frames."""
    return one.flatten(1) @ other.flatten(1).T
