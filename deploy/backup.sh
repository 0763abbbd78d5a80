#!/bin/sh
# Copy everything that cannot be made again: three databases, then the objects that they name.
#
#   docker compose run --rm backup               writes backups/<time>
#
# Objects are written once and never changed, and a version is registered after its objects.  So
# databases first, objects second: whatever the databases name is among the objects, and a run that
# goes on meanwhile does no harm.  A folder without `.partial` in its name is whole.
set -eu
umask 077

SECRETS=${SECRETS:-/run/secrets}
backups=${BACKUPS:-/backups}
postgres=${POSTGRES:-postgres:5432}
name=$(date -u +%Y%m%dT%H%M%SZ)
folder="$backups/$name.partial"

RCLONE_CONFIG_STORE_ACCESS_KEY_ID=$(cat "$SECRETS/object_store_key")
RCLONE_CONFIG_STORE_SECRET_ACCESS_KEY=$(cat "$SECRETS/object_store_secret")
export RCLONE_CONFIG_STORE_ACCESS_KEY_ID RCLONE_CONFIG_STORE_SECRET_ACCESS_KEY
export RCLONE_CONFIG_STORE_TYPE=s3 RCLONE_CONFIG_STORE_PROVIDER=Other
export RCLONE_CONFIG_STORE_ENDPOINT="${S3_ENDPOINT:-http://object-store:9000}"

mkdir -p "$folder/objects"
for database in prefect mlflow mlflow_auth; do
  PGPASSWORD=$(cat "$SECRETS/${database}_db_password")
  export PGPASSWORD
  pg_dump --host "${postgres%:*}" --port "${postgres#*:}" --username "$database" \
    --dbname "$database" --format custom --no-owner --no-comments --file "$folder/$database.dump"
done
rclone copy "store:${BUCKET:-lmcore}" "$folder/objects" --config "" --checksum --log-level NOTICE

# The list comes last: what is listed is there.
(cd "$folder" && find . -type f ! -name SHA256SUMS -exec sha256sum {} + > SHA256SUMS)
sync
mv "$folder" "$backups/$name"
echo "$backups/$name"
