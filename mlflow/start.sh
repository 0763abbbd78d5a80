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

export MLFLOW_SERVER_ALLOWED_HOSTS="${ALLOWED_HOSTS:-mlflow:5000,127.0.0.1:5000,localhost:5000}"
export MLFLOW_SERVER_CORS_ALLOWED_ORIGINS="${PUBLIC_URL:-http://127.0.0.1:5000}"
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

# Who only reads: the dashboard and what answers.  The admin is made by the server itself.
python - <<PYTHON
import configparser, os
from pathlib import Path
from mlflow.server.auth.sqlalchemy_store import SqlAlchemyStore

config = configparser.ConfigParser()
config.read(os.environ["MLFLOW_AUTH_CONFIG_PATH"])
password = Path("$SECRETS/mlflow_reader_password").read_text()
users = SqlAlchemyStore()
users.init_db(config["mlflow"]["database_uri"])
if users.has_user("reader"):
    users.update_user("reader", password=password, is_admin=False)
else:
    users.create_user("reader", password)
PYTHON

exec mlflow server --app-name basic-auth --host "${HOST:-0.0.0.0}" --port "${PORT:-5000}" \
  --workers "${WORKERS:-2}"
