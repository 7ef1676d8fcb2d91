#!/usr/bin/env bash
# Tables 1 and 2 and Figure 2 of the SoundBeam paper: every method, then the tables.
#   ./run_tables.sh --fsdkaggle2018 DIR --fsd50k DIR --new_classes A,B,... --ngpu 1
#   ./run_tables.sh --fsdkaggle2018 DIR --new_classes A,B,... \
#       --train_config conf/train_small.yaml --parallel 2
#   ./run_tables.sh --help                   every option
set -euo pipefail
[ -x ./grid.sh ] || { echo "run_tables.sh: start it in its directory: cd $(dirname "$0")" >&2; exit 2; }
. ./lib.sh

methods="onehot enrl mixed mixed_el" # of conf/method_<method>.yaml
seeds=                  # of the training, e.g. "0 1 2" (default: 0)
parallel=1              # trainings at a time
train_config=conf/train.yaml # sizes of the model, and training
expdir=exp              # experiments
python=python3          # interpreter

# shellcheck disable=SC2034
readonly options_elsewhere="soundbeam.sh tsx.sh local/data.sh" \
    options_hidden=${grid_sets} options_through=run.sh
. utils/parse_options.sh
[ $# -eq 0 ] || die --status 2 "unexpected argument '$1': options are --name value"

status=0
./grid.sh --methods "${methods}" --mixings random --difficulties soundbeam --seeds "${seeds}" \
    --parallel "${parallel}" --train_config "${train_config}" --expdir "${expdir}" \
    --python "${python}" "${options_forwarded[@]}" || status=$?
[ "${status}" -eq 0 ] || [ "${status}" -eq 3 ] || exit "${status}" # 3: some trainings are not done
recipe() { # STAGE STOP_STAGE METHOD SEED
    ./run.sh --stage "$1" --stop_stage "$2" --method "$3" --train_seed "$4" --expdir "${expdir}" \
        --train_config "${train_config}" --python "${python}" "${options_forwarded[@]}"
}
recipe 11 11 "${methods%% *}" 0
for seed in ${seeds:-0}; do
    for method in ${methods}; do
        tag=$(experiment_tag "${train_config}" "${method}" random_soundbeam "${seed}")
        [ ! -e "${expdir}/${tag}/RESULTS.md" ] || recipe 12 14 "${method}" "${seed}"
    done
done
recipe 15 15 "${methods%% *}" 0
exit "${status}"
