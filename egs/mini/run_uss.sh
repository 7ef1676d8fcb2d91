#!/usr/bin/env bash
# Universal sound separation with a classifier on synthetic sounds, the main methods in one table.
#   ./run_uss.sh                             about 15 minutes on two CPU cores
#   ./run_uss.sh --methods "tdcn itdcn"      some of the methods
#   ./run_uss.sh --clips_per_class 400       more sounds, which take longer
#   ./run_uss.sh --help                      every option
set -euo pipefail
[ -x ./run_paper.sh ] || { echo "run_uss.sh: start it in its directory: cd $(dirname "$0")" >&2; exit 2; }

exec ./run_paper.sh \
    --paper paper_uss.yaml --train_config conf/train_stft_short.yaml \
    --methods "tdcn itdcn tdcn_deep tdcn_mixture itdcn_all_ft tdcn_oracle_softor ideal_mask" \
    --test_sets "test train" --bss_eval false --controls true \
    "$@"
