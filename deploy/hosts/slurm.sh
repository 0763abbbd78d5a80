#!/bin/bash
# One pipeline on several hosts of a Slurm cluster: sbatch slurm.sh --config large.yaml
#SBATCH --job-name=lmcore
#SBATCH --nodes=2
#SBATCH --ntasks-per-node=1
#SBATCH --gpus-per-node=4
#SBATCH --cpus-per-task=32
#SBATCH --requeue
set -eu

export LMCORE_HOME=${LMCORE_HOME:-$SLURM_SUBMIT_DIR/.lmcore}   # shared by all hosts
export JOB=$SLURM_JOB_ID
MASTER_ADDR=$(scontrol show hostnames "$SLURM_JOB_NODELIST" | head -n 1)
export MASTER_ADDR MASTER_PORT=${MASTER_PORT:-29400}
mkdir -p "$LMCORE_HOME"

srun --kill-on-bad-exit=1 --label "${RUN:-deploy/hosts/run.sh}" "$@" \
  --set "training.processes=$((SLURM_NNODES * ${SLURM_GPUS_ON_NODE:-1}))"
