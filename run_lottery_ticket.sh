#!/usr/bin/env bash
# A study, or a sweep of your own, as a Slurm job array:
#
#     sbatch run_lottery_ticket.sh
#     SWEEP=when_to_prune sbatch --array=0-15 run_lottery_ticket.sh
#     SWEEP=my_sweep.py sbatch run_lottery_ticket.sh
#     sbatch --gres=gpu:1 --cpus-per-task=4 --array=0-1 run_lottery_ticket.sh      # each task packs many runs on its GPU
#
# Tasks share no plan: each takes the next run that is not done and that no other task holds. So the number of tasks is free, and
# submitting again, or twice, does no harm. Flags after the script's name go to sweep.py: sbatch run_lottery_ticket.sh --seeds 0 1
# On a file system without locks between machines add --no_locks.
#
#SBATCH --job-name=grokking-tickets
#SBATCH --array=0-7
#SBATCH --cpus-per-task=1
#SBATCH --mem=4G
#SBATCH --time=04:00:00
#SBATCH --requeue
#SBATCH --open-mode=append
#SBATCH --signal=B:USR1@120
#SBATCH --output=slurm-%A_%a.out
# The USR1 above comes 120 s before the time is up: the run is saved, and the task puts itself back into the queue.

set -uo pipefail
cd "${SLURM_SUBMIT_DIR:-$(dirname "$0")}"
SWEEP=${SWEEP:-how_much}
case $SWEEP in *.py) WHICH=(--config "$SWEEP") ;; *) WHICH=("$SWEEP") ;; esac
PYTHON=${PYTHON:-.venv/bin/python}
THREADS=${SLURM_CPUS_PER_TASK:-1}
export WANDB_MODE=${WANDB_MODE:-offline} OMP_NUM_THREADS=$THREADS PYTHONUNBUFFERED=1

echo "task ${SLURM_ARRAY_TASK_ID:-0} of $SWEEP on $(hostname), $(date)"
"$PYTHON" sweep.py "${WHICH[@]}" --workers=1 --threads="$THREADS" \
    --index="${SLURM_ARRAY_TASK_ID:-0}" --num_tasks="${SLURM_ARRAY_TASK_COUNT:-1}" "$@" &
python_pid=$!

# bash gets the signals and passes them on; python saves and exits.
time_is_up=0
trap 'time_is_up=1; kill -USR1 "$python_pid"' USR1
trap 'kill -TERM "$python_pid"' TERM
while :; do
    wait "$python_pid"
    status=$?
    kill -0 "$python_pid" 2>/dev/null || break # a wait that a signal ended; python is still saving
done

if [ "$time_is_up" = 1 ] && [ "$status" -ne 0 ] && [ -n "${SLURM_JOB_ID:-}" ]; then
    echo "out of time and saved; back into the queue"
    # One task of an array has the array's own id as its job id, which would name all tasks.
    task=$SLURM_JOB_ID
    [ -z "${SLURM_ARRAY_JOB_ID:-}" ] || task=${SLURM_ARRAY_JOB_ID}_${SLURM_ARRAY_TASK_ID}
    scontrol requeue "$task"
fi
echo "status $status"
if [ "$status" -eq 0 ]; then
    echo "when all tasks are done: $PYTHON sweep.py ${WHICH[*]} --collect $*"
    echo "curves: wandb sync runs/wandb (or below the --root that was given)"
fi
exit "$status"
