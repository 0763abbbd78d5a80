#!/bin/sh
# One role and one database each for Prefect, MLflow and MLflow's users.
# Runs once, when PostgreSQL starts on an empty volume; a second run changes nothing but passwords.
set -eu

SECRETS=${SECRETS:-/run/secrets}

for name in prefect mlflow mlflow_auth; do
  # Passwords reach psql by its standard input: an argument can be read by every process.
  psql --no-psqlrc --quiet --set ON_ERROR_STOP=1 --username "${POSTGRES_USER:-postgres}" --dbname postgres <<SQL
\\set password \`cat "$SECRETS/${name}_db_password"\`
SELECT 'CREATE ROLE $name LOGIN' WHERE NOT EXISTS (SELECT FROM pg_roles WHERE rolname = '$name') \\gexec
ALTER ROLE $name PASSWORD :'password';
SELECT 'CREATE DATABASE $name OWNER $name ENCODING ''UTF8'' TEMPLATE template0'
  WHERE NOT EXISTS (SELECT FROM pg_database WHERE datname = '$name') \\gexec
REVOKE CONNECT, TEMPORARY ON DATABASE $name FROM PUBLIC;
SQL
done
