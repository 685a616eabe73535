# shellcheck shell=sh
# New passwords and tokens; the launch that follows has databases, accounts and services take them over.

# rotate [NAME...]: all of .env's generated secrets, or these
rotate() {
  check_owner
  make_env
  known=$(secrets | grep -v '^PLATFORM_ID$')
  for name in "$@"; do
    printf '%s\n' "$known" | grep -qx -e "$name" || fail "$name is no secret that can be made anew" "these can: $(printf '%s' "$known" | tr '\n' ' ')"
  done
  # shellcheck disable=SC2086 # words
  [ $# -gt 0 ] || set -- $known
  for name in "$@"; do
    [ -z "$(printenv "$name" || true)" ] || fail "$name is set in this shell, which wins over .env" "unset $name, then again"
  done
  umask 077
  (
    for name in "$@"; do
      new=$(new_secret "$name")
      # What Airflow has encrypted is read with the key before this one, and written with the new one (initialise.py).
      [ "$name" != AIRFLOW_FERNET_KEY ] || new=$new,$(setting "$name" | cut -d , -f 1)
      export "NEW_$name=$new"
    done
    LC_ALL=C awk -v replace=1 -f launch/dotenv.awk .env
  ) >.env.new
  LC_ALL=C awk -f launch/dotenv.awk .env.new >/dev/null || fail 'the secrets of .env could not be replaced: nothing was changed'
  mv .env.new .env
  umask 022
  step .env "$# new secrets: $*"
  up
}
