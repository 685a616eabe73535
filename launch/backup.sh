# shellcheck shell=sh
# backup and restore: the scripts of launch/backup, run where they reach databases and artifacts.

# backup FILE: while everything runs
backup() {
  [ $# = 1 ] || fail 'backup wants one file' 'sh launch.sh backup FILE'
  file=$1
  [ ! -e "$file" ] || fail "$file is there already" 'give the name of a new file'
  [ -d "$(dirname "$file")" ] || fail "there is no folder $(dirname "$file")" 'make it, or give another file'
  make_env # hands .env over to those who write it into the file
  umask 077 # it holds every secret
  began=$(seconds)
  file=$file.part
  { take_backup >"$file" && read_backup check; } || {
    rm -f "$file"
    fail 'no backup was made; the reason stands above' 'sh launch.sh status' 'a platform that does not run: sh launch.sh'
  }
  file=${file%.part}
  mv "$file.part" "$file"
  umask 022
  printf '%s %s\n' "$(seconds)" "$file" >.platform/last-backup
  step backup "$file ($(du -k "$file" | awk '{print $1}') kB, $(($(seconds) - began)) s)"
  printf 'It holds every secret of .env. Back to it, here or on another machine: sh launch.sh restore FILE\n'
}

take_backup() {
  if [ "${mode:?}" = native ]; then
    sh native/platform.sh backup take
  else
    compose mlflow_server exec -T backup sh /backup/take.sh
  fi
}

# read_backup PART: of $file, where nothing runs yet
read_backup() {
  if [ "$mode" = native ]; then
    sh launch/backup/read.sh "$1" <"$file"
  else
    docker run --rm --interactive --network none --user 1000:1000 --tmpfs /var/lib/postgresql/data \
      -v "$PWD/launch/backup:/backup:ro" "$(setting POSTGRES_IMAGE)" sh /backup/read.sh "$1" <"$file"
  fi
}

# restore FILE [--yes]: on a machine with nothing; with --yes also in place of the platform that is here
restore() {
  file=''
  for word in "$@"; do
    case $word in
      --yes) ;;
      -*) fail "restore does not know $word" 'sh launch.sh restore FILE [--yes]' ;;
      *) file=$word ;;
    esac
  done
  [ -f "$file" ] || fail "there is no file ${file:-given}" 'sh launch.sh restore FILE'
  [ "$mode" = native ] || check_machine
  look_at_backup
  clear_the_way "$@"
  put_env
  resolve_settings
  prepare_env
  pour_backup
  start_platform
}

# Refuses what is damaged, or from a newer release than this one.
look_at_backup() {
  headline "Looking at $file"
  read_backup check || fail "$file cannot be restored; the reason stands above. Nothing was changed." 'take another backup'
  about=$(read_backup about)
  [ "$(about_backup format)" = 1 ] || fail "$file is of a newer release than this one" 'git pull, then again'
  for name in $(about_backup migrations); do
    [ -f "db/migrations/$name.sql" ] ||
      fail "$file is of a newer release than this one: it knows the migration $name" "git checkout $(about_backup code), or a newer one, then again"
  done
  step "$(about_backup made)" "platform $(about_backup platform), code $(about_backup code), PostgreSQL $(about_backup postgres)"
}

about_backup() { printf '%s\n' "$about" | sed -n "s/^$1=//p"; }

# Where there is a platform already: it must be this folder's, or the backup's own, and whoever restores must say so.
clear_the_way() {
  if ! has_data && [ ! -f .env ]; then return; fi
  [ -n "$(found_id)" ] && [ "$(found_id)" = "$(about_backup platform)" ] || check_owner
  ! has_data || confirm "The platform $(found_id) in $(pwd -P) will be deleted, for the backup of $(about_backup made) to take its place." "$@"
  if has_data; then
    [ -f .env ] || put_env
    make_env
    if [ "$mode" = native ]; then
      [ ! -x .platform/envs/native/bin/python ] || sh native/platform.sh down --volumes
    else
      build_images # before anything is deleted, since this may fail
      down_containers --volumes
    fi
    disown_data
  fi
  if [ -f .env ]; then
    mv .env .env.before-restore
    step .env 'the one that was here is kept as .env.before-restore'
  fi
}

# The backup's .env; what the environment sets comes after it, and so wins from now on.
put_env() {
  umask 077
  read_backup env >.env.new
  grep -o '^[A-Z][A-Z0-9_]*' .env.example | while IFS= read -r name; do
    given=$(printenv "$name" || true)
    [ -z "$given" ] || [ "$name" = PLATFORM_ID ] || [ "$given" = "$(from_file "$name" .env.new)" ] ||
      printf '%s=%s\n' "$name" "$(quoted "$given")" >>.env.new
  done
  mv .env.new .env
  umask 022
}

# The databases alone are started for it, empty ones; then all parts are poured in.
pour_backup() {
  if [ "$mode" = native ]; then
    headline 'Restoring'
    sh native/platform.sh databases
    for part in roles training mlflow airflow artifacts; do
      sh native/platform.sh backup pour "$part" <"$file" || fail_restore "$part"
      step "$part" restored
    done
    return
  fi
  build_images
  headline 'Restoring'
  write_secrets
  compose mlflow_server up --detach --no-build --wait backend-store >.platform/log/restore.log 2>&1 || fail_restore mlflow
  compose mlflow_server create --no-build >>.platform/log/restore.log 2>&1 # the artifacts' volume gets its owner
  compose db up --detach --no-build --wait training-database >>.platform/log/restore.log 2>&1 || fail_restore training
  compose airflow up --detach --no-build --wait airflow-database >>.platform/log/restore.log 2>&1 || fail_restore airflow
  for part in roles training mlflow airflow; do
    compose mlflow_server run --rm -T --no-deps backup sh /backup/pour.sh "$part" <"$file" || fail_restore "$part"
    step "$part" restored
  done
  docker run --rm --interactive --network none --user 1000:1000 --tmpfs /var/lib/postgresql/data \
    -v "$PWD/launch/backup:/backup:ro" -v "$(setting PROJECT_PREFIX)mlflow_server_artifacts:/artifacts" -e ARTIFACTS=/artifacts \
    "$(setting POSTGRES_IMAGE)" sh /backup/pour.sh artifacts <"$file" || fail_restore artifacts
  step artifacts restored
}

fail_restore() {
  fail "$1 could not be restored; the reason stands above or in .platform/log/restore.log" "the file is whole, so try again: sh launch.sh restore '$file' --yes"
}
