"""Spectrograms of pretrained networks, in torch, so that gradients reach the waveform."""

import warnings

import torch
from torch.nn import functional


def log_mel(
    waveform: torch.Tensor, filters: torch.Tensor, hop: int, floor: float = 1e-10
) -> torch.Tensor:
    """Mel spectrogram in dB, as CLAP and PANNs were trained on it.

    Periodic Hann window as long as the DFT; ends padded by reflection.

    Args:
        filters: (n_fft / 2 + 1, K).
        hop: between frames, in samples.
        floor: least power.

    Shape:
        (B, T) -> (B, F, K), F = T // hop + 1; T > n_fft / 2
    """
    n_fft = 2 * (len(filters) - 1)
    window = torch.hann_window(n_fft, dtype=waveform.dtype, device=waveform.device)
    spectrum = torch.stft(waveform, n_fft, hop, window=window, return_complex=True)
    power = spectrum.real.square() + spectrum.imag.square()  # abs() has no gradient at 0
    return 10 * torch.log10((power.transpose(1, 2) @ filters).clamp(min=floor))


def kaldi_fbank(
    waveform: torch.Tensor, filters: torch.Tensor, window: int, hop: int, preemphasis: float = 0.97
) -> torch.Tensor:
    """Log mel filter bank as Kaldi computes it, without dither; whole windows only.

    Each window loses its mean, is pre-emphasised and multiplied by a symmetric Hann window.

    Args:
        filters: (n_fft / 2 + 1, K).
        window, hop: in samples.

    Shape:
        (B, T) -> (B, F, K), F = 1 + (T - window) // hop; T >= window
    """
    frames = waveform.unfold(-1, window, hop)
    frames = frames - frames.mean(dim=-1, keepdim=True)
    before = functional.pad(frames, (1, 0), mode="replicate")[..., :-1]
    hann = torch.hann_window(window, periodic=False, dtype=frames.dtype, device=frames.device)
    spectrum = torch.fft.rfft((frames - preemphasis * before) * hann, n=2 * (len(filters) - 1))
    power = spectrum.real.square() + spectrum.imag.square()
    return (power @ filters).clamp(min=torch.finfo(torch.float32).eps).log()


def kaldi_filters(window: int, num_filters: int, fs: int) -> torch.Tensor:
    """Kaldi's triangular mel filters from 20 Hz to fs / 2, for DFTs of the next power of 2.

    Shape: (n_fft / 2 + 1, K)
    """
    from transformers.audio_utils import mel_filter_bank

    with warnings.catch_warnings():  # of 128 filters, the lowest lie between two bins
        warnings.simplefilter("ignore", UserWarning)
        filters = mel_filter_bank(
            num_frequency_bins=(1 << (window - 1).bit_length()) // 2 + 1,
            num_mel_filters=num_filters,
            min_frequency=20,
            max_frequency=fs // 2,
            sampling_rate=fs,
            mel_scale="kaldi",
            triangularize_in_mel_space=True,
        )
    return torch.from_numpy(filters).float()
