#!/usr/bin/env bash
# Stage 1: generate the sounds and write data/{train,valid,test}.
set -euo pipefail

datadir=data
nj=1                    # processes
python=python3
clips_per_class=60      # generated sounds of each class
downloads=downloads     # where the sounds go
. utils/parse_options.sh

${python} -m tsx_espnet.bin.prepare_mini --out "${downloads}/mini" --data "${datadir}" \
    --clips_per_class "${clips_per_class}" --num_jobs "${nj}"
