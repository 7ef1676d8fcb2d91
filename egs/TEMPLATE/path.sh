# shellcheck shell=bash
# Environment of a recipe; sourced in its directory, any number of times.
TSX_ROOT=$(cd ../.. && pwd)

# The environment made by tools/install.sh, unless another one is active.
if [ -z "${VIRTUAL_ENV:-}${CONDA_PREFIX:-}" ] && [ -x "${TSX_ROOT}/.venv/bin/python3" ]; then
    PATH="${TSX_ROOT}/.venv/bin:${PATH}"
fi

# With ESPNET_ROOT, use run.pl, slurm.pl, ... of that checkout instead of ours.
PATH="${PWD}/utils:${PATH}"
if [ -n "${ESPNET_ROOT:-}" ]; then
    PATH="${ESPNET_ROOT}/egs2/TEMPLATE/asr1/utils:${PATH}"
fi
export PATH

export LC_ALL=C PYTHONIOENCODING=UTF-8
export OMP_NUM_THREADS=${OMP_NUM_THREADS:-1} # the jobs of an array share the CPU cores
# Let glibc keep the memory of freed tensors: otherwise training on a CPU spends a sixth of its time on
# page faults (tools/bench/training.py).
export MALLOC_TRIM_THRESHOLD_=${MALLOC_TRIM_THRESHOLD_:-4294967296}
export MALLOC_MMAP_THRESHOLD_=${MALLOC_MMAP_THRESHOLD_:-4294967296}
export NCCL_SOCKET_IFNAME=${NCCL_SOCKET_IFNAME:-"^lo,docker,virbr,vmnet,vboxnet"}
