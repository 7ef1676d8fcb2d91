#!/usr/bin/env bash
# The tables of a paper: the runs that paper.yaml asks for and that are missing, each through ./run.sh,
# then the page with the paper's numbers and ours. A run with its RESULTS.md is left alone, one that was
# interrupted goes on. Options that are not of this script are those of ./run.sh. Exit status 3: some
# runs are not done; the page is then of the others.
# shellcheck disable=SC2034,SC2206 # options are used by name; ${python} may be several words
set -euo pipefail
[ -x ./run.sh ] || { echo "run_paper.sh: start it in its directory: cd $(dirname "$0")" >&2; exit 2; }
. ./lib.sh

paper=paper.yaml        # what the paper compares, and its numbers
kind=                   # <mixing>_<difficulty>, in place of the only one that the paper has
methods=all             # some of the paper's, e.g. "oct pit": conf/method_<method>.yaml
mixings=all             # some of the ways that classes are drawn
difficulties=all        # some of the levels and overlaps
seeds=                  # of the training, e.g. "0 1 2" (default: 0)
parallel=1              # runs at a time (with Slurm: as many as you like)
train_config=conf/train.yaml # sizes of the model, and training
expdir=exp              # experiments, and the page
data_kind=              # what pages call the sounds: recordings, synthetic
python=python3          # interpreter

readonly chosen="method method_config mixing difficulty mix_config train_seed tag stage stop_stage share"
readonly options_elsewhere="tsx.sh local/data.sh" options_through=run.sh options_hidden=${chosen}
. utils/parse_options.sh
[ $# -eq 0 ] || die --status 2 "unexpected argument '$1': options are --name value"
[ "${parallel}" -ge 1 ] || die --status 2 "--parallel must be at least 1"
for ((i = 0; i < ${#options_forwarded[@]}; i += 2)); do
    case " ${chosen} " in
    *" ${options_forwarded[i]#--} "*)
        die --status 2 "${options_forwarded[i]} is chosen here:" \
            "see --methods, --mixings, --difficulties, --kind, --seeds, --parallel"
        ;;
    esac
done
require_config "${train_config}"
. ./path.sh
require_package

study=(${python} -m tsx_espnet.bin.study --paper "${paper}" --size "$(config_size "${train_config}")")
[ -z "${kind}" ] || study+=(--kind "${kind}")
some=()
for option in methods mixings difficulties; do
    [[ ${!option} == *[!\ ]* ]] || die --status 2 "option --${option} is empty"
    [ "${!option}" = all ] || some+=("--${option}" "${!option}")
done
runs=$("${study[@]}" --list_runs --seeds "${seeds:-0}" "${some[@]}") || exit 2
[ -n "${runs}" ] || die --status 2 "${paper} has no run of these methods, mixings and difficulties"

todo=() # TAG METHOD MIXING DIFFICULTY SEED NEW_CLASSES, for those that are not done
while read -r tag method mixing difficulty seed new; do
    require_config "conf/method_${method}.yaml"
    require_config "conf/mix_${mixing}_${difficulty}.yaml"
    if [ "${new}" = no ] && [ -e "${expdir}/${tag}/RESULTS.md" ]; then
        log "${tag}: done already"
    else
        todo+=("${tag} ${method} ${mixing} ${difficulty} ${seed} ${new}")
    fi
done <<<"${runs}"

stop() {
    trap - INT TERM HUP
    local job
    for job in $(jobs -p); do kill -- "-${job}" || true; done 2>/dev/null
    wait || true
    exit 143
}
trap stop INT TERM HUP
set -m # a job is a process group of its own, to be stopped as a whole

recipe() { # TAG METHOD MIXING DIFFICULTY SEED OPTIONS...
    ./run.sh --tag "$1" --method "$2" --mixing "$3" --difficulty "$4" --train_seed "$5" \
        --train_config "${train_config}" --expdir "${expdir}" --share "${parallel}" \
        --python "${python}" ${data_kind:+--data_kind "${data_kind}"} "${options_forwarded[@]}" \
        "${@:6}" </dev/null
}

declare -A made=()
shared() { # KEY OPTIONS OF RECIPE...: what runs share is made by one process, once
    [ -z "${made[$1]:-}" ] || return 0
    made[$1]=yes
    recipe "${@:2}" &
    wait $!
}

first=1
for run in "${todo[@]}"; do
    read -r -a words <<<"${run}"
    shared "${words[*]:2:2}" "${words[@]:0:5}" --stage "${first}" --stop_stage 3
    first=3
    [ "${words[5]}" = no ] ||
        shared "new ${words[*]:2:2}" "${words[@]:0:5}" --stage 11 --stop_stage 11
    # texts that cannot be embedded fail the runs that are queried by them, and no other
    shared "${words[1]}" "${words[@]:0:5}" --stage 4 --stop_stage 4 || log "${words[1]}: no texts"
done

experiment() { # TAG METHOD MIXING DIFFICULTY SEED NEW_CLASSES
    local exp=${expdir}/$1
    mkdir -p "${exp}"
    exec 9>>"${exp}/.lock" # its children hold it too: it lasts as long as any of them
    if ! flock -n 9; then
        log "$1: another process works on it"
        return
    fi
    echo "not done" >"${exp}/.lock"
    log "$1: begins, log in ${exp}/paper.log"
    if {
        { [ -e "${exp}/RESULTS.md" ] || recipe "${@:1:5}" --stage 5 --stop_stage 8; } &&
            { [ "$6" = no ] || recipe "${@:1:5}" --stage 12 --stop_stage 14; }
    } >"${exp}/paper.log" 2>&1; then
        : >"${exp}/.lock"
        log "$1: done"
    else
        log "$1: FAILED: $(grep -v ': stage [0-9]* failed;' "${exp}/paper.log" | tail -n 1)"
    fi
}

for run in "${todo[@]}"; do
    while [ "$(jobs -rp | wc -l)" -ge "${parallel}" ]; do wait -n || true; done
    experiment ${run} </dev/null &
done
wait

failed=()
for run in "${todo[@]}"; do
    [ ! -s "${expdir}/${run%% *}/.lock" ] || failed+=("${run%% *}")
done
total=$(wc -l <<<"${runs}")
log "$((total - ${#failed[@]})) of ${total} runs done, in ${SECONDS} s"
name=$(basename "${paper}" .yaml)
status=0
"${study[@]}" --exp "${expdir}" --out "${expdir}/${name^^}.md" --figure "${expdir}/${name}_figure.png" \
    ${data_kind:+--data_kind "${data_kind}"} || status=$?
[ ${#failed[@]} -eq 0 ] || die --status 3 "not done: ${failed[*]}"
[ "${status}" -eq 0 ]
