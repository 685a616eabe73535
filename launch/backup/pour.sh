#!/bin/sh
# Puts one part of the backup on standard input where it belongs, in place of nothing:
#   sh pour.sh roles|training|mlflow|airflow|artifacts <FILE
set -eu
# shellcheck source=launch/backup/parts.sh
. "$(dirname "$0")/parts.sh"

# restore NAME URL ARGUMENTS...
restore() {
  name=$1 url=$2
  shift 2
  piece_of "$name" | with_database "$name" pg_restore --exit-on-error --single-transaction "$@" "--dbname=$url"
}

psql='psql -X --quiet --set=ON_ERROR_STOP=1'
case ${1:-} in
  # The server has its superuser, and without containers the owners of the other databases, with .env's passwords.
  roles)
    # shellcheck disable=SC2086 # words
    piece_of roles | sed -E '/^(CREATE|ALTER) ROLE (postgres|mlflow|airflow)[ ;]/d' | with_database training $psql "$TRAINING_DATABASE" >/dev/null
    ;;
  training) restore training "${TRAINING_DATABASE:?}" ;;
  airflow) restore airflow "${AIRFLOW_DATABASE:?}" --no-owner --no-privileges ;;
  mlflow)
    restore mlflow "${MLFLOW_DATABASE:?}" --no-owner --no-privileges
    # MLflow was read after training's ledger: where its alias is ahead of that, it must not count as somebody's decision.
    # shellcheck disable=SC2086
    printf "DELETE FROM registered_model_aliases WHERE alias = :'alias';\n" |
      with_database mlflow $psql "--set=alias=${MODEL_ALIAS:?}" "$MLFLOW_DATABASE"
    ;;
  artifacts) piece_of artifacts | tar --extract --file=- --no-same-owner "--directory=${ARTIFACTS:?}" ;;
  *) fail "usage: sh pour.sh PART <FILE" ;;
esac
