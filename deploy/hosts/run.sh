#!/bin/sh
# `lmcore run` on the first of several hosts; the others give it their processes until it has ended.
# A launcher starts this once on each host: Slurm (slurm.sh) or Kubernetes (trainjob.yaml).
#
#   LMCORE_HOME  on storage that all hosts share, at the same path
#   JOB          a name that no other job of this home had
#   arguments    of `lmcore run`
set -u

: "${LMCORE_HOME:?lies on storage that all hosts share}" "${JOB:?names this job}"
host=${PET_NODE_RANK:-${SLURM_NODEID:?is set by srun, PET_NODE_RANK by a TrainJob}}
hosts=${PET_NNODES:-${SLURM_NNODES:?is set by srun, PET_NNODES by a TrainJob}}
ended=$LMCORE_HOME/ended-$JOB

if [ "$host" -ne 0 ]; then
  until [ -e "$ended" ]; do
    python -m lmcore.training.launch.join "$LMCORE_HOME" --until "$ended" || sleep "${PAUSE:-5}"
  done
  exit 0
fi

code=0
lmcore run "$@" --set training.launcher=torchrun --set "training.hosts=$hosts" || code=$?
# After anything else the same command goes on from the newest resume point, so the others stay.
case $code in
  0 | 2 | 3) touch "$ended" ;;
esac
# That a gate refuses a model is a result, and no reason to start again.
[ "$code" -eq 3 ] && code=0
exit "$code"
