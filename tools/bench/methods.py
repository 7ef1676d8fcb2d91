#!/usr/bin/env python3
"""Time of a training step of several methods, relative to the first: those of the OCT paper.

All methods take steps in turns, on the same batch of noise, so that a busy machine slows all of
them equally; the result is the median of the ratios.

    python tools/bench/methods.py --num_threads 1
    python tools/bench/methods.py --train_config egs/fsd50k/conf/train_stft_small.yaml \
        --methods tdcn itdcn tdcn_mixture espnet_tcn --seconds 3

Methods that hear do so by an untrained classifier of the size of ``pretrained.mobilenet``.
``espnet_tcn`` is ESPnet's TCN separator (Conv-TasNet's mask network) of the size of the extractor
in ``--train_config``, in ESPnet's own model.
"""

import argparse
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import Any, Callable, Dict, Optional

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))
CONF = Path(__file__).parents[2] / "egs" / "fsd50k" / "conf"
METHODS = ("text_sbert", "single_energy", "hct", "oct", "octpp", "pit")
FS = 8000
SECONDS = 5.0
NUM_LABELS = 53


def read_config(method: str, train_config: Path) -> Dict[str, Any]:
    """``train_config`` with a ``method_*.yaml`` beside it on top."""
    from tsx_espnet.tables import read_yaml

    train = {"refiner": None, "objective_conf": {}, **read_yaml(train_config)}
    own = read_yaml(train_config.parent / f"method_{method}.yaml")
    both = [name for name in own if name.endswith("_conf") and train.get(name)]
    return {**train, **own, **{name: {**train[name], **own[name]} for name in both}}


def make_model(method: str, train_config: Path, classifier: Optional[Path]) -> Callable:
    """A model for training: the batch's arrays by name -> (loss, statistics, weight)."""
    import numpy as np

    from tsx_espnet.parts import quiet_imports

    with quiet_imports():
        from tsx_espnet.build import build_model
    from tsx_espnet.pretrained.text_table import TextTable
    from tsx_espnet.vocabulary import Vocabulary

    config = read_config(method, train_config)
    if classifier is not None:
        config["pretrained"] = {"classifier": str(classifier)}
    table = TextTable(["x"], np.zeros((1, 384), dtype=np.float32), "none", "mean")
    return build_model(config, Vocabulary(("a", "b"), table))


def make_espnet_model(train_config: Path) -> Callable:
    """ESPnet's own, with permutation invariant training."""
    from tsx_espnet.parts import make, quiet_imports
    from tsx_espnet.tables import read_yaml

    with quiet_imports():
        from espnet2.enh.espnet_model import ESPnetEnhancementModel
        from espnet2.enh.loss.criterions.time_domain import SNRLoss
        from espnet2.enh.loss.wrappers.pit_solver import PITSolver
        from espnet2.enh.separator.tcn_separator import TCNSeparator

    config = read_yaml(train_config)
    sizes = config["extractor_conf"]
    encoder = make("encoder", config["encoder"], config["encoder_conf"])
    separator = TCNSeparator(
        encoder.output_dim,
        layer=sizes["num_blocks"],
        stack=sizes["num_repeats"],
        bottleneck_dim=sizes["bottleneck_channels"],
        hidden_dim=sizes["hidden_channels"],
        nonlinear="sigmoid",
    )
    decoder = make("decoder", config["decoder"], config["decoder_conf"])
    return ESPnetEnhancementModel(encoder, separator, decoder, None, [PITSolver(SNRLoss())])


def make_classifier(directory: Path) -> None:
    """An untrained classifier."""
    import torch

    from tsx_espnet.pretrained.mobilenet import MobileNet, save

    torch.manual_seed(0)
    save(MobileNet([f"label{number}" for number in range(NUM_LABELS)], FS), directory)


def make_step(
    method: str,
    train_config: Path,
    classifier: Optional[Path] = None,
    seconds: float = SECONDS,
) -> Callable[[], None]:
    """A function that takes one step of training, by a ``method_*.yaml`` beside the config.

    Args:
        classifier: directory of the network that heard conditions hear by.
        seconds: of a mixture.
    """
    import torch

    from tsx_espnet.tables import read_yaml

    torch.manual_seed(0)
    if method == "espnet_tcn":
        model = make_espnet_model(train_config).train()
    else:
        model = make_model(method, train_config, classifier).train()
    optimizer = torch.optim.Adam(model.parameters())
    size = read_yaml(train_config)["batch_size"]
    num_samples = int(FS * seconds)
    target, other = 0.1 * torch.randn(2, size, num_samples)
    batch = {"speech_mix": target + other, "speech_ref1": target, "speech_ref2": other}
    if method == "espnet_tcn":
        batch["speech_mix_lengths"] = torch.full((size,), num_samples)
    else:
        for name in model.conditioners:
            batch[name] = torch.arange(size).unsqueeze(1) % 2
        batch["text"] = torch.randn(size, 1, 384)
        batch["enrollment"] = 0.1 * torch.randn(size, num_samples)

    def step() -> None:
        optimizer.zero_grad()
        model(**batch)[0].backward()
        optimizer.step()

    return step


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--num_threads", type=int, default=1)
    parser.add_argument("--steps", type=int, default=20, help="steps of each method")
    parser.add_argument("--train_config", type=Path, default=CONF / "train_small.yaml")
    parser.add_argument("--methods", nargs="+", default=METHODS, help="method_*.yaml beside it")
    parser.add_argument("--seconds", type=float, default=SECONDS, help="of a mixture, at 8 kHz")
    args = parser.parse_args()
    import torch

    torch.set_num_threads(args.num_threads)
    with tempfile.TemporaryDirectory() as directory:
        classifier = Path(directory)
        make_classifier(classifier)
        steps = {
            method: make_step(method, args.train_config, classifier, args.seconds)
            for method in args.methods
        }
    ratios = {method: [] for method in args.methods}
    peer = args.methods[0]
    for number in range(args.steps + 2):
        seconds = {}
        for method, step in steps.items():
            start = time.perf_counter()
            step()
            seconds[method] = time.perf_counter() - start
        if number >= 2:  # the first steps get their memory
            for method in args.methods:
                ratios[method].append(seconds[method] / seconds[peer])
    print(f"{args.train_config.name}, a step's time relative to {peer}, {args.steps} steps each:")
    for method, found in ratios.items():
        low, _, high = statistics.quantiles(found, n=4)
        print(f"  {method:14} {statistics.median(found):.2f}  (quartiles {low:.2f} to {high:.2f})")


if __name__ == "__main__":
    main()
