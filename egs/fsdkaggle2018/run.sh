#!/usr/bin/env bash
# FSDKaggle2018, the corpus of the SoundBeam paper: 11,073 recordings, 41 classes.
#   ./run.sh --fsdkaggle2018 DIR --fsd50k DIR    ten new classes from FSD50K (--new_classes: others)
#   ./run.sh --fsdkaggle2018 DIR --new_classes A,B,...     held-out classes of FSDKaggle2018
#   ./run.sh --stage 11 --method mixed_el    only new classes, with a trained model
#   ./run.sh --help                          every option
set -euo pipefail
[ -x ./tsx.sh ] || { echo "run.sh: start it in its directory: cd $(dirname "$0")" >&2; exit 2; }

exec ./tsx.sh \
    --train_set train --valid_set valid --test_sets test \
    --fs 8000 \
    --mixing random --difficulty soundbeam \
    --num_valid 10000 --num_test 10000 --num_new 3000 --num_adapt 1000 \
    --method mixed_el \
    "$@"
