#!/usr/bin/env bash
# Table 1 of universal sound separation with a classifier (../../docs/uss.md), and its controls.
#   ./run_uss.sh --fsd50k DIR --ngpu 1       as in the paper, at 16 kHz
#   ./run_uss.sh --fsd50k DIR --fs 8000 --train_config conf/train_stft_small.yaml --seeds "0 1 2"
#                                            on CPU cores
#   ./run_uss.sh --help                      every option
set -euo pipefail
[ -x ./run_paper.sh ] || { echo "run_uss.sh: start it in its directory: cd $(dirname "$0")" >&2; exit 2; }

exec ./run_paper.sh \
    --paper paper_uss.yaml --train_config conf/train_stft.yaml --fs 16000 \
    --test_sets "test valid train" --num_valid 2000 --num_test 2000 \
    --bss_eval false --controls true \
    "$@"
