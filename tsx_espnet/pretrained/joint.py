"""Encoders of text, and of text and audio into one space."""

from abc import abstractmethod
from pathlib import Path
from typing import NamedTuple, Optional

import torch
from torch.nn import functional

from tsx_espnet.checks import one_of
from tsx_espnet.errors import TSXError
from tsx_espnet.pretrained.base import AbsPretrained, without_autocast
from tsx_espnet.pretrained.features import log_mel
from tsx_espnet.pretrained.language_model import POOLINGS
from tsx_espnet.pretrained.loading import (
    PADDING,
    TRANSFORMERS_FILES,
    Tokenizer,
    load_extractor,
    load_transformers,
)


class EncodedText(NamedTuple):
    """What a text encoder makes of P phrases.

    Args:
        states: (P, L, S), one for each token.
        mask: (P, L) bool, True at real tokens.
        vector: (P, E), of the whole phrase.
    """

    states: torch.Tensor
    mask: torch.Tensor
    vector: torch.Tensor


class AbsTextEncoder(AbsPretrained):
    """Phrases to tokens, and tokens to states.

    Attributes:
        tokenize: phrases -> (P, L) int64, see ``Tokenizer``.
        state_dim: S.
    """

    files = TRANSFORMERS_FILES
    tokenize: Tokenizer
    state_dim: int

    def __init__(self, directory: Path):
        super().__init__()
        self.tokenize = self.tokenizer(directory)

    @staticmethod
    def tokenizer(directory: Path) -> Tokenizer:
        """``tokenize`` alone, without the network, for processes that only prepare batches."""
        return Tokenizer(directory)

    @abstractmethod
    def text(self, tokens: torch.Tensor) -> EncodedText:
        """Encode tokens (P, L), -1 = padding; each phrase has at least one."""


class AbsJointEncoder(AbsTextEncoder):
    """Text and audio to vectors of length 1 in one space, whose products are similarities.

    Attributes:
        temperature: the similarities of a recording to phrases are divided by it before the
            softmax.
    """

    temperature: float

    @abstractmethod
    def audio(self, waveform: torch.Tensor, fs: Optional[int] = None) -> torch.Tensor:
        """The vectors of recordings: (R, T) -> (R, E).

        Args:
            fs: of the recordings in Hz; by default that of the network.
        """


class LanguageModelEncoder(AbsTextEncoder):
    """A language model of transformers; text only.

    Args:
        directory: as ``save_pretrained`` writes it, with its tokenizer.
        pooling: of the tokens to the vector, ``mean`` or ``first``.

    Raises:
        TSXError: if it cannot be loaded.
    """

    def __init__(self, directory: Path, pooling: str = "mean"):
        super().__init__(directory)
        self.pooling = one_of("pooling", pooling, POOLINGS)
        self.model = load_transformers("AutoModel", directory, unused=["pooler."])
        self.state_dim = self.model.config.hidden_size
        self.pad_token = self.model.config.pad_token_id or 0

    @without_autocast
    def text(self, tokens: torch.Tensor) -> EncodedText:
        mask = tokens != PADDING
        ids = tokens.masked_fill(~mask, self.pad_token)
        states = self.model(input_ids=ids, attention_mask=mask.long()).last_hidden_state
        if self.pooling == "first":
            return EncodedText(states, mask, states[:, 0])
        weight = mask.unsqueeze(-1).to(states.dtype)
        return EncodedText(states, mask, (states * weight).sum(dim=1) / weight.sum(dim=1))


class ClapEncoder(AbsJointEncoder):
    """CLAP, as transformers have it (``ClapModel``).

    The log-mel spectrogram is computed here, as transformers' feature extractor has no gradient; it
    differs by less than 5e-5 dB. A recording that is shorter than what CLAP was trained on (10 s)
    is repeated or padded as ``padding`` of ``preprocessor_config.json`` says; of a longer one, the
    middle is heard, where transformers draw a place. Checkpoints with feature fusion hear all
    recordings as not longer.

    Args:
        directory: as ``save_pretrained`` of ``ClapModel`` and ``ClapProcessor`` write it.

    Raises:
        TSXError: if it cannot be loaded.

    Reference: Wu et al., "Large-scale contrastive language-audio pretraining with feature fusion
    and keyword-to-caption augmentation", ICASSP 2023.
    """

    def __init__(self, directory: Path):
        super().__init__(directory)
        self.model = load_transformers("ClapModel", directory)
        extractor = load_extractor("ClapFeatureExtractor", directory)
        self.fused = self.model.config.audio_config.enable_fusion
        if self.fused != (extractor.truncation == "fusion"):
            raise TSXError(
                f"{directory}: expected truncation fusion in preprocessor_config.json with "
                f"enable_fusion in config.json, and only then; found {extractor.truncation!r} with "
                f"{self.fused}"
            )
        filters = extractor.mel_filters if self.fused else extractor.mel_filters_slaney
        self.register_buffer("filters", torch.from_numpy(filters).float())
        self.fs = extractor.sampling_rate
        self.hop = extractor.hop_length
        self.length = int(extractor.nb_max_samples)
        self.padding = extractor.padding
        self.state_dim = self.model.config.text_config.hidden_size
        self.pad_token = self.model.config.text_config.pad_token_id
        self.temperature = float(self.model.logit_scale_a.detach().neg().exp())

    @without_autocast
    def text(self, tokens: torch.Tensor) -> EncodedText:
        mask = tokens != PADDING
        ids = tokens.masked_fill(~mask, self.pad_token)
        found = self.model.text_model(input_ids=ids, attention_mask=mask.long())
        vector = functional.normalize(self.model.text_projection(found.pooler_output), dim=-1)
        return EncodedText(found.last_hidden_state, mask, vector)

    @without_autocast
    def audio(self, waveform: torch.Tensor, fs: Optional[int] = None) -> torch.Tensor:
        feature = self.log_mel(self.heard(waveform, fs)).unsqueeze(1)
        longer = None
        if self.fused:
            feature = feature.expand(-1, 4, -1, -1)
            longer = torch.zeros(len(feature), 1, dtype=torch.bool, device=feature.device)
        found = self.model.audio_model(input_features=feature, is_longer=longer)
        return functional.normalize(self.model.audio_projection(found.pooler_output), dim=-1)

    def log_mel(self, waveform: torch.Tensor) -> torch.Tensor:
        """The input of the audio encoder: (R, T) -> (R, F, K)."""
        num_samples = waveform.shape[-1]
        if num_samples > self.length:
            waveform = waveform.narrow(-1, (num_samples - self.length) // 2, self.length)
        elif self.padding == "repeat":
            waveform = waveform.repeat(1, self.length // num_samples + 1)[:, : self.length]
        elif self.padding == "repeatpad":
            waveform = waveform.repeat(1, self.length // num_samples)
        waveform = functional.pad(waveform, (0, self.length - waveform.shape[-1]))
        return log_mel(waveform, self.filters, self.hop)
