#!/usr/bin/env bash
# Table 1 and Figure 2 of the OCT paper: every method on every kind of mixtures, then the table.
#   ./run_table1.sh --fsd50k DIR --ngpu 1                         the paper's grid: 54 trainings
#   ./run_table1.sh --fsd50k DIR --train_config conf/train_small.yaml --parallel 2
#   ./run_table1.sh --help                                        every option
set -euo pipefail
[ -x ./grid.sh ] || { echo "run_table1.sh: start it in its directory: cd $(dirname "$0")" >&2; exit 2; }
. ./lib.sh

expdir=exp              # experiments
train_config=conf/train.yaml # sizes of the model, and training
data_kind=recordings    # what the table calls the sounds: recordings, synthetic
python=python3          # interpreter

# shellcheck disable=SC2034
readonly options_elsewhere="grid.sh tsx.sh local/data.sh" \
    options_hidden=${grid_sets} options_through=run.sh
. utils/parse_options.sh
[ $# -eq 0 ] || die --status 2 "unexpected argument '$1': options are --name value"
. ./path.sh

status=0
./grid.sh --expdir "${expdir}" --train_config "${train_config}" --data_kind "${data_kind}" \
    --python "${python}" "${options_forwarded[@]}" || status=$?
[ "${status}" -eq 0 ] || [ "${status}" -eq 3 ] || exit "${status}" # 3: some cells are not run
${python} -m tsx_espnet.bin.table1 --exp "${expdir}" --size "$(config_size "${train_config}")" \
    --data_kind "${data_kind}" --out "${expdir}/TABLE1.md" --figure "${expdir}/figure2.png"
exit "${status}"
