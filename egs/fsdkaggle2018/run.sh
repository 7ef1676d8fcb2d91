#!/usr/bin/env bash
# FSDKaggle2018, the corpus of the SoundBeam paper: 11,073 recordings, 41 classes.
set -euo pipefail
[ -x ./tsx.sh ] || { echo "run.sh: start it in its directory: cd $(dirname "$0")" >&2; exit 2; }

exec ./tsx.sh \
    --train_set train --valid_set valid --test_sets test \
    --fs 8000 \
    --mixing random --difficulty soundbeam \
    --num_valid 10000 --num_test 10000 \
    --method mixed_el \
    "$@"
