#!/usr/bin/env bash
# A small set in FUSS's layout, to try the recipe without FUSS: mixtures of one to four generated
# sounds (those of egs/mini), or of the recordings below another recipe's data directory.
#   local/make_like.sh --out downloads/fuss && ./run.sh --fuss downloads/fuss
set -euo pipefail
cd "$(dirname "$0")/.."

out=downloads/fuss      # where it goes
data=                   # data directories of other clips: DIR/{train,valid,test}
num_train=300           # number of training mixtures; a fifth of it for validation and test
clips_per_class=20      # number of generated sounds per class
nj=2                    # number of processes
python=python3
. utils/parse_options.sh

clips=${out}/clips
if [ -z "${data}" ]; then
    data=${clips}/data
    ${python} -m tsx_espnet.bin.prepare mini --out "${clips}/mini" --data "${data}" \
        --clips_per_class "${clips_per_class}" --num_jobs "${nj}"
fi
make_set() { # SET OURS NUMBER SEED
    ${python} -m tsx_espnet.bin.format --data "${data}/$2" --out "${clips}/16k/$2" --fs 16000
    ${python} -m tsx_espnet.bin.mix --layout fuss --out "${out}/ssdata/$1" \
        --clips "${clips}/16k/$2" --config conf/mix_clips_like.yaml --num_mixtures "$3" --seed "$4"
}
make_set train train "${num_train}" 1
make_set validation valid $(((num_train + 4) / 5)) 2
make_set eval test $(((num_train + 4) / 5)) 3
