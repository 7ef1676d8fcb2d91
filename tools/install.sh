#!/usr/bin/env bash
# Make a virtual environment with the package (editable) and its recipe and test dependencies. A
# finished installation is left alone; an interrupted one is resumed.
#   PYTHON=python3.11 VENV=.venv tools/install.sh
set -euo pipefail
cd "$(dirname "$0")/.."

venv=${VENV:-.venv}
oldest=3.10 newest=3.13 # of Python
needed=8               # GB of disk, most of it torch with CUDA

die() {
    echo "install.sh: $*" >&2
    exit 1
}

supported() { # PROGRAM: whether it is a supported Python
    "$1" - "${oldest}" "${newest}" 2>/dev/null <<'END'
import sys
low, high = (tuple(map(int, text.split("."))) for text in sys.argv[1:])
sys.exit(not low <= sys.version_info[:2] <= high)
END
}

find_python() {
    local name
    if [ -n "${PYTHON:-}" ] && [ "${PYTHON}" != python3 ]; then
        command -v "${PYTHON}" >/dev/null || die "no program '${PYTHON}' (PYTHON)"
        supported "${PYTHON}" || die "PYTHON=${PYTHON} is $("${PYTHON}" --version 2>&1):" \
            "expected Python ${oldest} to ${newest}"
        echo "${PYTHON}" && return
    fi
    for name in python3 python3.13 python3.12 python3.11 python3.10; do
        if supported "${name}"; then echo "${name}" && return; fi
    done
    die "found no Python ${oldest} to ${newest} (python3 is $(python3 --version 2>&1 || true));" \
        "install one and set PYTHON=/path/to/python3.11"
}

# What the installation depends on; stored in the stamp.
facts() {
    echo "source ${PWD}"
    "${venv}/bin/python" --version
    cat setup.py tools/constraints.txt
}

# Show the progress of pip.
watch_pip() { # PID LOG
    local shown="" line
    while kill -0 "$1" 2>/dev/null; do
        sleep 1
        line=$(grep -E '^ *(Collecting|Downloading|Building|Installing collected|Using cached)' "$2" |
            tail -n 1 | cut -c -90) || true
        case ${line} in
        "${shown}") ;;
        *Installing*) echo "  Installing collected packages (some minutes)" ;;
        *) echo "  $(grep -c '^ *Collecting' "$2") packages found; ${line#"${line%%[! ]*}"}" ;;
        esac
        shown=${line}
    done
}

python=$(find_python)
stamp=${venv}/.tsx_espnet
if [ -f "${stamp}" ] && [ "$(facts 2>&1)" = "$(cat "${stamp}")" ]; then
    echo "install.sh: ${venv} is up to date"
    exit 0
fi

if [ -x "${venv}/bin/python" ] && ! supported "${venv}/bin/python"; then
    die "${venv} has $("${venv}/bin/python" --version 2>&1): remove it, or choose another VENV"
fi
if [ ! -x "${venv}/bin/pip" ]; then
    echo "install.sh: making ${venv} with $("${python}" --version)"
    "${python}" -m venv "${venv}" ||
        die "${python} -m venv failed (on Debian: apt-get install python3-venv)"
fi
free=$(df -Pk "${venv}" | awk 'NR == 2 { print int($4 / 1e6) }')
if [ ! -d "$(echo "${venv}"/lib/python3*/site-packages/torch)" ] && [ "${free}" -lt "${needed}" ]; then
    die "${free} GB free for ${venv}, expected ${needed} GB: choose another location with VENV=..."
fi

rm -f "${stamp}"
log=${venv}/install.log
echo "install.sh: installing into ${venv}; pip's output is in ${log}"
"${venv}/bin/python" -m pip install --disable-pip-version-check --progress-bar off \
    -c tools/constraints.txt -e '.[recipe,test]' >"${log}" 2>&1 &
pip=$!
trap 'kill "${pip}" 2>/dev/null' EXIT
watch_pip "${pip}" "${log}"
wait "${pip}" || {
    grep -v '^WARNING' "${log}" | tail -n 15 >&2
    die "pip failed, see ${log}; run this again to continue"
}
trap - EXIT
"${venv}/bin/python" -m pip check >>"${log}" || die "packages conflict: $(tail -n 5 "${log}")"
if [ -f tools/check_install.py ]; then
    "${venv}/bin/python" tools/check_install.py || die "the installation does not work, see above"
fi
facts >"${stamp}"
echo "install.sh: done in ${SECONDS} s"
