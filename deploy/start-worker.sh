#!/bin/sh
# A worker: it runs pipelines that Prefect hands out and writes to MLflow, and keeps no password on disk.
# The dashboard and what answers start here too; they only read, and are given a password for that alone.
# None of them is an admin of MLflow.
set -eu

SECRETS=${SECRETS:-/run/secrets}
PREFECT_API_AUTH_STRING=$(cat "$SECRETS/prefect_auth")
MLFLOW_TRACKING_USERNAME=reader
if [ -e "$SECRETS/mlflow_worker_password" ]; then
  MLFLOW_TRACKING_USERNAME=worker
fi
MLFLOW_TRACKING_PASSWORD=$(cat "$SECRETS/mlflow_${MLFLOW_TRACKING_USERNAME}_password")
export PREFECT_API_AUTH_STRING MLFLOW_TRACKING_USERNAME MLFLOW_TRACKING_PASSWORD
# The keys of what homes share (LMCORE_CONTENT), where it is an S3 store that asks for some.
if [ -e "$SECRETS/content_key" ]; then
  AWS_ACCESS_KEY_ID=$(cat "$SECRETS/content_key")
  AWS_SECRET_ACCESS_KEY=$(cat "$SECRETS/content_secret")
  export AWS_ACCESS_KEY_ID AWS_SECRET_ACCESS_KEY
fi
export PREFECT_API_URL="${PREFECT_API_URL:-http://prefect-server:4200/api}"
export MLFLOW_TRACKING_URI="${MLFLOW_TRACKING_URI:-http://mlflow:5000}"

# Without a command of its own the container is a worker; `lmcore status` and the like work as well.
if [ "$#" -gt 0 ]; then
  exec "$@"
fi
set -- --pool "${POOL:-lmcore}" --limit "${LIMIT:-1}"
for config in ${CONFIGS:-}; do
  set -- "$@" --config "$config"
done
exec python -m flows.servers.worker "$@"
