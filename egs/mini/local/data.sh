#!/usr/bin/env bash
# Stage 1: generate the sounds and write data/{train,valid,test}, and for new classes
# data/{new_train,new_test} and data/new_enroll_K.
set -euo pipefail

datadir=data
nj=1                    # processes
python=python3
clips_per_class=60      # generated sounds of each class
new_classes=            # classes to hold out as new ones, by label: Meow,Siren,...
examples=1,5            # K: so many clips of each new class are new_enroll_K, for each K
num_draws=1             # of these clips: further ones are new_enroll_K_draw1, ...
downloads=downloads     # where the sounds go
. utils/parse_options.sh

${python} -m tsx_espnet.bin.prepare mini --out "${downloads}/mini" --data "${datadir}" \
    --clips_per_class "${clips_per_class}" --num_jobs "${nj}" \
    --new_classes "${new_classes}" --examples "${examples}" --num_draws "${num_draws}"
