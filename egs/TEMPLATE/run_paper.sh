#!/usr/bin/env bash
# The tables of a paper: makes the runs that paper.yaml asks for, each through ./run.sh, then a page with
# the paper's numbers and ours. Runs that have a RESULTS.md are skipped, interrupted ones are resumed. Other
# options are passed to ./run.sh. Exit status 3: some runs failed; the page is made from the others.
# shellcheck disable=SC2034,SC2206 # options are used by name; ${python} may be several words
set -euo pipefail
[ -x ./run.sh ] || { echo "run_paper.sh: start it in its directory: cd $(dirname "$0")" >&2; exit 2; }
. ./lib.sh

paper=paper.yaml        # what the paper compares, and its numbers
kind=                   # <mixing>_<difficulty> instead of the paper's, if it has only one
methods=all             # only these of the paper's methods, e.g. "oct pit"
mixings=all             # only these ways of mixing, e.g. random
difficulties=all        # only these difficulties, e.g. hard
seeds=                  # random seeds of training, e.g. "0 1 2" (default: 0)
parallel=1              # number of runs at a time (with Slurm: any number)
train_config=conf/train.yaml # model sizes and training
expdir=exp              # experiments and the page
data_kind=recordings    # what reports call the sounds: recordings, synthetic
python=python3          # Python interpreter

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
    [ "${difficulty}" = - ] || require_config "conf/mix_${mixing}_${difficulty}.yaml"
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
set -m # each job is a process group of its own, to be stopped as a whole

recipe() { # TAG METHOD MIXING DIFFICULTY SEED OPTIONS...
    ./run.sh --tag "$1" --method "$2" --mixing "$3" --difficulty "$4" --train_seed "$5" \
        --train_config "${train_config}" --expdir "${expdir}" --share "${parallel}" \
        --python "${python}" --data_kind "${data_kind}" "${options_forwarded[@]}" "${@:6}" </dev/null
}

declare -A made=()
shared() { # KEY ARGUMENTS OF RECIPE...: outputs shared by runs are made once, by one process
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
    # if texts cannot be embedded, only runs queried by text fail
    shared "${words[1]}" "${words[@]:0:5}" --stage 4 --stop_stage 4 || log "${words[1]}: no texts"
done

experiment() { # TAG METHOD MIXING DIFFICULTY SEED NEW_CLASSES
    local exp=${expdir}/$1
    mkdir -p "${exp}"
    exec 9>>"${exp}/.lock" # inherited by its children: held as long as any of them runs
    if ! flock -n 9; then
        log "$1: another process is working on it"
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
    --data_kind "${data_kind}" || status=$?
[ ${#failed[@]} -eq 0 ] || die --status 3 "not done: ${failed[*]}"
[ "${status}" -eq 0 ]
