#!/bin/sh
# The MLflow server on PostgreSQL: users with passwords, artifacts proxied to the object store.
set -eu

SECRETS=${SECRETS:-/run/secrets}
postgres=${POSTGRES:-postgres:5432}

password=$(cat "$SECRETS/mlflow_db_password")
MLFLOW_BACKEND_STORE_URI="postgresql+psycopg://mlflow:$password@$postgres/mlflow"
MLFLOW_AUTH_ADMIN_PASSWORD=$(cat "$SECRETS/mlflow_admin_password")
MLFLOW_FLASK_SERVER_SECRET_KEY=$(cat "$SECRETS/mlflow_session_key")
AWS_ACCESS_KEY_ID=$(cat "$SECRETS/object_store_key")
AWS_SECRET_ACCESS_KEY=$(cat "$SECRETS/object_store_secret")
export MLFLOW_BACKEND_STORE_URI MLFLOW_AUTH_ADMIN_PASSWORD MLFLOW_FLASK_SERVER_SECRET_KEY
export AWS_ACCESS_KEY_ID AWS_SECRET_ACCESS_KEY
export AWS_DEFAULT_REGION=us-east-1 AWS_EC2_METADATA_DISABLED=true
export MLFLOW_S3_ENDPOINT_URL="${S3_ENDPOINT:-http://object-store:9000}"
export MLFLOW_ARTIFACTS_DESTINATION="s3://${BUCKET:-lmcore}/mlflow"

# MLflow reads the address of its users' database from a file only.
umask 077
password=$(cat "$SECRETS/mlflow_auth_db_password")
MLFLOW_AUTH_CONFIG_PATH="${SCRATCH:-/tmp}/basic_auth.ini"
cat > "$MLFLOW_AUTH_CONFIG_PATH" <<INI
[mlflow]
default_permission = READ
database_uri = postgresql+psycopg://mlflow_auth:$password@$postgres/mlflow_auth
admin_username = admin
authorization_function = mlflow.server.auth:authenticate_request_basic_auth
auth_cache_ttl_seconds = 30
INI
export MLFLOW_AUTH_CONFIG_PATH

# MLflow looks at names and at pages of other machines; before it stands what `lmcore up` has there
# too: no page of another program on this machine, and no place of artifacts outside of the store.
public=${PUBLIC_URL:-http://127.0.0.1:5000}
names="${NAME:-mlflow:5000},127.0.0.1:*,localhost:*,${public#*://}"
export MLFLOW_SERVER_ALLOWED_HOSTS="$names" MLFLOW_SERVER_CORS_ALLOWED_ORIGINS="$public"
export LMCORE_SERVER_APP=mlflow.server.auth:create_app
export LMCORE_SERVER_NAMES="${NAME:-mlflow:5000} ${public#*://}" LMCORE_SERVER_ORIGINS="$public"
export LMCORE_ARTIFACT_ROOT=mlflow-artifacts:/
export PYTHONPATH="${FENCE:-/srv/lmcore}"
# Jobs would run code on the server that clients ask for; nothing here needs them.
export MLFLOW_SERVER_ENABLE_JOB_EXECUTION=false
export MLFLOW_ALLOW_PICKLE_DESERIALIZATION=false
export MLFLOW_DISABLE_TELEMETRY=true DO_NOT_TRACK=true

if [ "${MLFLOW_UPGRADE:-}" = true ]; then
  # Addresses hold passwords, so they do not become arguments of a process.
  exec python - <<PYTHON
import configparser, os
from mlflow.db import commands as tables
from mlflow.server.auth.db.cli import commands as users

config = configparser.ConfigParser()
config.read(os.environ["MLFLOW_AUTH_CONFIG_PATH"])
tables.main(["upgrade", os.environ["MLFLOW_BACKEND_STORE_URI"]], standalone_mode=False)
users.main(["upgrade", "--url", config["mlflow"]["database_uri"]], standalone_mode=False)
PYTHON
fi

# The admin, as `mlflow server` makes it for its own application; who only reads (the dashboard and what
# answers); and the worker, which registers, promotes and deletes models of everybody, and no users.
python - <<PYTHON
from pathlib import Path
from mlflow.server.auth import bootstrap_admin_user, store
from mlflow.utils.workspace_utils import DEFAULT_WORKSPACE_NAME

ROLE, OWNED = "lmcore-worker", ("experiment", "registered_model")

bootstrap_admin_user()
for name in ("reader", "worker"):
    password = Path("$SECRETS", f"mlflow_{name}_password").read_text()
    if store.has_user(name):
        store.update_user(name, password=password, is_admin=False)
    else:
        store.create_user(name, password)
roles = {role.name: role for role in store.list_roles([DEFAULT_WORKSPACE_NAME])}
role = roles.get(ROLE) or store.create_role(ROLE, DEFAULT_WORKSPACE_NAME)
has = {grant.resource_type for grant in store.list_role_permissions(role.id)}
for kind in set(OWNED) - has:
    store.add_role_permission(role.id, kind, "*", "MANAGE")
worker = store.get_user("worker")
if role.id not in {held.id for held in store.list_user_roles(worker.id)}:
    store.assign_role_to_user(worker.id, role.id)
PYTHON

exec mlflow server --app-name lmcore --host "${HOST:-0.0.0.0}" --port "${PORT:-5000}" \
  --workers "${WORKERS:-2}"
