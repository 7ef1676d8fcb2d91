#!/usr/bin/env python3
"""Check an installation: versions, what is registered in ESPnet's tables, one forward pass."""

import importlib.metadata
import sys

PACKAGES = ("espnet", "torch", "torchaudio", "numpy", "soundfile", "transformers", "tsx_espnet")
OLDEST_ESPNET = "202511"


def main() -> None:
    print(f"python {sys.version.split()[0]}")
    for package in PACKAGES:
        try:
            print(f"{package} {importlib.metadata.version(package)}")
        except importlib.metadata.PackageNotFoundError:
            sys.exit(f"error: {package} is not installed; run 'pip install -e .' or 'make install'")
    found = importlib.metadata.version("espnet")
    if found < OLDEST_ESPNET:
        sys.exit(f"error: expected espnet {OLDEST_ESPNET} or later, found {found}")

    import torch

    from tsx_espnet import parts
    from tsx_espnet.build import build_model
    from tsx_espnet.vocabulary import Vocabulary

    parts.register()
    for kind in ("extractor", "separator", "criterion"):
        names = parts.load(parts.CHOICES[kind]).choices()
        missing = set(parts.OURS[kind]) - set(names)
        if missing:
            sys.exit(f"error: {missing} not in ESPnet's {kind} table {names}")
        print(f"ESPnet's {kind} table has {', '.join(parts.OURS[kind])}")

    conv = {"channel": 16, "kernel_size": 20, "stride": 10}
    model = build_model(
        {
            "encoder": "conv",
            "encoder_conf": conv,
            "decoder": "conv",
            "decoder_conf": conv,
            "extractor": "sudormrf",
            "extractor_conf": {"num_blocks": 1, "out_channels": 16, "hidden_channels": 16},
            "conditions": {"energy": {}},
            "embedding_dim": 8,
            "consistency": "uniform",
        },
        Vocabulary(),
        training=False,
    )
    mixture = torch.randn(1, 8000)
    condition = model.embed({"energy": torch.tensor([[1]])})["energy"]
    target, rest = model.extract(mixture, condition).unbind(dim=1)
    if not torch.allclose(target + rest, mixture, atol=1e-5):
        sys.exit("error: one forward pass: target + rest differs from the mixture")
    print("one forward pass: target + rest = mixture")


if __name__ == "__main__":
    main()
