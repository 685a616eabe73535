# shellcheck shell=sh
# The root .env: the one source of settings and secrets.

# setting NAME DEFAULT: from the environment, else from .env, else the default
setting() {
  value=$(printenv "$1" || true)
  if [ -z "$value" ] && [ -f .env ]; then
    value=$(sed -n "s/^$1=//p" .env | tail -n 1)
  fi
  printf '%s' "${value:-$2}"
}

# A setting that is a path of this machine becomes an absolute one, for the rest of this command: the services run
# elsewhere, and a container mounts it.
resolve_paths() {
  for name in DATASET BASE_MODEL NGINX_CERTIFICATE NGINX_KEY; do
    path=$(setting "$name" '')
    [ -e "$path" ] || continue
    export "$name=$(cd "$(dirname "$path")" && pwd -P)/$(basename "$path")"
  done
}

# The public door speaks HTTPS when there are a certificate and its key.
door_scheme() { if [ -n "$(setting NGINX_CERTIFICATE '')$(setting NGINX_KEY '')" ]; then echo https; else echo http; fi; }

random_hex() { od -An -N32 -tx1 /dev/urandom | tr -d ' \n'; }

# Fernet wants 32 bytes in URL-safe base64.
random_fernet_key() { head -c 32 /dev/urandom | base64 | tr '+/' '-_' | tr -d '\n'; }

# Writes .env from .env.example: what the environment sets wins, empty secrets are generated. An
# existing .env keeps every value it has; only settings that it lacks are added.
make_env() {
  umask 077
  [ -f .env ] || step '.env' 'made from .env.example, with generated secrets'
  while IFS= read -r line || [ -n "$line" ]; do
    case $line in
      [A-Z]*=*)
        name=${line%%=*}
        if [ -f .env ] && grep -q "^$name=..*" .env; then
          line=$(grep "^$name=" .env | tail -n 1)
        elif [ -f .env ] && grep -q "^$name=" .env && [ -n "${line#*=}" ]; then
          line="$name="
        else
          given=$(printenv "$name" || true)
          [ -z "$given" ] || line="$name=$given"
        fi
        [ "$line" != "$name=" ] || line="$name=$(secret_for "$name")"
        ;;
    esac
    printf '%s\n' "$line"
  done <.env.example >.env.new
  if [ -f .env ]; then # settings of the user's own stay, at the end
    grep '^[A-Za-z_]*=' .env | while IFS= read -r line; do
      grep -q "^${line%%=*}=" .env.new || printf '%s\n' "$line"
    done >.env.more
    cat .env.more >>.env.new
    rm -f .env.more
  fi
  if [ -f .env ] && cmp -s .env .env.new; then rm -f .env.new; else mv -f .env.new .env; fi
  chmod 600 .env
  umask 022
}

# secret_for NAME: a new secret, or nothing where NAME is an ordinary setting
secret_for() {
  case $1 in
    AIRFLOW_FERNET_KEY) random_fernet_key ;;
    PLATFORM_TOKEN | BACKEND_STORE_PASSWORD | TRAINING_DATABASE_PASSWORD | TRAINING_SUPERUSER_PASSWORD | AIRFLOW_DATABASE_PASSWORD | AIRFLOW_SECRET_KEY | AIRFLOW_JWT_SECRET)
      random_hex ;;
  esac
}
