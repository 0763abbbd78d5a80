#!/bin/sh
# The Prefect server on PostgreSQL: a password, no foreign page, leases that outlive a restart.
set -eu

SECRETS=${SECRETS:-/run/secrets}
password=$(cat "$SECRETS/prefect_db_password")
PREFECT_SERVER_DATABASE_CONNECTION_URL="postgresql+asyncpg://prefect:$password@${POSTGRES:-postgres:5432}/prefect"
PREFECT_SERVER_API_AUTH_STRING=$(cat "$SECRETS/prefect_auth")
export PREFECT_SERVER_DATABASE_CONNECTION_URL PREFECT_SERVER_API_AUTH_STRING
# The health check and the services inside the server are clients too.
export PREFECT_API_AUTH_STRING="$PREFECT_SERVER_API_AUTH_STRING"

public=${PUBLIC_URL:-http://127.0.0.1:4200}
# Relative, so that the pages work under every name that they are asked for.
export PREFECT_UI_API_URL=/api
export PREFECT_SERVER_CORS_ALLOWED_ORIGINS="$public"
export PREFECT_SERVER_API_CSRF_PROTECTION_ENABLED=true
# In memory, a lease is forgotten when the server restarts and its slot stays taken for ever.
export PREFECT_SERVER_CONCURRENCY_LEASE_STORAGE=prefect.server.concurrency.lease_storage.filesystem
# Flow runs that ended 90 days ago go; what they decided is in MLflow.
export PREFECT_SERVER_SERVICES_DB_VACUUM_ENABLED=events,flow_runs
export PREFECT_SERVER_ANALYTICS_ENABLED=false DO_NOT_TRACK=true

# Prefect looks at no name that it is asked for, so what `lmcore up` has before it stands here too;
# otherwise this is what `prefect server start` does.
export PREFECT__SERVER_FINAL=1
export LMCORE_SERVER_APP=prefect.server.api.server:create_app
export LMCORE_SERVER_NAMES="${NAME:-prefect-server:4200} ${public#*://}" LMCORE_SERVER_ORIGINS="$public"
export PYTHONPATH="${FENCE:-/srv/lmcore}"
exec python -P -m uvicorn --factory serve_app:application --host "${HOST:-0.0.0.0}" --port "${PORT:-4200}" \
  --log-level warning --lifespan on
