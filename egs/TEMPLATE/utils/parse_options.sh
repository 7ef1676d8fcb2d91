# shellcheck shell=bash
# Options of a script, as in Kaldi: a script sets its defaults, then sources this file.
#
#     nj=4          # number of jobs
#     some_name=    # its help
#     . utils/parse_options.sh
#
# Then `--nj 8`, `--some-name x` and `--some_name=x` set these variables, and --help prints those
# lines: one declaration serves as default, option and help.  Options are lines that start with
# `name=value`, above the one that sources this file.  A default that is true or false, or a whole
# number, only accepts values of that kind.  Parsing stops at the first word that is not an option.
# The option `config`, if set, names a file to source; an empty option `cmd` is an error.
#
# A script may set `options_elsewhere` to other scripts of this kind: their options are accepted too
# and collected, unchecked, in the array `options_forwarded`.  --help leaves out those named in
# `options_hidden`, and shows the values set by the script `options_through` (run.sh).

# shellcheck disable=SC2034  # read by the script that sources this file
options_forwarded=()

_option_lines() { sed -n -e '/parse_options\.sh/q' -e '/^[a-z][a-z0-9_]*=/p' -- "$@"; }

_option_names() { _option_lines "$1" | sed -e 's/=.*//'; }

_option_given() { # NAME: "=" and the value that an option of another script gets on the way
    {
        [ -z "${options_through:-}" ] || sed '/^exec/,$!d' "${options_through}" | tr -s ' \134' '\n'
        printf '%s\n' "${options_forwarded[@]}"
    } | awk -v name="--$1" 'before == name { value = "=" $0 } { before = $0 } END { print value }'
}

_option_help() { # SCRIPT EARLIER...: help and values of its options that no earlier script has
    local line name value earlier given
    earlier=$(for script in "${@:2}"; do _option_names "${script}"; done)
    _option_lines "$1" | while IFS= read -r line; do
        name=${line%%=*} value=${line#*=}
        case $'\n'${earlier}$'\n' in *$'\n'"${name}"$'\n'*) continue ;; esac
        case " ${options_hidden:-} " in *" ${name} "*) continue ;; esac
        value=${value%% #*} && value=${value%"${value##*[! ]}"}
        value=${value#\"} && value=${value%\"}
        given=$(_option_given "${name}")
        if [ "$1" = "$0" ]; then value=${!name}; elif [ -n "${given}" ]; then value=${given#=}; fi
        case ${line} in *' # '*) line=${line#*' # '} ;; *) line= ;; esac
        printf '  --%-18s %s\n' "${name}" "${line}${value:+ [${value}]}"
    done
}

_option_error() { echo "${0##*/}: $*" >&2; exit 2; }

_nearest() { # WORD NAMES...: the name with the smallest edit distance, if small
    printf '%s\n' "$@" | awk '
        function min(x, y) { return x < y ? x : y }
        NR == 1 { word = $0; n = length(word); best = 1 + n / 2.5; next }
        {
            m = length($0)
            for (j = 0; j <= m; j++) row[j] = j
            for (i = 1; i <= n; i++) {
                corner = row[0]; row[0] = i
                for (j = 1; j <= m; j++) {
                    above = row[j]
                    same = substr(word, i, 1) == substr($0, j, 1)
                    row[j] = min(min(above, row[j - 1]) + 1, corner + !same)
                    corner = above
                }
            }
            if (row[m] < best) { best = row[m]; name = $0 }
        }
        END { if (name) print " (did you mean --" name "?)" }'
}

_parse_options() {
    local names others="" script word name value old
    names=$(_option_names "$0")
    for script in ${options_elsewhere:-}; do others+=$(_option_names "${script}")$'\n'; done
    _option_count=0
    while [ -n "${1:-}" ]; do
        word=$1
        case ${word} in
        --help | -h)
            echo "Usage: ${0##*/} [--option value]...    Current values are in brackets."
            shown=()
            for script in "$0" ${options_elsewhere:-}; do
                _option_help "${script}" "${shown[@]}" && shown+=("${script}")
            done
            exit 0
            ;;
        --?*) ;;
        *) break ;;
        esac
        name=${word#--} && name=${name%%=*} && name=${name//-/_}
        case $'\n'${names}$'\n'${others} in
        *$'\n'"${name}"$'\n'*) ;;
        *)
            # shellcheck disable=SC2086
            _option_error "no option ${word%%=*}$(_nearest "${name}" ${names} ${others})"
            ;;
        esac
        if [ "${word}" != "${word#*=}" ]; then
            value=${word#*=}
        elif [ $# -ge 2 ]; then
            value=$2 && shift && _option_count=$((_option_count + 1))
        else
            _option_error "option --${name} needs a value"
        fi
        shift && _option_count=$((_option_count + 1))
        case $'\n'${names}$'\n' in
        *$'\n'"${name}"$'\n'*) ;;
        *) options_forwarded+=("--${name}" "${value}") && continue ;;
        esac
        old=${!name}
        case ${old} in
        true | false)
            [[ ${value} =~ ^(true|false)$ ]] ||
                _option_error "option --${name}: expected true or false, found '${value}'"
            ;;
        *[!0-9]* | '') ;;
        *)
            [[ ${value} =~ ^[0-9]+$ ]] ||
                _option_error "option --${name}: expected a whole number, found '${value}'"
            ;;
        esac
        printf -v "${name}" '%s' "${value}"
    done
    case $'\n'${names}$'\n' in
    *$'\n'cmd$'\n'*) [ -n "${cmd}" ] || _option_error "option --cmd is empty" ;;
    esac
}

_parse_options "$@"
shift "${_option_count}"
if [ -n "${config:-}" ] && _option_names "$0" | grep -qx config; then
    # shellcheck disable=SC1090
    . "${config}"
fi
