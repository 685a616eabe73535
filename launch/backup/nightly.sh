#!/bin/sh
# A backup each night at BACKUP_HOUR (UTC) into BACKUP_FOLDER, of which the newest BACKUP_KEEP stay. Without a folder it
# waits for `sh launch.sh backup`. A night that was missed is made up for on the same day; what failed is tried again
# after an hour, and until then this is not healthy.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
# shellcheck source=launch/backup/parts.sh
. "$here/parts.sh"
folder=${BACKUP_FOLDER:-}
trap 'exit 0' TERM INT

pause() { # pause SECONDS: a signal ends it at once
  sleep "$1" &
  wait "$!"
}

say() { printf '%s backup: %s\n' "$(date -u +%FT%TZ)" "$*"; }

backup() {
  rm -f "$folder/$name".part*
  part=$folder/$name.part
  sh "$here/take.sh" >"$part" && sh "$here/read.sh" check <"$part" && mv "$part" "$folder/$name" || return 1
  say "$name is made ($(du -k "$folder/$name" | cut -f 1) kB)"
  # Names of its own alone, the oldest first.
  kept=0
  for old in $(cd "$folder" && printf '%s\n' "$PLATFORM_ID"-*.backup | sort -r); do
    kept=$((kept + 1))
    [ "$kept" -le "${BACKUP_KEEP:-7}" ] || { rm -f "$folder/$old" && say "$old is deleted: the newest ${BACKUP_KEEP:-7} stay"; }
  done
}

# All three answer, and the schema is there: at a launch they all start at once.
databases_answer() {
  with_database training psql -X -q --dbname="$TRAINING_DATABASE" -c 'SELECT FROM public.training_schema LIMIT 1' &&
    pg_isready --quiet --dbname="$MLFLOW_DATABASE" && pg_isready --quiet --dbname="$AIRFLOW_DATABASE"
} >/dev/null 2>&1

healthy=${TMPDIR:-/tmp}/backup-is-healthy
touch "$healthy"
[ -z "$folder" ] || [ -w "$folder" ] || {
  say "BACKUP_FOLDER cannot be written to by user $(id -u): let it, with chown $(id -u) FOLDER"
  rm -f "$healthy"
  exit 1
}
while [ -z "$folder" ]; do pause 3600; done
while :; do
  name=$PLATFORM_ID-$(date -u +%F).backup
  hour=$(date -u +%H)
  if [ "${hour#0}" -ge "${BACKUP_HOUR:-3}" ] && [ ! -e "$folder/$name" ] && databases_answer; then
    if (umask 077 && backup); then
      touch "$healthy"
    else
      rm -f "$healthy" "$folder/$name.part"
      say "$name could not be made in BACKUP_FOLDER; the reason stands above. The next try is in an hour."
      pause 3600
      continue
    fi
  fi
  pause 30
done
