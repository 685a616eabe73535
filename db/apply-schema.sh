#!/bin/sh
# Brings the training database up to date: sh apply-schema.sh FOLDER_OF_SQL_FILES
# Reads PGHOST, PGUSER, PGDATABASE … as psql does; PGPASSWORD becomes the password of the role `platform` too.
set -eu
for file in "$1"/*.sql; do
    psql -X --quiet -v ON_ERROR_STOP=1 --single-transaction --file "$file"
done
# On standard input, where psql quotes the value itself and no process list shows it.
echo '\getenv password PGPASSWORD
ALTER ROLE platform PASSWORD :'"'password'" | psql -X --quiet -v ON_ERROR_STOP=1
