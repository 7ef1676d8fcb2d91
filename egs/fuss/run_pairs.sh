#!/usr/bin/env bash
# Pairs of clips, 3 s, drawn for training on the fly, as in "Improving universal sound separation
# using sound classification" (ICASSP 2020), from the clips that FUSS was made of (fsd_data).
#   ./run_pairs.sh --fuss DIR                options as of run.sh
set -euo pipefail
[ -x ./run.sh ] || { echo "run_pairs.sh: start it in its directory: cd $(dirname "$0")" >&2; exit 2; }

exec ./run.sh \
    --train_set clips_train --valid_set clips_valid --test_sets clips_test \
    --mixing clips --difficulty pairs --num_valid 3000 --num_test 2000 \
    --train_config conf/train_stft.yaml \
    "$@"
