"""Directories of small random networks, as those that one can download look like."""

import csv
import json

import pytest
import torch

WORDS = ("[CLS]", "[PAD]", "[SEP]", "[UNK]", "[MASK]", "a", "dog", "bark", "##ing", "rain", "meow")
AUDIOSET = 7  # classes


def write_tokenizer(directory):
    (directory / "vocab.txt").write_text("\n".join(WORDS) + "\n")
    options = {"tokenizer_class": "BertTokenizer", "do_lower_case": True, "model_max_length": 16}
    (directory / "tokenizer_config.json").write_text(json.dumps(options))


def randomise(model, seed=0):
    """Weights that tell inputs apart, and statistics of batch norms unlike 0 and 1."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, tensor in [*model.named_parameters(), *model.named_buffers()]:
            if name.endswith("running_var"):
                tensor.copy_(0.5 + torch.rand(tensor.shape, generator=generator))
            elif tensor.is_floating_point() and "logit_scale" not in name:
                drawn = torch.randn(tensor.shape, generator=generator)
                tensor.copy_(drawn * (0.3 if tensor.dim() > 1 else 0.5))
    return model.eval()


def clap_model(fused=False):
    from transformers import ClapConfig, ClapModel

    text = dict(
        vocab_size=len(WORDS),
        pad_token_id=1,
        hidden_size=16,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=24,
        max_position_embeddings=20,
        projection_dim=12,
    )
    audio = dict(
        spec_size=256,
        num_mel_bins=64,
        patch_embeds_hidden_size=8,
        hidden_size=16,
        depths=[1, 1],
        num_hidden_layers=2,
        num_attention_heads=[2, 2],
        projection_dim=12,
        enable_fusion=fused,
    )
    return randomise(ClapModel(ClapConfig(text_config=text, audio_config=audio, projection_dim=12)))


def write_clap(directory, fused=False, **options):
    """``options`` of the feature extractor."""
    from transformers import ClapFeatureExtractor
    from transformers.utils import logging

    logging.disable_progress_bar()
    clap_model(fused).save_pretrained(directory)
    options.setdefault("truncation", "fusion" if fused else "rand_trunc")
    ClapFeatureExtractor(**options).save_pretrained(directory)
    write_tokenizer(directory)
    return directory


def write_ast(directory):
    from transformers import ASTConfig, ASTFeatureExtractor, ASTForAudioClassification
    from transformers.utils import logging

    logging.disable_progress_bar()
    config = ASTConfig(
        hidden_size=16,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=24,
        max_length=64,
        num_mel_bins=32,
        id2label={0: "Bark", 1: "Rain", 2: "Meow"},
        label2id={"Bark": 0, "Rain": 1, "Meow": 2},
    )
    randomise(ASTForAudioClassification(config)).save_pretrained(directory)
    ASTFeatureExtractor(max_length=64, num_mel_bins=32).save_pretrained(directory)
    return directory


def panns_state(fs=16000, seed=0):
    """A random state dict with the names and shapes of PANNs' CNN14, the front end included."""
    import librosa

    n_fft = {32000: 1024, 16000: 512, 8000: 256}[fs]
    highest = {32000: 14000, 16000: 8000, 8000: 4000}[fs]
    generator = torch.Generator().manual_seed(seed)

    def drawn(*shape):
        return torch.randn(shape, generator=generator) * (2 / shape[-1]) ** 0.5

    def norm(name, size):
        return {
            f"{name}.weight": 1 + 0.1 * drawn(size),
            f"{name}.bias": 0.1 * drawn(size),
            f"{name}.running_mean": 0.1 * drawn(size),
            f"{name}.running_var": 0.5 + torch.rand(size, generator=generator),
            f"{name}.num_batches_tracked": torch.tensor(5),
        }

    filters = librosa.filters.mel(sr=fs, n_fft=n_fft, n_mels=64, fmin=50, fmax=highest)
    state = {
        "spectrogram_extractor.stft.conv_real.weight": drawn(n_fft // 2 + 1, 1, n_fft),
        "spectrogram_extractor.stft.conv_imag.weight": drawn(n_fft // 2 + 1, 1, n_fft),
        "logmel_extractor.melW": torch.from_numpy(filters.T.copy()),
        **norm("bn0", 64),
    }
    sizes = (1, 64, 128, 256, 512, 1024, 2048)
    for number, (inputs, outputs) in enumerate(zip(sizes, sizes[1:]), start=1):
        block = f"conv_block{number}"
        for name, channels in (("1", inputs), ("2", outputs)):
            weight = torch.randn((outputs, channels, 3, 3), generator=generator)
            state[f"{block}.conv{name}.weight"] = weight / (2 * channels**0.5)
            state.update(norm(f"{block}.bn{name}", outputs))
    state.update({"fc1.weight": drawn(2048, 2048), "fc1.bias": 0.1 * drawn(2048)})
    state["fc_audioset.weight"] = drawn(AUDIOSET, 2048)
    state["fc_audioset.bias"] = 0.1 * drawn(AUDIOSET)
    return state


def write_panns(directory, state, name="Cnn14_16k_mAP=0.438.pth"):
    directory.mkdir(exist_ok=True)
    torch.save({"iteration": 1, "model": state}, directory / name)
    with open(directory / "class_labels_indices.csv", "w", newline="") as stream:
        writer = csv.writer(stream)
        writer.writerow(["index", "mid", "display_name"])
        names = ["Speech", "Male speech, man speaking", "Bark", "Rain", "Meow", "Siren", "Music"]
        writer.writerows([[n, f"/m/{n}", name] for n, name in enumerate(names)])
    (directory / "pretrained.json").write_text('{"kind": "cnn14"}')
    return directory


@pytest.fixture(scope="session")
def tiny_clap(tmp_path_factory):
    """A directory with a random CLAP of 12 dimensions that knows a few words."""
    return write_clap(tmp_path_factory.mktemp("clap"))


@pytest.fixture(scope="session")
def tiny_ast(tmp_path_factory):
    """A directory with a random AST of three classes, trained on 0.64 s."""
    return write_ast(tmp_path_factory.mktemp("ast"))


@pytest.fixture(scope="session")
def panns(tmp_path_factory):
    """A directory with a random CNN14 for 16 kHz, of seven classes."""
    return write_panns(tmp_path_factory.mktemp("panns"), panns_state())


def write_mobilenet(directory, labels=("Bark", "Rain"), fs=8000):
    """A classifier of one's own, with weights that the sound gets through."""
    from tsx_espnet.pretrained.mobilenet import MobileNet, save

    network = randomise(MobileNet(labels, fs, [12] * 11))
    torch.manual_seed(0)
    for module in network.modules():
        if isinstance(module, (torch.nn.Conv1d, torch.nn.Conv2d)):
            torch.nn.init.kaiming_normal_(module.weight)
        elif isinstance(module, torch.nn.BatchNorm2d):
            torch.nn.init.uniform_(module.weight, 0.5, 1.5)
            torch.nn.init.uniform_(module.bias, -0.1, 0.5)
    save(network, directory)
    return directory
