#!/usr/bin/env bash
# Stage 1: write data/{train,valid,test} for FSDKaggle2018 as it ships, and for new classes also
# data/{new_train,new_test} and data/new_enroll_K.
set -euo pipefail

datadir=data
# shellcheck disable=SC2034
nj=1                    # not used
python=python3
fsdkaggle2018=          # directory of FSDKaggle2018 as it ships
new_classes=            # classes to hold out as new ones: A,B,...
examples=1,5,10         # for each K, new_enroll_K has K clips of each new class
num_draws=1             # draws of these clips; further ones are new_enroll_K_draw1, ...
fsd50k=                 # take the new classes from FSD50K, by default ten: its directory, as it ships
valid_share=0.1         # share of the training clips of each class used for validation
min_clips=2             # leave out classes with fewer clips in any set
verified_only=false     # use only training clips with human-verified labels
test_usage=all          # part of the test set: all, Public, Private (score at Kaggle)
. utils/parse_options.sh

if [ -z "${fsdkaggle2018}" ]; then
    cat >&2 <<END
data.sh: --fsdkaggle2018 DIR is missing: the directory with FSDKaggle2018.audio_train,
FSDKaggle2018.audio_test and FSDKaggle2018.meta. The corpus is record 2552860 of Zenodo:
https://zenodo.org/record/2552860
END
    exit 2
fi
options=(--new_classes "${new_classes}" --examples "${examples}" --num_draws "${num_draws}")
if [ -n "${fsd50k}" ]; then options+=(--fsd50k "${fsd50k}"); fi
if ${verified_only}; then options+=(--verified_only); fi
${python} -m tsx_espnet.bin.prepare fsdkaggle2018 --fsdkaggle2018 "${fsdkaggle2018}" \
    --data "${datadir}" --valid_share "${valid_share}" --min_clips "${min_clips}" \
    --test_usage "${test_usage}" "${options[@]}"
