# shellcheck shell=bash disable=SC2154
# Stages 11 to 14 of tsx.sh, sourced by it: add new classes to the trained model, from K recordings of
# each. If stage 1 held classes out (--new_classes of local/data.sh), data/new_test has their test
# clips, and data/new_enroll_<K>[_draw<n>] the K recordings.

if [ "${stage}" -lt 11 ] && [ ! -e "${datadir}/new_test/wav.scp" ]; then
    return 0 # no new classes, and stages 11 to 14 were not requested
fi
if [ -z "${shots}" ]; then
    require_file "${datadir}/new_test/wav.scp" --stage "1 with --new_classes"
    shots=$(cd "${datadir}" && compgen -G "new_enroll_*/wav.scp" | cut -d_ -f3- | cut -d/ -f1 |
        sort -t_ -k2,2V -k1,1n) || die "missing ${datadir}/new_enroll_<K>: run stage 1 with --examples"
fi
most=$(printf '%s\n' ${shots} | sort -n | tail -n 1) && most=${most%%_*}

# draw_of SHOT: the suffix of a draw: _draw1 for 5_draw1; nothing for 5.
draw_of() { echo "${1#"${1%%_*}"}"; }

# adapted_models: <init>_K<shot> of each; none if the model is not queried both ways.
adapted_models() {
    local init
    if model_has conditions class --config "${exp}/config.yaml" &&
        model_has conditions enrollment --config "${exp}/config.yaml"; then
        for init in ${inits}; do printf "${init}_K%s\n" ${shots}; done
    else
        log "${tag} is not queried by both classes and recordings: no class is added" >&2
    fi
}

if stage_on 11 "mix new classes: ${mixtures}"; then
    for set in new_test $(printf 'new_enroll_%s ' ${shots}); do format "${set}"; done
    mix_new() { # NAME TARGET OPTIONS...: test mixtures of seen classes and a new one
        mix "$1" "${num_new}" "${seed}" "${test_sets%% *}" "${clips}/new_test" \
            --new_classes "${clips}/new_test/classes.txt" --target "$2" "${@:3}"
    }
    mix_new "new_seen${kind}" seen
    for shot in ${shots}; do
        enroll=${clips}/new_enroll_${shot}
        if [ "${shot%%_*}" -eq "${most}" ]; then # once per draw; smaller K are its first recordings
            mix_new "new${kind}$(draw_of "${shot}")" new --examples "${enroll}"
        fi
        mix "adapt${kind}_K${shot}" "${num_adapt}" $((seed + 2)) "${train_set}" "${enroll}" \
            --new_classes "${enroll}/classes.txt" --target new --examples "${enroll}"
    done
fi

extract() { # EXP MIXTURES OUT OPTIONS...: estimates and their scores
    require_file "$1/config.yaml" --stage 13
    require_file "${mixtures}/$2/.done" --stage 11
    infer "$@"
    score "$1" "$2" "$3"
}

[ "${stop_stage}" -eq 11 ] || require_file "${exp}/config.yaml" "${exp}/${inference_model}" --stage 5

if stage_on 12 "extract new classes by recordings: ${exp}/infer"; then
    extract "${exp}" "new_seen${kind}" "${exp}/infer/new_seen${kind}"
    if model_has conditions enrollment --config "${exp}/config.yaml"; then
        for shot in ${shots}; do
            extract "${exp}" "new${kind}$(draw_of "${shot}")" "${exp}/infer/new${kind}_K${shot}" \
                --conditions enrollment --num_enrollments "${shot%%_*}"
        done
    else
        log "${tag} is not queried by recordings"
    fi
fi

if stage_on 13 "add new classes: ${exp}/new_classes"; then
    cmd=${train_cmd} gpus=$((ngpu > 0)) jobs=0 log=${exp}/log/add_classes
    if [ "${gpus}" -eq 1 ]; then cmd="${cuda_cmd} --gpu 1"; fi
    mkdir -p "${exp}/log"
    models=$(adapted_models)
    for model in ${models}; do
        shot=${model#*_K}
        draw=$(draw_of "${shot}") && draw=${draw#_draw}
        jobs=$((jobs + 1))
        require_file "${mixtures}/adapt${kind}_K${shot}/.done" --stage 11
        printf '%q ' exec ${python} -m tsx_espnet.bin.add_classes --exp "${exp}" \
            --out "${exp}/new_classes/${model}" --model_file "${inference_model}" \
            --clips "${clips}/new_enroll_${shot}" --init "${model%%_K*}" \
            --adapt_mixtures "${mixtures}/adapt${kind}_K${shot}" --num_epochs "${adapt_epochs}" \
            --lr "${adapt_lr}" --ngpu "${gpus}" \
            --seed $(((train_seed * 100 + ${draw:-0}) * 100 + ${shot%%_*})) >"${log}.${jobs}.sh"
    done
    [ "${jobs}" -eq 0 ] || follow "${log}.*.log" -- ${cmd} --name add_classes JOB=1:"${jobs}" \
        "${log}.JOB.log" bash "${log}.JOB.sh"
fi

if stage_on 14 "extract new classes by name: ${exp}/new_classes"; then
    models=$(adapted_models)
    for model in ${models}; do
        extract "${exp}/new_classes/${model}" "new${kind}" \
            "${exp}/new_classes/${model}/infer/new${kind}" --conditions class
    done
fi
