#!/usr/bin/env bash
# A real single-node Slurm on this machine, for trying recipes with cmd_backend=slurm and for tests.
#
#   tools/slurm_node.sh start  [--dir DIR] [--cpus N] [--gpus N]
#   tools/slurm_node.sh stop   [--dir DIR]
#   tools/slurm_node.sh status [--dir DIR]
#   tools/slurm_node.sh install     install Debian's packages slurm-wlm and munge, if permitted
#
#   --dir DIR   for key, sockets, state and logs; no spaces (default: /tmp/tsx-slurm-<user id>)
#   --cpus N    number of CPU cores the node reports (default: those of this machine)
#   --gpus N    fake GPUs, only numbers in CUDA_VISIBLE_DEVICES (default: 0)
#
# start prints what to evaluate in your shell:  eval "$(tools/slurm_node.sh start)"
# status exits with 0 if the node is up, else 1. stop cancels the node's jobs, then stops the daemons
# started by start, and no others. Partitions: cpu (default), gpu, and preempt, whose jobs are requeued
# when the other two need the node. Needs no systemd and, once the packages are installed, no root.
set -euo pipefail
PATH=${PATH}:/usr/sbin:/sbin

die() {
    echo "slurm_node.sh: $*" >&2
    exit 1
}

# running NAME: the process id of the daemon that start started here, if it still runs.
running() {
    local pid
    pid=$(cat "${dir}/$1.pid" 2>/dev/null) && [ -n "${pid}" ] || return 1
    tr '\0' ' ' 2>/dev/null <"/proc/${pid}/cmdline" | grep -qF "$1 ${mark[$1]} " || return 1
    echo "${pid}"
}

# wait_until SECONDS COMMAND...: whether it came true
wait_until() {
    local limit=$((SECONDS + $1))
    shift
    until "$@" >/dev/null 2>&1; do
        [ "${SECONDS}" -lt "${limit}" ] || return 1
        sleep 0.2
    done
}

start_daemon() { # NAME COMMAND...: says why if it does not start
    local name=$1
    shift
    if running "${name}" >/dev/null; then return; fi
    rm -f "${dir}/${name}.pid"
    if "$@" >"${dir}/${name}.out" 2>&1 </dev/null && wait_until 20 running "${name}"; then return; fi
    tail -qn 5 "${dir}/${name}.out" "${dir}/${name}.log" >&2 || true
    die "${name} did not start, see ${dir}/${name}.log"
}

stop_daemon() { # NAME
    local pid
    pid=$(running "$1") || return 0
    kill "${pid}"
    wait_until 20 gone "${pid}" || kill -KILL "${pid}"
    rm -f "${dir}/$1.pid"
}

gone() { ! grep -q . "/proc/$1/cmdline"; } # a zombie has none
ready() { sinfo -h -p cpu -t idle,alloc,mix,comp -o %n | grep -q .; }
no_jobs() { [ -z "$(squeue -h -o %A)" ]; }
up() { running munged && running slurmctld && running slurmd && ready; } >/dev/null 2>&1

free_ports() {
    perl -MIO::Socket::INET -e '
        my @sockets = map { IO::Socket::INET->new(Listen => 1, LocalAddr => "127.0.0.1") } 1 .. 2;
        print join " ", map { $_->sockport } @sockets;'
}

write_config() {
    local ports host memory gres="" index
    read -r -a ports <<<"$(free_ports)"
    host=$(uname -n) && host=${host%%.*}
    memory=$(awk '/^MemTotal/ { print int($2 / 1024) }' /proc/meminfo)
    : >"${dir}/gres.conf"
    for ((index = 0; index < gpus; index++)); do
        ln -sfn /dev/null "${dir}/gpu${index}" # Slurm wants a device
        echo "Name=gpu File=${dir}/gpu${index}" >>"${dir}/gres.conf"
        gres="Gres=gpu:${gpus}"
    done
    # nothing here uses control groups, which may be read-only in a container; 22.05, however, wants
    # the name of a plugin, and its autodetection may fail
    case $(slurmd -V) in
    "slurm"*" 2"[12].*) echo "CgroupPlugin=cgroup/v1" ;;
    *) echo "CgroupPlugin=disabled" ;;
    esac >"${dir}/cgroup.conf"
    cat >"${dir}/slurm.conf" <<END_OF_CONFIG
ClusterName=tsx
SlurmctldHost=${host}(127.0.0.1)
SlurmctldPort=${ports[0]}
SlurmdPort=${ports[1]}
SlurmUser=$(id -un)
SlurmdUser=$(id -un)
AuthType=auth/munge
CredType=cred/munge
AuthInfo=socket=${dir}/munge.socket,cred_expire=10
StateSaveLocation=${dir}/state
SlurmdSpoolDir=${dir}/spool
SlurmctldPidFile=${dir}/slurmctld.pid
SlurmdPidFile=${dir}/slurmd.pid
SlurmctldLogFile=${dir}/slurmctld.log
SlurmdLogFile=${dir}/slurmd.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SwitchType=switch/none
MpiDefault=none
MailProg=/bin/true
AccountingStorageType=accounting_storage/none
JobAcctGatherType=jobacct_gather/none
JobCompType=jobcomp/filetxt
JobCompLoc=${dir}/jobs.log
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU
SlurmdParameters=config_overrides
SchedulerParameters=batch_sched_delay=0,sched_interval=2
PreemptType=preempt/partition_prio
PreemptMode=REQUEUE
ReturnToService=2
GresTypes=gpu
NodeName=${host} NodeAddr=127.0.0.1 CPUs=${cpus} RealMemory=${memory} State=UNKNOWN ${gres}
PartitionName=cpu Nodes=${host} Default=YES PriorityTier=10 PreemptMode=OFF
PartitionName=gpu Nodes=${host} PriorityTier=10 PreemptMode=OFF
PartitionName=preempt Nodes=${host} PriorityTier=1
END_OF_CONFIG
}

