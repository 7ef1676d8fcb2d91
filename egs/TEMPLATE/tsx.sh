#!/usr/bin/env bash
# From a corpus to a table of SI-SDR, in stages; then new classes, from a few recordings each. Called by
# egs/<dataset>/run.sh in its directory; only local/data.sh differs between data sets.
set -euo pipefail
. ./lib.sh

# Each line is an option with its default and help.
stage=1                 # first stage: 1 data, 2 format, 3 mix, 4 frozen parts, 5 train, 6 infer,
stop_stage=14           # last stage:  7 score, 8 report, 9 pack, 11 to 14 new classes, if any
nj=4                    # jobs per array (stages 2 to 4, 6, 7, ...); results do not depend on it
ngpu=0                  # GPUs per node for training; adaptation uses one (0: CPU)
num_nodes=1             # nodes for training
num_threads=0           # threads of a training process (0: idle CPU cores here, 1 with a GPU)
share=1                 # runs that share the CPU cores here
gpu_inference=false     # extract on GPUs, one per job
python=python3          # Python interpreter

datadir=data            # output of stage 1
dumpdir=dump            # output of stages 2 to 4, and 11
expdir=exp              # experiments
train_set=train         # set of clips (under datadir) to train on
valid_set=valid         # set of clips for validation mixtures
test_sets="test"        # one or more sets of clips for test mixtures

fs=8000                 # sampling rate of models and mixtures in Hz
mixing=random           # how classes are drawn: random, different, same; shipped: as the corpus mixes
difficulty=hard         # levels and overlap: hard, easy
mix_config=             # a file that replaces both (default: conf/mix_<mixing>_<difficulty>.yaml)
noise=                  # directory of noise recordings for mixtures with a background
num_valid=3000          # number of validation mixtures
num_test=5000           # number of test mixtures per test set
seed=1                  # random seed of the test mixtures; validation mixtures use the next one

method=oct              # what is trained: conf/method_<method>.yaml
method_config=          # a file that replaces --method
train_config=conf/train.yaml # model sizes and training
train_seed=0            # random seed of training
train_args=             # further options of the training command, e.g. "--max_epoch 3"
tag=                    # name under expdir (default: size, method, mixing, difficulty and seed)
language_model=all-MiniLM-L6-v2 # for texts: a known name, a hub name or a directory
text_pooling=mean       # from word vectors to a phrase vector: mean, first
classifier=             # directory of the sound classifier of methods that hear (default: trained here)
classifier_config=conf/train_classifier.yaml # its training
classifier_mix_config=conf/mix_random_classifier.yaml # its training mixtures
classifier_share=       # of the training clips, those for it alone, e.g. 0.5 (default: all are for both)
controls=false          # also score as if the model heard other mixtures, and after its first pass
bert="bert-base-uncased" # language model of --method text_bert, with pooling first
inference_model=valid.loss.ave.pth # checkpoint used from stage 6 on
data_kind=recordings    # what the report calls the sounds: recordings, synthetic
bss_eval=true           # also compute BSS-eval SDR, SIR and SAR: most of the time of stage 7
audio_format=wav        # format of the extracted sounds: wav (float32), flac

shots=                  # new classes: K[_draw<n>] recordings of each, e.g. "1 5" (default: all)
num_new=3000            # test mixtures with a new class as target, and as many with a seen one
num_adapt=1000          # adaptation mixtures for each K
inits="random average"  # initialization of new classes: random, average (of K embeddings)
adapt_epochs=10         # epochs of adaptation
adapt_lr=1e-3           # learning rate of adaptation

