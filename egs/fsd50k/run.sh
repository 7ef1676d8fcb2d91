#!/usr/bin/env bash
# FSD50K, the corpus of the OCT paper: 51,197 recordings, 200 classes.
#   ./run.sh --fsd50k DIR --mixing random|different|same --difficulty hard|easy
#   ./run.sh --fsd50k DIR --train_config conf/train_small.yaml     for two CPU cores
#   ./run.sh --stage 6 --stop_stage 8        some of the stages
#   ./run.sh --help                          every option
set -euo pipefail
[ -x ./tsx.sh ] || { echo "run.sh: start it in its directory: cd $(dirname "$0")" >&2; exit 2; }

exec ./tsx.sh \
    --train_set train --valid_set valid --test_sets test \
    --fs 8000 \
    --mixing random --difficulty hard \
    --num_valid 3000 --num_test 5000 \
    --method oct \
    "$@"
