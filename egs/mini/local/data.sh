#!/usr/bin/env bash
# Stage 1: generate the sounds and write data/{train,valid,test}, and for new classes also
# data/{new_train,new_test} and data/new_enroll_K.
set -euo pipefail

datadir=data
nj=1                    # number of processes
python=python3
clips_per_class=60      # number of sounds per class
new_classes=            # labels of classes to hold out as new ones: Meow,Siren,...
examples=1,5            # for each K, new_enroll_K has K clips of each new class
num_draws=1             # draws of these clips; further ones are new_enroll_K_draw1, ...
downloads=downloads     # directory for the sounds
. utils/parse_options.sh

${python} -m tsx_espnet.bin.prepare mini --out "${downloads}/mini" --data "${datadir}" \
    --clips_per_class "${clips_per_class}" --num_jobs "${nj}" \
    --new_classes "${new_classes}" --examples "${examples}" --num_draws "${num_draws}"
