#!/bin/sh
# Brings the training database up to date: sh apply-schema.sh FOLDER   (this folder, or where its files are mounted)
# Reads PGHOST, PGUSER, PGDATABASE … as psql does. All of it is one transaction, and safe to repeat:
#   sql/10_roles.sql, then each of migrations/ that training_schema does not name yet, then the rest of sql/.
# SUPERUSER_PASSWORD, PLATFORM_PASSWORD and SERVING_PASSWORD, where set, become the passwords of the role that logs in, of
# platform and of serving.
set -eu
cd "$1"

everything() {
    # Somebody who holds a lock for longer makes this fail and say so, instead of all wait behind it.
    cat <<'SQL'
SET client_min_messages = warning;
SET lock_timeout = '2min';
\i sql/10_roles.sql
SET search_path = pg_catalog, pg_temp;
CREATE TABLE IF NOT EXISTS public.training_schema (
    migration text PRIMARY KEY,
    applied_at timestamptz NOT NULL DEFAULT clock_timestamp()
);
LOCK TABLE public.training_schema;
SQL
    for file in migrations/*.sql; do
        cat <<SQL
SELECT NOT EXISTS (SELECT FROM public.training_schema WHERE migration = '$(basename "$file" .sql)') AS wanted \gset
\if :wanted
\i $file
INSERT INTO public.training_schema (migration) VALUES ('$(basename "$file" .sql)');
\endif
SQL
    done
    for file in sql/*.sql; do
        [ "$file" = sql/10_roles.sql ] || printf '%s\n' "\\i $file"
    done
}

passwords() { # on standard input, where psql quotes the values itself and no process list shows them
    if [ -n "${PLATFORM_PASSWORD:-}" ]; then
        cat <<'SQL'
\getenv platform PLATFORM_PASSWORD
ALTER ROLE platform PASSWORD :'platform';
SQL
    fi
    if [ -n "${SERVING_PASSWORD:-}" ]; then
        cat <<'SQL'
\getenv serving SERVING_PASSWORD
ALTER ROLE serving PASSWORD :'serving';
SQL
    fi
    if [ -n "${SUPERUSER_PASSWORD:-}" ]; then
        cat <<'SQL'
\getenv superuser SUPERUSER_PASSWORD
ALTER ROLE CURRENT_USER PASSWORD :'superuser';
SQL
    fi
}

{
    everything
    passwords
} | psql -X --quiet -v ON_ERROR_STOP=1 --single-transaction --file - >/dev/null
