# shellcheck shell=bash disable=SC2034,SC2154,SC2206
# Functions for the stages of tsx.sh; the variables are its options and paths.

log() {
    echo "$(date '+%Y-%m-%dT%H:%M:%S') (${BASH_SOURCE[1]##*/}:${BASH_LINENO[0]}) $*"
}

die() { # [--status N] MESSAGE
    local status=1
    if [ "$1" = --status ]; then status=$2 && shift 2; fi
    echo "${0##*/}: $*" >&2
    exit "${status}"
}

# stage_on N TITLE: whether to run stage N; if so, print its title, and name it if it fails.
stage_on() {
    [ "${stage}" -le "$1" ] && [ "${stop_stage}" -ge "$1" ] || return 1
    echo "$(date '+%Y-%m-%dT%H:%M:%S') (${BASH_SOURCE[1]##*/}:${BASH_LINENO[0]}) stage $1: $2"
    running=$1
    trap 'stage_failed $?' EXIT
}

# stage_failed STATUS: commands say what to run again, e.g. "format"; here, these are stages.
stage_failed() {
    [ "$1" -gt 0 ] && [ "$1" -lt 128 ] || return 0
    sed -n 's/^if stage_on \([0-9]*\) "\([^:]*\):.*/\1 \2,/p' "$0" ./new_classes.sh | paste -sd ' ' |
        sed -e "s/^/${0##*/}: stage ${running} failed; the stages are: /" -e 's/,$//' >&2
}

# require_file FILE... --stage N: fail unless the files exist, and say which stage makes them.
require_file() {
    local files=() file
    while [ "$1" != --stage ]; do files+=("$1") && shift; done
    for file in "${files[@]}"; do
        [ -e "${file}" ] || { trap - EXIT && die "missing ${file}: run stage $2"; }
    done
}

# require_config FILE: fail unless a file in conf/ exists, and list those that do.
require_config() {
    local kind=${1##*/} others
    [ ! -f "$1" ] || return 0
    others=$(compgen -G "$(dirname "$1")/${kind%%_*}*.yaml" | sort | paste -sd ' ') || others=none
    die --status 2 "no file $1; there are: ${others}"
}

# config_name CONFIG: oct for conf/method_oct.yaml; random_hard for conf/mix_random_hard.yaml.
config_name() {
    local name=${1##*/}
    name=${name%.yaml}
    echo "${name#*_}"
}

# config_size TRAIN_CONFIG: small for conf/train_small.yaml; nothing for conf/train.yaml.
config_size() {
    local size
    size=$(config_name "$1")
    [ "${size}" = train ] || echo "${size}"
}

# require_package: fail unless tsx_espnet is installed.
require_package() {
    ${python} -c 'import tsx_espnet' 2>/dev/null ||
        die "tsx_espnet is not installed for ${python}: run 'make install', or give --python"
}

# model_has WHAT WORD OPTIONS...: whether WORD is among the conditions that a model trained with these
# options has, what they take (vector: of phrases), or the pretrained networks that it needs.
model_has() {
    local found
    found=$(${python} -m tsx_espnet.bin.train "--print_$1" "${@:3}") || exit 1
    [[ $'\n'${found}$'\n' == *$'\n'"$2"$'\n'* ]]
}

# follow LOG... -- COMMAND: run it and show the progress lines of its logs; it ends with this script,
# however that ends (see utils/follow.py).
follow() { ${python} utils/follow.py "$@"; }

# array COMMAND CMD LOG OPTIONS...: run tsx_espnet.bin.COMMAND in ${nj} parts through CMD (run.pl ...),
# with the logs LOG.1.log, LOG.2.log ...; then merge the parts.
array() {
    local cmd=$2 log=$3 command=(${python} -m "tsx_espnet.bin.$1" "${@:4}" --num_jobs "${nj}")
    follow "${log}.*.log" -- ${cmd} --name "$1" JOB=1:"${nj}" "${log}.JOB.log" "${command[@]}" --job JOB
    "${command[@]}" --merge
}

# launch COMMAND EXP OPTIONS...: a training command of tsx_espnet.bin, log in EXP/train.log.
launch() {
    local exp=$2 threads
    mkdir -p "${exp}"
    . utils/threads.sh
    threads=$(training_threads)
    OMP_NUM_THREADS=${threads} follow "${exp}/train.log" --output "${exp}/launch.log" -- \
        ${python} -m espnet2.bin.launch \
        --cmd "${cuda_cmd} --name ${exp##*/} --num_threads ${threads}" \
        --log "${exp}/train.log" --ngpu "${ngpu}" --num_nodes "${num_nodes}" \
        --init_file_prefix "${exp}/.dist_init_" --multiprocessing_distributed true -- \
        ${python} -m "tsx_espnet.bin.$1" --output_dir "${exp}" --resume true "${@:3}" ||
        die "training failed:"$'\n'"$(log_end "${exp}/launch.log")"
}

format() { # SET
    require_file "${datadir}/$1/wav.scp" --stage 1
    array format "${train_cmd}" "${clips}/log/format_$1" \
        --data "${datadir}/$1" --out "${clips}/$1" --fs "${fs}"
}

mix() { # NAME NUMBER SEED SET OPTIONS...: drawn by ${mix_config}; without one, those of the corpus
    local classes=${clips}/${train_set}/classes.txt plans=(--rebuild "${clips}/$4")
    require_file "${clips}/${train_set}/.done" "${clips}/$4/.done" --stage 2
    [ -f "${classes}" ] || classes= # clips without labels
    if [ -n "${mix_config}" ]; then
        plans=(--config "${mix_config}" --num_mixtures "$2" --seed "$3")
        plans+=(${classes:+--classes "${classes}"} ${noise:+--noise "${clips}/noise"})
    fi
    array mix "${train_cmd}" "${clips}/log/mix_$1" --out "${mixtures}/$1" "${plans[@]}" \
        --clips "${clips}/$4" "${@:5}"
}

# infer EXP MIXTURES OUT OPTIONS...: estimates for all applicable conditions.
infer() {
    local cmd=${decode_cmd} gpus=0
    if ${gpu_inference}; then cmd="${cuda_cmd} --gpu 1" gpus=1; fi
    array infer "${cmd}" "$1/log/infer_${3##*/}" --exp "$1" --model_file "${inference_model}" \
        --mixtures "${mixtures}/$2" --out "$3" --audio_format "${audio_format}" --ngpu "${gpus}" \
        "${@:4}"
}

score() { # EXP MIXTURES ESTIMATES
    local metrics=()
    ${bss_eval} || metrics=(--skip_bss)
    array score "${decode_cmd}" "$1/log/score_${3##*/}" \
        --mixtures "${mixtures}/$2" --estimates "$3" "${metrics[@]}"
}

# log_end FILE: the output of espnet2.bin.launch, up to where it repeats the whole log.
log_end() { sed -e "/^Command .* returned non-zero/,\$d" -e '/ INFO: /d' "$1" | tail -n 15; }
