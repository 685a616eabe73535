# shellcheck shell=sh
# The root .env: the one source of settings and secrets. .env.example is the list of them all, with their defaults.

# setting NAME [DEFAULT]: from the environment, else from .env, else the default of .env.example, else DEFAULT.
# As for Compose, what is set but empty means the default.
setting() {
  if printenv "$1" >/dev/null; then
    value=$(printenv "$1")
  else
    value=$(from_file "$1" .env)
    case $1 in # where people of this platform's forerunner have them
      SLACK_URL | HUGGINGFACE_TOKEN) value=${value:-$(from_file "$1" training_endpoint/.env)} ;;
    esac
  fi
  value=${value:-$(from_file "$1" .env.example)}
  printf '%s' "${value:-${2:-}}"
}

# from_file NAME FILE: nothing where the file does not set it
from_file() { [ ! -f "$2" ] || LC_ALL=C awk -v want="$1" -f launch/dotenv.awk "$2" 2>/dev/null || true; }

# A file that Compose would refuse is refused here, before any effect, with the line that is wrong.
check_env() {
  for file in .env training_endpoint/.env; do
    [ ! -f "$file" ] || said=$(LC_ALL=C awk -f launch/dotenv.awk "$file" 2>&1 >/dev/null) ||
      fail "$said" 'docs/settings/README.md says how lines are written'
  done
}

# For the rest of this command, what Compose and the services cannot find by themselves stands in the environment:
# paths of this machine as absolute ones, since a container mounts them, and what training_endpoint/.env sets.
resolve_settings() {
  for name in DATASET BASE_MODEL NGINX_CERTIFICATE NGINX_KEY BACKUP_FOLDER; do
    path=$(setting "$name")
    [ -e "$path" ] || continue
    export "$name=$(cd "$(dirname "$path")" && pwd -P)/$(basename "$path")"
  done
  for name in SLACK_URL HUGGINGFACE_TOKEN; do
    value=$(setting "$name")
    [ -z "$value" ] || export "$name=$value"
  done
}

# The public door speaks HTTPS when there are a certificate and its key.
door_scheme() { if [ -n "$(setting NGINX_CERTIFICATE)$(setting NGINX_KEY)" ]; then echo https; else echo http; fi; }

random_hex() { od -An -N"${1:-32}" -tx1 /dev/urandom | tr -d ' \n'; }

# Fernet wants 32 bytes in URL-safe base64.
random_fernet_key() { head -c 32 /dev/urandom | base64 | tr '+/' '-_' | tr -d '\n'; }

# Makes .env from .env.example where there is none; what the environment sets goes into it. An existing .env is the
# user's own: secrets that it lacks are added at its end, and no byte of it changes.
make_env() {
  umask 077
  if [ ! -f .env ]; then
    while IFS= read -r line || [ -n "$line" ]; do
      case $line in
        '# --- Secrets'*) secret=yes ;;
        [A-Z]*=*)
          name=${line%%=*}
          given=$(printenv "$name" || true)
          [ -n "$given" ] || [ -z "${secret:-}" ] || given=$(new_secret "$name")
          [ -z "$given" ] || line=$name=$(quoted "$given")
          ;;
      esac
      printf '%s\n' "$line"
    done <.env.example >.env.new
    mv .env.new .env
    step '.env' 'made from .env.example, with generated secrets'
  fi
  for name in $(secrets); do
    [ -z "$(from_file "$name" .env)" ] || continue
    [ -z "$(tail -c 1 .env)" ] || echo >>.env # its last line has no end
    given=$(printenv "$name" || true)
    printf '%s=%s\n' "$name" "$(quoted "${given:-$(new_secret "$name")}")" >>.env
  done
  chmod 600 .env
  umask 022
  DOTENV=$(cat .env) # a backup holds it
  export DOTENV
}

# The names in the last section of .env.example.
secrets() { sed -n '/^# --- Secrets/,$s/^\([A-Z][A-Z0-9_]*\)=.*/\1/p' .env.example; }

new_secret() {
  case $1 in
    AIRFLOW_FERNET_KEY) random_fernet_key ;;
    MLFLOW_PASSWORD | GRAFANA_PASSWORD | CONSOLE_PASSWORD) random_hex 12 ;; # people type it
    PLATFORM_ID) random_hex 6 ;;
    *) random_hex ;;
  esac
}

# quoted VALUE: as it must stand in .env to be read back as it is
quoted() {
  case $1 in
    *[!A-Za-z0-9_./:@%+,=-]*) printf '"%s"' "$(printf '%s' "$1" | sed 's/[\\"]/\\&/g; s/\$/$$/g')" ;;
    *) printf '%s' "$1" ;;
  esac
}
