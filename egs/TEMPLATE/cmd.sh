# shellcheck shell=bash
# Where the jobs of a recipe run. Each command takes Kaldi's command line:
#     CMD [--gpu N] [--mem 4G] [--time H:M:S] [JOB=1:N] LOG COMMAND...
#   train_cmd    preparing data (many short jobs on CPUs)
#   cuda_cmd     training
#   decode_cmd   extraction and scoring
#
# cmd_backend: local (this machine) or slurm (through sbatch, see conf/slurm.conf).
cmd_backend=${cmd_backend:-local}

case ${cmd_backend} in
local) export train_cmd=run.pl cuda_cmd=run.pl decode_cmd=run.pl ;;
slurm) export train_cmd=slurm.pl cuda_cmd=slurm.pl decode_cmd=slurm.pl ;;
*)
    echo "cmd.sh: cmd_backend must be local or slurm, found '${cmd_backend}'" >&2
    return 1
    ;;
esac
