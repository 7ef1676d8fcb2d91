#!/usr/bin/env bash
# Stage 1: write data/{train,valid,test} for FUSS as it ships, and data/clips_{train,valid,test} for
# the clips that it was made of, if they are there.
set -euo pipefail

datadir=data
nj=1                    # number of threads that check the mixtures
python=python3
fuss=                   # directory of FUSS as it ships
reverb=false            # the reverberant mixtures
. utils/parse_options.sh

if [ -z "${fuss}" ]; then
    cat >&2 <<END
data.sh: --fuss DIR is missing: the directory with ssdata or ssdata_reverb, and perhaps fsd_data. The
corpus is record 3743844 of Zenodo: https://zenodo.org/record/3743844
To try the recipe without it: local/make_like.sh --out downloads/fuss
END
    exit 2
fi
options=()
if ${reverb}; then options+=(--reverb); fi
${python} -m tsx_espnet.bin.prepare fuss --fuss "${fuss}" --data "${datadir}" --num_jobs "${nj}" \
    "${options[@]}"