start() {
    local name
    if up; then
        echo "slurm_node.sh: is up in ${dir}" >&2
        return
    fi
    for name in munged slurmctld slurmd sbatch; do
        command -v "${name}" >/dev/null || die "no program ${name}: ${how}"
    done
    mkdir -p "${dir}"
    [ -O "${dir}" ] || die "${dir} is another user's: choose another --dir"
    chmod 755 "${dir}"
    mkdir -p "${dir}/state" "${dir}/spool"
    [ -s "${dir}/munge.key" ] || (umask 077 && head -c 1024 /dev/urandom >"${dir}/munge.key")
    # of a node that is partly down, start what is missing
    if ! { running munged || running slurmctld || running slurmd; } >/dev/null; then write_config; fi
    # --force: directories above ${dir} may be closed to others; they need not reach the socket
    start_daemon munged munged "${mark[munged]}" --force --socket="${dir}/munge.socket" \
        --pid-file="${dir}/munged.pid" --log-file="${dir}/munged.log" --seed-file="${dir}/munge.seed"
    start_daemon slurmctld slurmctld -f "${dir}/slurm.conf"
    start_daemon slurmd slurmd -f "${dir}/slurm.conf"
    wait_until 60 ready || die "the node is not ready after 60 s, see ${dir}/slurmd.log"
    echo "slurm_node.sh: up in ${dir}, ${cpus} CPU cores, ${gpus} GPUs" >&2
}

stop() {
    local jobs
    if up; then
        mapfile -t jobs < <(squeue -h -o %A | sort -u)
        [ "${#jobs[@]}" -eq 0 ] || scancel "${jobs[@]}" || true
        wait_until 60 no_jobs || echo "slurm_node.sh: jobs are left: $(squeue -h -o %i | xargs)" >&2
    fi
    stop_daemon slurmd
    stop_daemon slurmctld
    stop_daemon munged
    echo "slurm_node.sh: down" >&2
}

install() {
    local name missing=false as_root=()
    for name in munged slurmctld slurmd sbatch; do
        command -v "${name}" >/dev/null || missing=true
    done
    if ! ${missing}; then return; fi
    command -v apt-get >/dev/null || die "no apt-get here: ${how}"
    if [ "$(id -u)" -ne 0 ]; then
        sudo -n true 2>/dev/null || die "not root, and sudo requires a password: ${how}"
        as_root=(sudo -n)
    fi
    echo "slurm_node.sh: installing slurm-wlm and munge" >&2
    "${as_root[@]}" timeout 300 apt-get update -qq >&2 || true # may work even if a mirror fails
    "${as_root[@]}" timeout 600 env DEBIAN_FRONTEND=noninteractive apt-get install -qq -y \
        --no-install-recommends slurm-wlm munge >&2 || die "apt-get failed: ${how}"
}

how="install Slurm (on Debian: apt-get install slurm-wlm munge)"
action=${1:-}
case ${action} in
start | stop | status | install) shift ;;
-h | --help | help) sed -n -e '2,/^set /{s/^# \{0,1\}//;/^set /!p;}' "$0" && exit 0 ;;
*) die "expected start, stop, status or install, found '${action}'; see --help" ;;
esac
dir=${TMPDIR:-/tmp}/tsx-slurm-$(id -u)
cpus=$(getconf _NPROCESSORS_ONLN)
gpus=0
while [ $# -gt 0 ]; do
    case $1 in
    --dir | --cpus | --gpus) [ $# -ge 2 ] || die "option $1 needs a value" ;;
    *) die "no option $1; see --help" ;;
    esac
    declare "${1#--}=$2"
    shift 2
done
[[ ${cpus} =~ ^[1-9][0-9]*$ ]] || die "--cpus: expected a whole number from 1, found '${cpus}'"
[[ ${gpus} =~ ^[0-9]+$ ]] || die "--gpus: expected a whole number, found '${gpus}'"
[[ ${dir} == /* ]] || dir=${PWD}/${dir}
# what Slurm reads in its own files, and the limit of a socket's name
[[ ${dir} =~ ^[A-Za-z0-9_./+-]{1,90}$ ]] ||
    die "--dir: expected at most 90 letters, digits and _./+-, found '${dir}'"
declare -A mark=([munged]="--key-file=${dir}/munge.key"
    [slurmctld]="-f ${dir}/slurm.conf" [slurmd]="-f ${dir}/slurm.conf")
export SLURM_CONF=${dir}/slurm.conf

case ${action} in
install) install ;;
start) start && echo "export SLURM_CONF=${SLURM_CONF}" ;;
stop) stop ;;
status)
    if up; then
        echo "up in ${dir}: $(squeue -h -r | wc -l) jobs; export SLURM_CONF=${SLURM_CONF}"
    else
        echo "down" && exit 1
    fi
    ;;
esac
