# shellcheck shell=bash disable=SC2154
# How many threads training on CPU uses; the variables are options of tsx.sh.

# free_cores: the number of idle CPU cores, the most in three samples of half a second; all cores if
# there is no /proc. OpenMP threads spin while they wait for each other: on busy cores, two of them are
# several times slower than one (tools/bench/training.py threads).
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

# training_threads: ${num_threads}, or, for local training on CPU, this run's share of the CPU cores, but no
# more than are idle.
training_threads() {
    local cores=1 free
    if [ "${num_threads}" -eq 0 ] && [ "${ngpu}" -eq 0 ] && [ "${cuda_cmd%% *}" = run.pl ]; then
        cores=$(($(getconf _NPROCESSORS_ONLN) / share)) free=$(free_cores)
        cores=$((cores < free ? cores : free))
    fi
    if [ "${num_threads}" -gt 0 ]; then cores=${num_threads}; fi
    echo $((cores > 0 ? cores : 1))
}
