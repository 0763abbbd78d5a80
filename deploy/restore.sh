#!/bin/sh
# Put a backup back in the place of what is there: databases and objects.
#
#   docker compose stop prefect-server mlflow worker dashboard
#   docker compose run --rm restore 20260101T000000Z
#   docker compose up --wait --detach
#
# Nothing is touched before every file was compared with its sum.  Each database is replaced in one
# transaction: it is the old one or the new one.  Objects that are newer than the backup stay.
set -eu

SECRETS=${SECRETS:-/run/secrets}
postgres=${POSTGRES:-postgres:5432}
folder="${BACKUPS:-/backups}/${1:?give the name of a backup}"

case "$1" in *.partial | */* | .*) echo "$1: not the name of a whole backup" >&2; exit 2 ;; esac
[ -f "$folder/SHA256SUMS" ] || { echo "$folder: no backup is there" >&2; exit 2; }
(cd "$folder" && sha256sum --check --quiet --strict SHA256SUMS) \
  || { echo "$folder: damaged; nothing was restored" >&2; exit 2; }

RCLONE_CONFIG_STORE_ACCESS_KEY_ID=$(cat "$SECRETS/object_store_key")
RCLONE_CONFIG_STORE_SECRET_ACCESS_KEY=$(cat "$SECRETS/object_store_secret")
export RCLONE_CONFIG_STORE_ACCESS_KEY_ID RCLONE_CONFIG_STORE_SECRET_ACCESS_KEY
export RCLONE_CONFIG_STORE_TYPE=s3 RCLONE_CONFIG_STORE_PROVIDER=Other
export RCLONE_CONFIG_STORE_ENDPOINT="${S3_ENDPOINT:-http://object-store:9000}"

# Objects first: no restored database names an object that is not there yet.
rclone copy "$folder/objects" "store:${BUCKET:-lmcore}" --config "" --checksum --log-level NOTICE
# Read back: the store may remember an object that is not there any more.
rclone check "$folder/objects" "store:${BUCKET:-lmcore}" --one-way --download --config "" --log-level ERROR
for database in prefect mlflow mlflow_auth; do
  PGPASSWORD=$(cat "$SECRETS/${database}_db_password")
  export PGPASSWORD
  pg_restore --host "${postgres%:*}" --port "${postgres#*:}" --username "$database" \
    --dbname "$database" --clean --if-exists --no-owner --no-comments \
    --single-transaction --exit-on-error "$folder/$database.dump"
done
echo "restored $folder"
