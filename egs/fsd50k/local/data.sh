#!/usr/bin/env bash
# Stage 1: write data/{train,valid,test} for FSD50K as it ships.
set -euo pipefail

datadir=data
# shellcheck disable=SC2034
nj=1                    # not used
python=python3
fsd50k=                 # directory of FSD50K as it ships
. utils/parse_options.sh

if [ -z "${fsd50k}" ]; then
    cat >&2 <<END
data.sh: --fsd50k DIR is missing: the directory with FSD50K.dev_audio, FSD50K.eval_audio and
FSD50K.ground_truth. The corpus is record 4060432 of Zenodo: https://zenodo.org/record/4060432
END
    exit 2
fi
${python} -m tsx_espnet.bin.prepare fsd50k --fsd50k "${fsd50k}" --data "${datadir}"
