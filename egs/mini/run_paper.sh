#!/usr/bin/env bash
# Every method of the OCT paper on synthetic sounds, minutes each, and all of them in one table.
#   ./run_paper.sh                           about 15 minutes on two CPU cores
#   ./run_paper.sh --methods "oct pit"       some of the methods
#   ./run_paper.sh --bert DIR                BERT from a directory, without access to a model hub
#   ./run_paper.sh --help                    every option
set -euo pipefail
[ -x ./run.sh ] || { echo "run_paper.sh: start it in its directory: cd $(dirname "$0")" >&2; exit 2; }

exec ../TEMPLATE/run_paper.sh \
    --train_config conf/train_short.yaml --parallel 2 --data_kind synthetic \
    "$@"
