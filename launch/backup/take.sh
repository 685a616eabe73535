#!/bin/sh
# Writes one consistent set of all that the platform keeps, while it runs:   sh take.sh >FILE
#
# Nothing stops meanwhile, so the order makes it consistent. What is named must be there, so whoever names comes first:
# training names MLflow's runs and versions, MLflow names files; what is newer than that is harmless, nobody names it.
# Airflow comes before training: a run that training knows of and Airflow does not is started anew by the relay, while a
# run that only Airflow knew of would train on its rows a second time.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
# shellcheck source=launch/backup/parts.sh
. "$here/parts.sh"

scratch=$(mktemp -d)
export scratch
trap 'rm -rf "$scratch"' EXIT
trap 'exit 1' INT TERM

part() { # part NAME COMMAND...: its output, cut into pieces
  name=$1
  shift
  { "$@" && : >"$scratch/done"; } |
    split --bytes=16M --suffix-length=6 --numeric-suffixes --filter="sh '$here/piece.sh'" - "$name."
  [ -e "$scratch/done" ] || fail "$name could not be read; the reason stands above"
  rm "$scratch/done"
}

about() {
  psql='psql -X --no-align --tuples-only --set=ON_ERROR_STOP=1'
  printf 'format=%s\nmade=%s\nplatform=%s\ncode=%s\n' "$FORMAT" "$(date -u +%FT%TZ)" "${PLATFORM_ID:?}" "${CODE_VERSION:-unknown}"
  printf 'images=%s\n' "${IMAGES:-}"
  # shellcheck disable=SC2086 # words
  printf 'postgres=%s\n' "$(with_database training $psql -c 'SHOW server_version' "$TRAINING_DATABASE")"
  # shellcheck disable=SC2086
  migrations=$(with_database training $psql -c 'SELECT migration FROM public.training_schema ORDER BY 1' "$TRAINING_DATABASE")
  printf 'migrations=%s\n' "$(printf '%s' "$migrations" | tr '\n' ' ')"
}

env_file() { printf '%s\n' "${DOTENV:?launch by sh launch.sh}"; }

roles() { with_database training pg_dumpall --roles-only --no-comments "--dbname=$TRAINING_DATABASE"; }

dump() { # dump NAME URL ARGUMENTS...
  name=$1 url=$2
  shift 2
  with_database "$name" pg_dump --format=custom --compress=1 --lock-wait-timeout=60000 "$@" "$url"
}

# From here on nothing that is named is deleted: the janitor wants the same lock (upkeep.sql), which holds up nobody else.
hold_janitor() {
  mkfifo "$scratch/hold" "$scratch/said"
  with_database training psql -X --quiet --no-align --tuples-only --set=ON_ERROR_STOP=1 "$TRAINING_DATABASE" \
    <"$scratch/hold" >"$scratch/said" &
  holder=$!
  exec 9>"$scratch/hold" # its end is the end of the lock
  cat >&9 <<'END'
SET idle_in_transaction_session_timeout = 0; SET lock_timeout = '15min';
BEGIN; LOCK TABLE public.training_coverage IN SHARE UPDATE EXCLUSIVE MODE; SELECT 'held';
END
  IFS= read -r said <"$scratch/said" && [ "$said" = held ] || fail 'the janitor or another backup did not end; the reason stands above'
}

release_janitor() {
  exec 9>&-
  wait "$holder" || fail 'the training database ended the lock, so something may be missing'
}

artifacts() { # a file that is being written just now is named by nobody yet
  status=0
  tar --create --file=- --numeric-owner --warning=no-file-changed --warning=no-file-removed "--directory=${ARTIFACTS:?}" . || status=$?
  [ "$status" -le 1 ]
}

part about about
part env env_file
part roles roles
part airflow dump airflow "${AIRFLOW_DATABASE:?}" --no-owner --no-privileges
hold_janitor
case ${BACKUP_PREDICTION_LOG:-on} in
  on) part training dump training "${TRAINING_DATABASE:?}" ;;
  off) part training dump training "${TRAINING_DATABASE:?}" '--exclude-table-data-and-children=prediction_log.answers' ;;
  *) fail "BACKUP_PREDICTION_LOG is $BACKUP_PREDICTION_LOG: it must be on or off" ;;
esac
part mlflow dump mlflow "${MLFLOW_DATABASE:?}" --no-owner --no-privileges
part artifacts artifacts
release_janitor
tar --create --file=- "--directory=$scratch" digests
