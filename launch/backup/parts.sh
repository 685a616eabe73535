# shellcheck shell=sh
# A backup is a stream of small tar archives, a piece each: so it needs no room but its own, and nothing is packed twice.
# about, env, roles, airflow, training, mlflow, artifacts, each cut into pieces NAME.000000 …; the last member, digests, has
# the SHA-256 of each piece and so shows that nothing is missing.
#
# Variables: TRAINING_DATABASE, MLFLOW_DATABASE, AIRFLOW_DATABASE (URLs without passwords) and TRAINING_SUPERUSER_PASSWORD,
# BACKEND_STORE_PASSWORD, AIRFLOW_DATABASE_PASSWORD; ARTIFACTS, a folder. GNU tar and coreutils.

# shellcheck disable=SC2034 # of those who read this file
FORMAT=1
# shellcheck disable=SC2034
PARTS='about env roles airflow training mlflow artifacts'

fail() {
  printf 'backup: %s\n' "$*" >&2
  exit 1
}

# with_database NAME PROGRAM ARGUMENTS...: a program of PostgreSQL's, its password not among the arguments
with_database() {
  case $1 in
    training) PGPASSWORD=${TRAINING_SUPERUSER_PASSWORD:?} ;;
    mlflow) PGPASSWORD=${BACKEND_STORE_PASSWORD:?} ;;
    airflow) PGPASSWORD=${AIRFLOW_DATABASE_PASSWORD:?} ;;
  esac
  export PGPASSWORD
  shift
  "$@"
}

# piece_of NAME: that part, in one piece again, of the backup on standard input
piece_of() { tar --extract --ignore-zeros --to-stdout --file=- --wildcards "$1.*"; }
