#!/usr/bin/env bash
# New classes on synthetic sounds: SoundBeam, a model queried by classes and by recordings, and a class
# it was not trained on, added from one recording and from five.
#   ./run_new_classes.sh                     minutes on two CPU cores
#   ./run_new_classes.sh --help              every option
set -euo pipefail
[ -x ./run.sh ] || { echo "${0##*/}: start it in its directory: cd $(dirname "$0")" >&2; exit 2; }

exec ../TEMPLATE/run_paper.sh \
    --paper new_classes.yaml \
    --datadir data/soundbeam --dumpdir dump/soundbeam --expdir exp/soundbeam \
    --new_classes Meow --examples 1,5 \
    --num_valid 200 --num_test 300 --num_new 200 --num_adapt 400 \
    --train_config conf/train_soundbeam.yaml --data_kind synthetic \
    "$@"