readonly options_elsewhere=local/data.sh # its options are accepted too, and passed on to it
. utils/parse_options.sh
[ $# -eq 0 ] || die --status 2 "unexpected argument '$1': options are --name value"
[ "${stage}" -le "${stop_stage}" ] ||
    die --status 2 "--stage ${stage} lies after --stop_stage ${stop_stage}"
[ "${nj}" -ge 1 ] || die --status 2 "--nj must be at least 1"
[ "${share}" -ge 1 ] || die --status 2 "--share must be at least 1"
. ./path.sh
. ./cmd.sh
. utils/hearing.sh
require_package

[ "${mixing}" = shipped ] || mix_config=${mix_config:-conf/mix_${mixing}_${difficulty}.yaml}
if [ -n "${mix_config}" ]; then require_config "${mix_config}"; fi
[ -n "${mix_config}" ] || [ -z "${noise}" ] || die --status 2 "--mixing shipped takes no --noise"
require_config "${train_config}"
if [ -n "${method_config}" ]; then method=$(config_name "${method_config}"); fi
method_config=${method_config:-conf/method_${method}.yaml}
require_config "${method_config}"
training=(--config "${train_config}" --method_config "${method_config}")
if [ "${method}" = text_bert ]; then language_model=${bert} text_pooling=first; fi
trained=true
if [ "${method}" = ideal_mask ]; then trained=false; fi # an oracle: what masks of the STFT can do
kind=_$(config_name "${mix_config:-mix_shipped}")
size=$(config_size "${train_config}")
clips=${dumpdir}/$(awk "BEGIN { print ${fs} / 1000 \"k\" }") # clips of a set: ${clips}/<set>
mixtures=${clips}/mix                                        # ${mixtures}/<set>${kind}
plans=(--train_mixtures "${clips}/${train_set}") # of training
[ -z "${mix_config}" ] || plans=(--mixing_config "${mix_config}")
language_model=${language_model%/}
text=${dumpdir}/text/${language_model##*/}
[ "${text_pooling}" = mean ] || text+=_${text_pooling}
text+=.safetensors
[ "${train_seed}" -eq 0 ] || seeded=_seed${train_seed}
tag=${tag:-${size:+${size}_}${method}${kind}${seeded:-}}
own_classifier=${expdir}/classifier_${clips##*/}
heard_clips=${clips}/${train_set} mixed_clips=${clips}/${train_set}
[ -z "${classifier_share}" ] || heard_clips+=_${classifier_share} mixed_clips+=_without_${classifier_share}
exp=${expdir}/${tag}

if stage_on 1 "data: ${datadir}"; then
    [ -z "${noise}" ] || ${python} -m tsx_espnet.bin.prepare noise --noise "${noise}" \
        --data "${datadir}/noise" --mixing_config "${mix_config}"
    follow -- local/data.sh --datadir "${datadir}" --nj "${nj}" --python "${python}" \
        "${options_forwarded[@]}"
fi

if stage_on 2 "format: ${clips}"; then
    for set in ${train_set} ${valid_set} ${test_sets} ${noise:+noise}; do format "${set}"; done
fi

if stage_on 3 "mix: ${mixtures}"; then
    for set in ${valid_set} ${test_sets}; do
        # with the seed of the test set, mixtures would have the same classes and levels, one by one
        case ${set} in
        "${valid_set}") mix "${set}${kind}" "${num_valid}" $((seed + 1)) "${set}" ;;
        *) mix "${set}${kind}" "${num_test}" "${seed}" "${set}" ;;
        esac
    done
fi

if stage_on 4 "frozen parts: text vectors, a sound classifier"; then
    sets=()
    for set in ${train_set} ${valid_set} ${test_sets}; do
        require_file "${clips}/${set}/.done" --stage 2
        sets+=("${clips}/${set}")
    done
    if model_has takes vector "${training[@]}"; then
        array embed_text "${train_cmd}" "${text%.safetensors}" --data "${sets[@]}" \
            --pooling "${text_pooling}" --language_model "${language_model}" --out "${text}" \
            ${mix_config:+--mixing_config "${mix_config}"}
    else
        log "${method} takes no vectors of texts"
    fi
    make_classifier
fi

if stage_on 5 "train: ${exp}, log in ${exp}/train.log" && ${trained}; then
    require_file "${clips}/${train_set}/.done" --stage 2
    [ -z "${classifier_share}" ] || require_file "${mixed_clips}/.done" --stage 4
    require_file "${mixtures}/${valid_set}${kind}/.done" --stage 3
    if model_has takes vector "${training[@]}"; then
        require_file "${text}" --stage 4
        training+=(--text_embeddings "${text}")
    fi
    if model_has pretrained classifier "${training[@]}"; then
        [ -n "${classifier}" ] || require_file "${own_classifier}/pretrained.json" --stage 4
        training+=(--pretrained "classifier=${classifier:-${own_classifier}}")
    fi
    launch train "${exp}" "${training[@]}" "${plans[@]}" ${noise:+--background_noise "${clips}/noise"} \
        --train_clips "${mixed_clips}" --valid_mixtures "${mixtures}/${valid_set}${kind}" \
        --seed "${train_seed}" ${train_args}
fi

if stage_on 6 "infer: ${exp}/infer"; then
    ! ${trained} || require_file "${exp}/config.yaml" "${exp}/${inference_model}" --stage 5
    for set in ${test_sets}; do
        require_file "${mixtures}/${set}${kind}/.done" --stage 3
        if ${trained}; then
            infer "${exp}" "${set}${kind}" "${exp}/infer/${set}${kind}"
        else
            array "${method}" "${decode_cmd}" "${exp}/log/infer_${set}${kind}" "${training[@]}" \
                --exp "${exp}" --mixtures "${mixtures}/${set}${kind}" --audio_format "${audio_format}"
        fi
    done
fi

if stage_on 7 "score: ${exp}/infer"; then
    for set in ${test_sets}; do
        require_file "${exp}/infer/${set}${kind}/.done" --stage 6
        score "${exp}" "${set}${kind}" "${exp}/infer/${set}${kind}"
        ! ${controls} || ! ${trained} || run_controls "${set}${kind}"
    done
fi

if stage_on 8 "report: ${exp}/RESULTS.md"; then
    for set in ${test_sets}; do
        require_file "${exp}/infer/${set}${kind}/scores.csv" --stage 7
        out=${exp} # for the first test set; reports of others go beside their scores
        [ "${set}" = "${test_sets%% *}" ] || out=${exp}/infer/${set}${kind}
        ${python} -m tsx_espnet.bin.report --exp "${exp}" --out "${out}" \
            --mixtures "${mixtures}/${set}${kind}" --data_kind "${data_kind}" \
            >"${exp}/infer/${set}${kind}/report.txt"
    done
fi

if stage_on 9 "pack: ${exp}/${tag}.zip" && ${trained}; then
    require_file "${exp}/config.yaml" "${exp}/${inference_model}" --stage 5
    ${python} -m tsx_espnet.bin.pack --exp "${exp}" --model_file "${inference_model}" \
        --out "${exp}/${tag}.zip"
fi

if [ "${stage}" -le 8 ] && [ "${stop_stage}" -ge 8 ]; then
    for set in ${test_sets}; do cat "${exp}/infer/${set}${kind}/report.txt"; done
fi
[ "${stop_stage}" -lt 11 ] || ! ${trained} || . ./new_classes.sh
log "done, in ${SECONDS} s"
