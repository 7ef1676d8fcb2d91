#!/usr/bin/env bash
# Synthetic sounds: the whole recipe within minutes, without a corpus.
#   ./run.sh                                 stages 1 to 9
#   ./run.sh --stage 6 --stop_stage 8        some of them
#   ./run.sh --help                          every option
set -euo pipefail
[ -x ./tsx.sh ] || { echo "run.sh: start it in its directory: cd $(dirname "$0")" >&2; exit 2; }

exec ./tsx.sh \
    --nj 2 \
    --train_set train --valid_set valid --test_sets test \
    --fs 8000 \
    --mixing random --difficulty demo \
    --num_valid 200 --num_test 300 \
    --method oct_class --data_kind synthetic \
    "$@"
