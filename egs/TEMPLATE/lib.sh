# shellcheck shell=bash disable=SC2034,SC2154
# What the stages of tsx.sh are written with; the variables are its options.

# options of run.sh that grid.sh sets itself
grid_sets="method method_config mixing difficulty mix_config train_seed tag stage stop_stage share"

log() {
    echo "$(date '+%Y-%m-%dT%H:%M:%S') (${BASH_SOURCE[1]##*/}:${BASH_LINENO[0]}) $*"
}

die() { # [--status N] MESSAGE
    local status=1
    if [ "$1" = --status ]; then status=$2 && shift 2; fi
    echo "${0##*/}: $*" >&2
    exit "${status}"
}

# stage_on N TITLE: whether stage N is to run; if so, says what it does.
stage_on() {
    [ "${stage}" -le "$1" ] && [ "${stop_stage}" -ge "$1" ] || return 1
    echo "$(date '+%Y-%m-%dT%H:%M:%S') (${BASH_SOURCE[1]##*/}:${BASH_LINENO[0]}) stage $1: $2"
}

# require_file FILE... --stage N: the files exist, or say which stage makes them.
require_file() {
    local files=() file
    while [ "$1" != --stage ]; do files+=("$1") && shift; done
    for file in "${files[@]}"; do
        [ -e "${file}" ] || die "missing ${file}: run stage $2"
    done
}

# require_config FILE: a file of conf/ exists, or say which there are.
require_config() {
    local kind=${1##*/} others
    [ ! -f "$1" ] || return 0
    others=$(compgen -G "$(dirname "$1")/${kind%%_*}*.yaml" | sort | paste -sd ' ') || others=none
    die --status 2 "no file $1; there are: ${others}"
}

# experiment_tag TRAIN_CONFIG METHOD KIND SEED: the name of an experiment; the paper's size (conf/
# train.yaml) and seed 0 go without saying.
experiment_tag() {
    local size
    size=$(config_size "$1")
    echo "${size:+${size}_}$2_$3$([ "$4" -eq 0 ] || echo "_seed$4")"
}

# config_size TRAIN_CONFIG: small, of conf/train_small.yaml; nothing, of conf/train.yaml.
config_size() {
    local size=${1##*/}
    size=${size%.yaml} && size=${size#train}
    echo "${size#_}"
}

# config_name CONFIG: oct, of conf/method_oct.yaml; random_hard, of conf/mix_random_hard.yaml.
config_name() {
    local name=${1##*/}
    name=${name%.yaml}
    echo "${name#*_}"
}

# follow LOG... -- COMMAND: run it, show the progress lines of its logs, and let it end with this
# script, however that ends (see utils/follow.py).
follow() { ${python} utils/follow.py "$@"; }

# array CMD LOG COMMAND: run COMMAND in ${nj} parts through CMD (run.pl ...), with the logs
# LOG.1.log, LOG.2.log ...; then put the parts together.
array() {
    local cmd=$1 log=$2
    shift 2
    follow "${log}.*.log" -- ${cmd} JOB=1:"${nj}" "${log}.JOB.log" \
        "$@" --num_jobs "${nj}" --job JOB
    "$@" --num_jobs "${nj}" --merge
}

# infer EXP MIXTURES OUT OPTIONS...: extract what can be asked for.
infer() {
    local cmd=${decode_cmd} gpus=0
    if ${gpu_inference}; then cmd="${cuda_cmd} --gpu 1" gpus=1; fi
    array "${cmd} --name infer" "$1/log/infer_${3##*/}" \
        ${python} -m tsx_espnet.bin.infer --exp "$1" --model_file "${inference_model}" \
        --mixtures "$2" --out "$3" --audio_format "${audio_format}" --ngpu "${gpus}" "${@:4}"
}

# score EXP MIXTURES ESTIMATES: write their scores.csv.
score() {
    local metrics=()
    if ! ${bss_eval}; then metrics=(--skip_bss); fi
    array "${decode_cmd} --name score" "$1/log/score_${3##*/}" \
        ${python} -m tsx_espnet.bin.score --mixtures "$2" --estimates "$3" "${metrics[@]}"
}

# log_end FILE: what espnet2.bin.launch printed before it repeats the whole log.
log_end() { sed -e "/^Command .* returned non-zero/,\$d" -e '/ INFO: /d' "$1" | tail -n 15; }

# free_cores: the CPU cores that other work leaves idle, at best in three looks of half a second; all,
# where there is no /proc. OpenMP's threads spin while they wait for each other: on cores that are
# busy, two of them are several times slower than one (tools/bench/training.py threads).
free_cores() {
    local cores look
    cores=$(getconf _NPROCESSORS_ONLN)
    [ -r /proc/stat ] || { echo "${cores}" && return; }
    for look in 0 0.5 0.5 0.5; do
        sleep "${look}"
        head -n 1 /proc/stat
    done | awk -v cores="${cores}" '
        { idle = $5 + $6; all = 0; for (i = 2; i <= 9; i++) all += $i }
        NR > 1 && all > before { share = (idle - rest) / (all - before); if (share > most) most = share }
        { rest = idle; before = all }
        END { print int(cores * most + 0.5) }'
}

# training_threads: ${num_threads}, or what suits where training runs: a share of the CPU cores, of
# those that are free.
training_threads() {
    if [ "${num_threads}" -gt 0 ]; then
        echo "${num_threads}"
    elif [ "${ngpu}" -eq 0 ] && [ "${cuda_cmd%% *}" = run.pl ]; then
        local threads free
        threads=$(($(getconf _NPROCESSORS_ONLN) / share)) free=$(free_cores)
        threads=$((threads < free ? threads : free))
        echo $((threads > 0 ? threads : 1))
    else
        echo 1
    fi
}
