#!/usr/bin/env bash
# SoundBeam, from a corpus to its tables. Stages 1 to 9 are those of tsx.sh; then new classes are
# added to the trained model, from K recordings of each. Called by run.sh of a data set whose
# local/data.sh makes data/new_test and data/new_enroll_<K>[_draw<n>]. Options that are not of this
# script are those of tsx.sh and local/data.sh.
# shellcheck disable=SC2034 # used by name
set -euo pipefail
. ./lib.sh

stage=1                 # first stage: 1 to 9 of tsx.sh, 11 mix the new classes, 12 extract them by
stop_stage=15           # last stage:  recordings, 13 add them, 14 extract them by name, 15 tables
nj=4                    # jobs of an array; results do not depend on it
ngpu=0                  # GPUs of a node for training; adaptation takes one (0: processors)
gpu_inference=false     # extract on GPUs, one a job
python=python3          # interpreter

datadir=data            # made by stage 1
dumpdir=dump            # made by stages 2 to 4, and 11
expdir=exp              # experiments
train_set=train         # clips of the known classes for training,
valid_set=valid         # validation,
test_set="test"         # and test
new_test_set=new_test   # clips of the new classes for test; examples: new_enroll_<K>

fs=8000                 # sampling rate of models and mixtures in Hz
mixing=random           # how the classes of a mixture are drawn
difficulty=soundbeam    # number of sources, levels, noise
mix_config=             # the same as a file of yours (default: conf/mix_<mixing>_<difficulty>.yaml)
noise=                  # directory of recordings of stationary noise (none: noise is generated)
num_new=3000            # test mixtures with a new class: the target is the new one, or another
num_adapt=1000          # mixtures for adaptation, of each K
seed=1                  # of the test mixtures

method=mixed_el         # what is trained: conf/method_<method>.yaml
method_config=          # the same as a file of yours, in place of --method
train_config=conf/train.yaml # sizes of the model, and training
train_seed=0            # of the training
tag=                    # name under expdir (default: of size, method, mixing, difficulty and seed)
inference_model=valid.loss.ave.pth # checkpoint that is used from stage 6 on
examples=1,5,10         # K: recordings of each new class
num_draws=1             # of these recordings: the tables have the mean over all draws
inits="random average"  # what adaptation starts from
adapt_epochs=10         # of adaptation
adapt_lr=1e-3           # its learning rate
bss_eval=true           # score BSS-eval's SDR, SIR and SAR too: the metric of the tables
audio_format=wav        # of the extracted sounds: wav (float32), flac
data_kind=recordings    # what reports call the sounds: recordings, synthetic

