#!/bin/sh
# An S3 store over one folder: objects are files, so they can be looked at and copied.
set -eu

SECRETS=${SECRETS:-/run/secrets}
objects=${OBJECTS:-/objects}
key=$(cat "$SECRETS/object_store_key")
secret=$(cat "$SECRETS/object_store_secret")
# In the environment of this process alone, never among its arguments.
RCLONE_AUTH_KEY="\"$key,$secret\""
export RCLONE_AUTH_KEY

mkdir -p "$objects/${BUCKET:-lmcore}"
exec rclone serve s3 "$objects" --addr "${LISTEN:-0.0.0.0:9000}" --config "" --log-level NOTICE
