#!/usr/bin/env bash
# Every method on every kind of mixtures, each an experiment of its own through ./run.sh. What has
# its RESULTS.md already is left alone; what was interrupted goes on. Options that are not of this
# script are those of ./run.sh. Exit status 3: some experiments are not done.
set -euo pipefail
. ./lib.sh

# of conf/method_<method>.yaml
methods="text_bert text_sbert single_energy single_harmonicity single_order hct oct octpp pit"
mixings="random different same" # how classes are drawn
difficulties="hard easy" # levels and overlap
seeds=                  # of the training, e.g. "0 1 2" (default: 0)
parallel=1              # experiments at a time (with Slurm: as many as you like)
train_config=conf/train.yaml # sizes of the model, and training
train_args=             # more options of every training
expdir=exp              # experiments
python=python3          # interpreter

# shellcheck disable=SC2155 # of ./run.sh, whichever of these it starts
readonly options_elsewhere="tsx.sh local/data.sh $(find . -maxdepth 1 -name soundbeam.sh)"
readonly options_through=run.sh options_hidden=${grid_sets}
. utils/parse_options.sh
[ $# -eq 0 ] || die --status 2 "unexpected argument '$1': options are --name value"
[ "${parallel}" -ge 1 ] || die --status 2 "--parallel must be at least 1"
for ((i = 0; i < ${#options_forwarded[@]}; i += 2)); do
    case " ${grid_sets} " in
    *" ${options_forwarded[i]#--} "*)
        die --status 2 "${options_forwarded[i]} is chosen here:" \
            "see --methods, --mixings, --difficulties, --seeds, --parallel"
        ;;
    esac
done
for option in methods mixings difficulties; do
    [[ ${!option} == *[!\ ]* ]] || die --status 2 "option --${option} is empty"
done
for seed in ${seeds}; do
    [[ ${seed} =~ ^(0|[1-9][0-9]*)$ ]] ||
        die --status 2 "option --seeds: expected whole numbers, found '${seed}'"
done
require_config "${train_config}"
for method in ${methods}; do require_config "conf/method_${method}.yaml"; done
for mixing in ${mixings}; do
    for difficulty in ${difficulties}; do
        require_config "conf/mix_${mixing}_${difficulty}.yaml"
    done
done

recipe() { # METHOD MIXING DIFFICULTY SEED OPTIONS...
    ./run.sh --method "$1" --mixing "$2" --difficulty "$3" --train_seed "$4" \
        --train_config "${train_config}" --train_args "${train_args}" --expdir "${expdir}" \
        --share "${parallel}" --python "${python}" "${options_forwarded[@]}" "${@:5}"
}

experiment() { # TAG METHOD MIXING DIFFICULTY SEED
    local log=${expdir}/$1/grid.log
    mkdir -p "${expdir}/$1"
    exec 9>"${expdir}/$1/.lock" # its children hold it too: it lasts as long as any of them
    if ! flock -n 9; then
        log "$1: another process works on it"
        return
    fi
    log "$1: begins, log in ${log}"
    if recipe "${@:2}" --stage 5 --stop_stage 8 >"${log}" 2>&1; then
        log "$1: done"
    else
        log "$1: FAILED: $(tail -n 1 "${log}")"
    fi
}

stop() {
    trap - INT TERM HUP
    local job
    for job in $(jobs -p); do kill -- "-${job}" || true; done 2>/dev/null
    wait || true
    exit 143
}
trap stop INT TERM HUP

# what experiments share is made by one process: sounds and mixtures, then vectors of the texts
first=${methods%% *}
for mixing in ${mixings}; do
    for difficulty in ${difficulties}; do
        recipe "${first}" "${mixing}" "${difficulty}" 0 --stop_stage 3 </dev/null
    done
done
by_bert='' by_others='' # a method for each of the two language models that are needed
for method in ${methods}; do
    if [ "${method}" = text_bert ]; then by_bert=${method}; else by_others=${method}; fi
done
for method in ${by_others} ${by_bert}; do
    status=0
    recipe "${method}" "${mixings%% *}" "${difficulties%% *}" 0 --stage 4 --stop_stage 4 \
        </dev/null || status=$?
    [ "${status}" -lt 128 ] || exit "${status}" # interrupted; without vectors stage 5 says so
done

set -m # an experiment is a process group of its own, to be stopped as a whole
tags=()
for seed in ${seeds:-0}; do
    for mixing in ${mixings}; do
        for difficulty in ${difficulties}; do
            for method in ${methods}; do
                tag=$(experiment_tag "${train_config}" "${method}" "${mixing}_${difficulty}" "${seed}")
                tags+=("${tag}")
                if [ -e "${expdir}/${tag}/RESULTS.md" ]; then
                    log "${tag}: done already"
                    continue
                fi
                while [ "$(jobs -rp | wc -l)" -ge "${parallel}" ]; do wait -n || true; done
                experiment "${tag}" "${method}" "${mixing}" "${difficulty}" "${seed}" </dev/null &
            done
        done
    done
done
wait

failed=()
for tag in "${tags[@]}"; do
    [ -e "${expdir}/${tag}/RESULTS.md" ] || failed+=("${tag}")
done
log "$((${#tags[@]} - ${#failed[@]})) of ${#tags[@]} experiments are done, in ${SECONDS} s"
[ ${#failed[@]} -eq 0 ] || die --status 3 "not done: ${failed[*]}"