readonly options_elsewhere="tsx.sh local/data.sh"
. utils/parse_options.sh
[ $# -eq 0 ] || die --status 2 "unexpected argument '$1': options are --name value"
[ "${stage}" -le "${stop_stage}" ] ||
    die --status 2 "--stage ${stage} lies after --stop_stage ${stop_stage}"
[ "${nj}" -ge 1 ] || die --status 2 "--nj must be at least 1"
[ "${num_draws}" -ge 1 ] || die --status 2 "--num_draws must be at least 1"
. ./path.sh
. ./cmd.sh

if [ -n "${method_config}" ]; then method=$(config_name "${method_config}"); fi
mix_config=${mix_config:-conf/mix_${mixing}_${difficulty}.yaml}
require_config "${mix_config}"
kind=_$(config_name "${mix_config}")
clips=${dumpdir}/$(awk "BEGIN { print ${fs} / 1000 \"k\" }")
if [ -n "${noise}" ]; then # the same mixtures over recordings
    grep -q "^background:" "${mix_config}" ||
        die --status 2 "--noise: ${mix_config} has no background that it could be of"
    mkdir -p "${dumpdir}/conf"
    sed "/^background:/a\\  noise: ${clips}/noise" "${mix_config}" >"${dumpdir}/conf/${mix_config##*/}"
    mix_config=${dumpdir}/conf/${mix_config##*/}
fi

format() { # SET
    array "${train_cmd} --name format" "${clips}/log/format_$1" ${python} -m tsx_espnet.bin.format \
        --data "${datadir}/$1" --out "${clips}/$1" --fs "${fs}"
}

tsx() { # STAGE STOP_STAGE: as far as this script is to do them
    local first=$((stage > $1 ? stage : $1)) last=$((stop_stage < $2 ? stop_stage : $2))
    [ "${first}" -le "${last}" ] || return 0
    local options=(--stage "${first}" --stop_stage "${last}" --test_sets "${test_set}") name
    for name in nj ngpu gpu_inference python datadir dumpdir expdir train_set valid_set fs mixing \
        difficulty mix_config seed method method_config train_config train_seed tag \
        inference_model bss_eval audio_format data_kind examples num_draws; do
        options+=("--${name}" "${!name}")
    done
    ./tsx.sh "${options[@]}" "${options_forwarded[@]}"
}

tsx 1 1
if [ -n "${noise}" ] && [ "${stage}" -eq 1 ]; then
    ${python} -m tsx_espnet.bin.prepare noise --noise "${noise}" --data "${datadir}/noise"
fi
tsx 2 2
if [ -n "${noise}" ] && [ "${stage}" -le 2 ] && [ "${stop_stage}" -ge 2 ]; then format noise; fi
tsx 3 9
[ "${stop_stage}" -ge 11 ] || exit 0

tag=${tag:-$(experiment_tag "${train_config}" "${method}" "${kind#_}" "${train_seed}")}
mixtures=${clips}/mix
exp=${expdir}/${tag}
most=$(printf '%s\n' ${examples//,/ } | sort -n | tail -n 1)
draws=("") # what they add to names
for ((draw = 1; draw < num_draws; draw++)); do draws+=("_draw${draw}"); done
shots=() # what new classes are known by: <K> recordings of each, <K>_draw1, ...
for draw in "${draws[@]}"; do
    for K in ${examples//,/ }; do shots+=("${K}${draw}"); done
done

asked_by() { # CONDITION: whether the model can be
    awk '/^[^ ]/ { inside = /^conditions:/ } inside' "${exp}/config.yaml" | grep -q "^ *$1:"
}

extract() { # EXP MIXTURES OUT OPTIONS...: estimates and their scores
    infer "$1" "${mixtures}/$2" "${@:3}"
    score "$1" "${mixtures}/$2" "$3"
}

mix_new() { # OUT NUMBER SEED KNOWN NEW TARGET OPTIONS...: a new class in every mixture
    array "${train_cmd} --name mix" "${clips}/log/mix_$1" \
        ${python} -m tsx_espnet.bin.mix --clips "${clips}/$4" "${clips}/$5" \
        --out "${mixtures}/$1" --config "${mix_config}" --num_mixtures "$2" --seed "$3" \
        --classes "${clips}/${train_set}/classes.txt" --new_classes "${clips}/$5/classes.txt" \
        --target "$6" "${@:7}"
}

if stage_on 11 "mix the new classes: ${mixtures}"; then
    for set in "${new_test_set}" "${shots[@]/#/new_enroll_}"; do
        require_file "${datadir}/${set}/wav.scp" \
            --stage "1 with --new_classes (and --examples, --num_draws as here)"
        format "${set}"
    done
    require_file "${clips}/${train_set}/.done" "${clips}/${test_set}/.done" --stage 2
    mix_new "new_seen${kind}" "${num_new}" "${seed}" "${test_set}" "${new_test_set}" seen
    for draw in "${draws[@]}"; do # the same mixtures, asked for by other recordings
        mix_new "new${kind}${draw}" "${num_new}" "${seed}" "${test_set}" "${new_test_set}" new \
            --examples "${clips}/new_enroll_${most}${draw}"
    done
    for shot in "${shots[@]}"; do
        mix_new "adapt${kind}_K${shot}" "${num_adapt}" $((seed + 2)) "${train_set}" \
            "new_enroll_${shot}" new --examples "${clips}/new_enroll_${shot}"
    done
fi

if stage_on 12 "extract new classes by their recordings: ${exp}/infer"; then
    require_file "${exp}/config.yaml" "${exp}/${inference_model}" --stage 5
    require_file "${mixtures}/new${kind}/.done" "${mixtures}/new_seen${kind}/.done" --stage 11
    extract "${exp}" "new_seen${kind}" "${exp}/infer/new_seen${kind}"
    if asked_by enrollment; then
        for shot in "${shots[@]}"; do
            K=${shot%%_*} set=new${kind}${shot#"${shot%%_*}"}
            require_file "${mixtures}/${set}/.done" --stage 11
            extract "${exp}" "${set}" "${exp}/infer/new${kind}_K${shot}" \
                --conditions enrollment --num_enrollments "${K}"
        done
    else
        log "${tag} takes no recordings"
    fi
fi

for_each_adaptation() { # COMMAND: with shot, init and out, the experiment, set for it
    if ! asked_by class || ! asked_by enrollment; then
        log "${tag} takes no recordings, or no classes: none are added" && return
    fi
    for shot in "${shots[@]}"; do
        for init in ${inits}; do
            out=${exp}/new_classes/${init}_K${shot}
            "$1"
        done
    done
}

add_new() {
    require_file "${mixtures}/adapt${kind}_K${shot}/.done" --stage 11
    local cmd=${train_cmd} gpus=$((ngpu > 0))
    if [ "${gpus}" -eq 1 ]; then cmd="${cuda_cmd} --gpu 1"; fi
    follow "${out}.log" -- ${cmd} --name adapt "${out}.log" \
        ${python} -m tsx_espnet.bin.add_classes --exp "${exp}" --out "${out}" \
        --model_file "${inference_model}" --clips "${clips}/new_enroll_${shot}" \
        --init "${init}" --adapt_mixtures "${mixtures}/adapt${kind}_K${shot}" \
        --num_epochs "${adapt_epochs}" --lr "${adapt_lr}" --ngpu "${gpus}"
}

if stage_on 13 "add new classes: ${exp}/new_classes"; then
    require_file "${exp}/config.yaml" "${exp}/${inference_model}" --stage 5
    for_each_adaptation add_new
fi

extract_new() {
    require_file "${out}/config.yaml" --stage 13
    extract "${out}" "new${kind}" "${out}/infer/new${kind}" --conditions class
}

if stage_on 14 "extract new classes by name: ${exp}/new_classes"; then
    require_file "${exp}/config.yaml" --stage 5
    for_each_adaptation extract_new
fi

if stage_on 15 "tables: ${expdir}/TABLES.md"; then
    ${python} -m tsx_espnet.bin.soundbeam_tables --exp "${expdir}" \
        --size "$(config_size "${train_config}")" --kind "${kind#_}" --data_kind "${data_kind}" \
        --out "${expdir}/TABLES.md" --figure "${expdir}/figure2.png"
fi
log "done, in ${SECONDS} s"
