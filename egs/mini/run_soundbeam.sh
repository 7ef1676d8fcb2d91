#!/usr/bin/env bash
# SoundBeam on generated sounds: a model that is asked by classes and by recordings, and a class that
# it was not trained on, added from five recordings.
#   ./run_soundbeam.sh                       minutes on two processor cores
#   ./run_soundbeam.sh --help                every option
set -euo pipefail
[ -x ./soundbeam.sh ] || { echo "run_soundbeam.sh: start it in its directory: cd $(dirname "$0")" >&2; exit 2; }

exec ./soundbeam.sh \
    --nj 2 --datadir data/soundbeam --dumpdir dump/soundbeam --expdir exp/soundbeam \
    --mixing random --difficulty events --new_classes Meow --examples 1,5 \
    --num_valid 200 --num_test 300 --num_new 200 --num_adapt 400 \
    --method mixed_el --train_config conf/train_soundbeam.yaml \
    --data_kind synthetic \
    "$@"
