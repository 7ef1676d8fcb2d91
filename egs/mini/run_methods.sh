#!/usr/bin/env bash
# Every method of the OCT paper on generated sounds, for minutes each, then all of them in one table.
#   ./run_methods.sh                         a quarter of an hour on two processor cores
#   ./run_methods.sh --bert DIR              BERT from a directory, where no model hub can be reached
#   ./run_methods.sh --help                  every option
set -euo pipefail
[ -x ./grid.sh ] || { echo "run_methods.sh: start it in its directory: cd $(dirname "$0")" >&2; exit 2; }
. ./lib.sh

mixings=random          # how classes are drawn
difficulties=demo       # levels and overlap
train_config=conf/train_short.yaml # sizes of the model, and training
seeds=                  # of the training, e.g. "0 1 2", with tables of each (default: 0)
expdir=exp              # experiments
parallel=2              # experiments at a time
python=python3          # interpreter

# shellcheck disable=SC2034
readonly options_elsewhere="grid.sh tsx.sh local/data.sh" \
    options_hidden=${grid_sets} options_through=run.sh
. utils/parse_options.sh
[ $# -eq 0 ] || die --status 2 "unexpected argument '$1': options are --name value"
. ./path.sh

status=0
./grid.sh --mixings "${mixings}" --difficulties "${difficulties}" --nj 2 \
    --train_config "${train_config}" --expdir "${expdir}" --parallel "${parallel}" \
    --seeds "${seeds}" --python "${python}" "${options_forwarded[@]}" || status=$?
[ "${status}" -eq 0 ] || [ "${status}" -eq 3 ] || exit "${status}" # 3: some are not done

compare() { # KIND SEED OUT SYSTEM...: the systems METHOD[:CONDITION] that are there
    local kind=$1 seed=$2 out=$3 system exp systems=()
    for system in "${@:4}"; do
        exp=${expdir}/$(experiment_tag "${train_config}" "${system%:*}" "${kind}" "${seed}")
        [ ! -e "${exp}/infer/test_${kind}/scores.csv" ] ||
            systems+=("${exp}${system#"${system%:*}"}")
    done
    [ ${#systems[@]} -lt 2 ] || ${python} -m tsx_espnet.bin.compare "${systems[@]}" \
        --set "test_${kind}" --out "${out}"
}

for mixing in ${mixings}; do
    for difficulty in ${difficulties}; do
        kind=${mixing}_${difficulty}
        for seed in ${seeds:-0}; do
            name=${kind}$([ "${seed}" -eq 0 ] || echo "_seed${seed}").md
            compare "${kind}" "${seed}" "${expdir}/METHODS_${name}" text_sbert text_bert hct oct \
                octpp pit oct:oracle octpp:oracle
            compare "${kind}" "${seed}" "${expdir}/SINGLE_${name}" text_sbert single_energy \
                single_harmonicity single_order
        done
    done
done
exit "${status}"
