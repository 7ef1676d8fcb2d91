# shellcheck shell=bash disable=SC2154
# Methods that hear by a sound classifier, and what shows how they use it: functions for stages 4 to 7 of
# tsx.sh; the variables are its options and paths.

# make_classifier: train one on clips with labels, and print how well it knows others.
make_classifier() {
    [ -z "${classifier_share}" ] || ${python} -m tsx_espnet.bin.divide --share "${classifier_share}" \
        --clips "${clips}/${train_set}" --out "${heard_clips}" --rest "${mixed_clips}"
    if [ -n "${classifier}" ] || ! model_has pretrained classifier "${training[@]}"; then return; fi
    [ "$(wc -l 2>/dev/null <"${clips}/${train_set}/classes.txt" || echo 0)" -gt 1 ] || # FUSS has "sound"
        die "${clips}/${train_set} has no labels to train a classifier on: --classifier DIR"
    require_config "${classifier_config}"
    require_config "${classifier_mix_config}"
    [ -e "${own_classifier}/pretrained.json" ] ||
        launch train_classifier "${own_classifier}" --config "${classifier_config}" \
            --mixing_config "${classifier_mix_config}" \
            --train_clips "${heard_clips}" --valid_clips "${clips}/${valid_set}"
    [ -e "${own_classifier}/RESULTS.md" ] ||
        ${python} -m tsx_espnet.bin.score_classifier --classifier "${own_classifier}" \
            --clips "${heard_clips}" "${clips}/${valid_set}" "${clips}/${test_sets%% *}" \
            --mixing_config "${classifier_mix_config}" --out "${own_classifier}/RESULTS.md"
}

# run_controls MIXTURES: extract and score as if the model heard other mixtures (<set>_shuffled), and after
# its first pass (<set>_first).
run_controls() {
    local model=(--config "${exp}/config.yaml") control
    for control in _shuffled _first; do
        case ${control} in
        _shuffled) model_has pretrained classifier "${model[@]}" && set -- "$1" --shuffle_heard ;;
        _first) model_has passes 2 "${model[@]}" && set -- "$1" --num_passes 1 ;;
        esac || continue
        infer "${exp}" "$1" "${exp}/infer/$1${control}" "${@:2}"
        score "${exp}" "$1" "${exp}/infer/$1${control}"
    done
}
