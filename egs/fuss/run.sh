#!/usr/bin/env bash
# FUSS, for separation without a query: mixtures of one to four sounds, 10 s, as shipped.
#   ./run.sh --fuss DIR                      dry mixtures
#   ./run.sh --fuss DIR --reverb true        reverberant ones, in data_reverb, dump_reverb, exp_reverb
#   ./run.sh --fuss DIR --train_config conf/train_small.yaml     for two CPU cores
#   ./run.sh --help                          every option
# ./run_pairs.sh mixes pairs of FUSS's clips. Without FUSS, local/make_like.sh makes a small set like it.
set -euo pipefail
[ -x ./tsx.sh ] || { echo "run.sh: start it in its directory: cd $(dirname "$0")" >&2; exit 2; }
version=
case " $* " in *" --reverb true "* | *" --reverb=true "*) version=_reverb ;; esac

exec ./tsx.sh \
    --datadir "data${version}" --dumpdir "dump${version}" --expdir "exp${version}" \
    --train_set train --valid_set valid --test_sets test \
    --fs 16000 \
    --mixing shipped \
    --method tdcn \
    "$@"
