# shellcheck shell=sh
# What must hold before the first effect. Each check says what it wants, what it found, what to do.

wanted_engine=25.0
wanted_compose=2.20
wanted_memory_gb=6
wanted_disk_gb=12

engine_answers() { command -v docker >/dev/null 2>&1 && docker info >/dev/null 2>&1; }

# at_least FOUND WANTED: compares dotted versions
at_least() { [ "$(printf '%s\n%s\n' "$2" "$1" | sort -t. -k1,1n -k2,2n -k3,3n | head -n 1)" = "$2" ]; }

check_machine() {
  headline 'Checking this machine'
  engine_answers || fail 'no Docker Engine answers' 'start it (systemctl start docker, or Docker Desktop)' 'or run without containers: sh launch.sh --native'
  engine=$(docker version --format '{{.Server.Version}}' | sed 's/[^0-9.].*//')
  at_least "$engine" "$wanted_engine" || fail "Docker Engine $wanted_engine or newer is wanted, found $engine" 'https://docs.docker.com/engine/install/'
  step 'Docker Engine' "$engine (wanted $wanted_engine or newer)"

  compose=$(docker compose version --short 2>/dev/null | sed 's/^v//; s/[^0-9.].*//')
  [ -n "$compose" ] || fail "Docker Compose $wanted_compose or newer is wanted, found none" 'https://docs.docker.com/compose/install/linux/'
  at_least "$compose" "$wanted_compose" || fail "Docker Compose $wanted_compose or newer is wanted, found $compose" 'https://docs.docker.com/compose/install/linux/'
  step 'Docker Compose' "$compose (wanted $wanted_compose or newer)"

  memory=$(($(docker info --format '{{.MemTotal}}') / 1000000000))
  [ "$memory" -ge "$wanted_memory_gb" ] || fail "$wanted_memory_gb GB of memory are wanted, the engine has $memory GB" 'close other programs, or give Docker Desktop more memory in its settings'
  step 'Memory' "$memory GB (wanted $wanted_memory_gb GB)"

  root=$(docker info --format '{{.DockerRootDir}}')
  [ -d "$root" ] || root=. # Docker Desktop keeps its data in a virtual machine
  disk=$(($(df -Pk "$root" | awk 'NR == 2 {print $4}') / 1000000))
  prefix=$(setting PROJECT_PREFIX)
  if [ "$disk" -lt "$wanted_disk_gb" ] && ! docker image inspect "${prefix}mlops-model-endpoint" >/dev/null 2>&1; then
    fail "$wanted_disk_gb GB of free disk are wanted at $root, found $disk GB" 'docker system prune frees what no container uses'
  fi
  step 'Free disk' "$disk GB (wanted $wanted_disk_gb GB for the first build)"
}

# holder PORT: who listens on it, in words; nothing where it is free
holder() {
  name=$(docker ps --filter "publish=$1" --format '{{.Names}} (container)' 2>/dev/null | head -n 1)
  if [ -z "$name" ] && command -v ss >/dev/null 2>&1; then
    line=$(ss -Hltnp "sport = :$1" 2>/dev/null | head -n 1)
    [ -z "$line" ] || name=$(printf '%s' "$line" | sed -n 's/.*users:(("\([^"]*\)",pid=\([0-9]*\).*/\1 (pid \2)/p')
    [ -z "$line" ] || name=${name:-another program}
  elif [ -z "$name" ] && command -v lsof >/dev/null 2>&1; then
    name=$(lsof -nP -iTCP:"$1" -sTCP:LISTEN 2>/dev/null | awk 'NR == 2 {print $1 " (pid " $2 ")"}')
  elif [ -z "$name" ] && [ -r /proc/net/tcp ]; then
    hex=$(printf '%04X' "$1")
    ! awk -v port=":$hex" '$4 == "0A" && index($2, port) {found = 1} END {exit !found}' /proc/net/tcp || name='another program'
  fi
  printf '%s' "$name"
}

# ports: the settings that name them
ports() {
  echo NGINX_PORT AIRFLOW_PORT MLFLOW_PORT TRAINING_PORT DATABASE_PORT
  ! has_monitoring || echo GRAFANA_PORT PROMETHEUS_PORT
}

check_ports() {
  check_clone
  ours=$(all_projects_ps '{{.Names}}')
  for name in $(ports); do
    port=$(setting "$name")
    who=$(holder "$port")
    [ -n "$who" ] || continue
    case " $ours " in *" ${who%% *} "*) continue ;; esac
    fail "port $port is taken by $who" "stop it, or set another $name in .env and run sh launch.sh again"
  done
  step 'Ports' 'free'
}

# One without the other, or a wrong path, would end in a door that does not open.
check_certificate() {
  [ "$(door_scheme)" = https ] || return 0
  for name in NGINX_CERTIFICATE NGINX_KEY; do
    path=$(setting "$name")
    [ -n "$path" ] || fail "$name is not set in .env, the other one of NGINX_CERTIFICATE and NGINX_KEY is" 'set both for HTTPS, or neither for HTTP'
    [ -f "$path" ] || fail "$name in .env is $path: there is no such file" 'give a path from here, or an absolute one'
    [ -r "$path" ] || fail "$name in .env is $path: $(id -un) may not read it" 'let whoever launches read it'
  done
}

# Each door but nginx's lets whoever comes through change something, so none is opened to others without its secret.
check_doors() {
  check_secrets
  ! is_public BIND_ADDRESS || [ -z "$(setting FEEDBACK_TOKEN)" ] || is_secret FEEDBACK_TOKEN ||
    refuse_door BIND_ADDRESS 'the public door' 'FEEDBACK_TOKEN, with which training rows are written, is short' 'set FEEDBACK_TOKEN in .env to 12 characters or more, or delete the line'
  for name in BIND_ADDRESS TRAINING_BIND_ADDRESS; do
    ! is_public "$name" || [ -z "$(setting CONSOLE_PASSWORD)" ] || is_secret CONSOLE_PASSWORD ||
      refuse_door "$name" 'the console' 'its password is short' 'set CONSOLE_PASSWORD in .env to 12 characters or more, or delete the line'
  done
  is_public AIRFLOW_BIND_ADDRESS && [ "$(setting AIRFLOW_PASSWORD)" = admin ] &&
    refuse_door AIRFLOW_BIND_ADDRESS Airflow 'its password is admin' 'set AIRFLOW_PASSWORD in .env'
  if is_public MLFLOW_BIND_ADDRESS; then
    [ "$(setting MLFLOW_AUTH)" = on ] || refuse_door MLFLOW_BIND_ADDRESS MLflow 'it asks nobody for an account' 'set MLFLOW_AUTH=on in .env'
    is_secret MLFLOW_PASSWORD || refuse_door MLFLOW_BIND_ADDRESS MLflow 'its password is empty or short' 'set MLFLOW_PASSWORD in .env to 12 characters or more'
  fi
  if is_public TRAINING_BIND_ADDRESS; then
    is_secret PLATFORM_TOKEN || refuse_door TRAINING_BIND_ADDRESS 'the training endpoint' 'its token is empty or short' 'set PLATFORM_TOKEN in .env to 12 characters or more, or delete the line'
  fi
  ! is_public GRAFANA_BIND_ADDRESS || is_secret GRAFANA_PASSWORD ||
    refuse_door GRAFANA_BIND_ADDRESS Grafana 'its password is empty or short' 'set GRAFANA_PASSWORD in .env to 12 characters or more, or delete the line'
  if is_public DATABASE_BIND_ADDRESS; then
    for name in TRAINING_DATABASE_PASSWORD TRAINING_SUPERUSER_PASSWORD SERVING_DATABASE_PASSWORD; do
      is_secret "$name" || refuse_door DATABASE_BIND_ADDRESS 'the training database' "$name is empty or short" "set $name in .env to 12 characters or more"
    done
  fi
}

# In containers a folder that is not there would be made by the engine, for root alone.
check_backup_folder() {
  case $(setting BACKUP_PREDICTION_LOG) in
    on | off) ;;
    *) fail "BACKUP_PREDICTION_LOG in .env is $(setting BACKUP_PREDICTION_LOG): it must be on or off" ;;
  esac
  nightly=$(setting BACKUP_FOLDER)
  [ -z "$nightly" ] || [ -d "$nightly" ] ||
    fail "BACKUP_FOLDER in .env is $nightly: there is no such folder" "mkdir -p '$nightly', for uid 1000 to write to (without containers: for NATIVE_USER)"
}

# What a service would refuse after its start.
check_passwords() {
  for name in MLFLOW_PASSWORD MLFLOW_TRAINING_PASSWORD MLFLOW_SERVING_PASSWORD; do
    [ "$(setting MLFLOW_AUTH)" != on ] || is_secret "$name" ||
      fail "$name in .env is too short: MLflow wants at least 12 characters" "sh launch.sh rotate $name makes one"
  done
  for key in $(setting AIRFLOW_FERNET_KEY | tr ',' ' '); do
    printf '%s\n' "$key" | grep -Eqx '[A-Za-z0-9_-]{43}=' ||
      fail 'AIRFLOW_FERNET_KEY in .env is not a key: 32 bytes in URL-safe base64 are wanted' 'sh launch.sh rotate AIRFLOW_FERNET_KEY makes one'
  done
}

is_public() { case $(setting "$1") in 127.* | localhost | ::1 | '[::1]') return 1 ;; esac; }

# 12 characters or more, and not the same few again and again.
is_secret() {
  secret=$(setting "$1")
  [ "${#secret}" -ge 12 ] && [ "$(printf '%s' "$secret" | fold -w 1 | sort -u | wc -l)" -ge 5 ]
}

is_plain() { [ -z "$(printf '%s' "$1" | LC_ALL=C tr -d ' -~' | tr '\n' n)" ]; }

# Secrets travel in HTTP headers, and a role whose password is the superuser's is a superuser too.
check_secrets() {
  for name in $(secrets) MLFLOW_USER; do
    is_plain "$(setting "$name")" || fail "$name in .env has a character that is not on every keyboard" 'letters, digits, blanks and punctuation of ASCII can be sent everywhere'
  done
  case $(setting MLFLOW_USER) in *:*) fail 'MLFLOW_USER in .env has a colon, which ends the name where one logs in' 'choose a name without one' ;; esac
  superuser=$(setting TRAINING_SUPERUSER_PASSWORD)
  for name in TRAINING_DATABASE_PASSWORD SERVING_DATABASE_PASSWORD BACKEND_STORE_PASSWORD AIRFLOW_DATABASE_PASSWORD; do
    [ -z "$superuser" ] || [ "$(setting "$name")" != "$superuser" ] ||
      fail "$name and TRAINING_SUPERUSER_PASSWORD are the same in .env: whoever knows the one is superuser" 'delete the line of TRAINING_SUPERUSER_PASSWORD, and run sh launch.sh, which makes a new one'
  done
}

# refuse_door SETTING WHOSE WHY WHAT_TO_DO
refuse_door() {
  fail "$1 is $(setting "$1"), which opens $2 to others while $3" "$4" "or leave $1 at 127.0.0.1" 'docs/security.md says what each door lets through'
}

# Two clones would share containers, networks and volumes by name.
check_clone() {
  folder=$(containers_folder)
  [ -z "$folder" ] || [ "$folder" = "$(pwd -P)" ] || [ "$folder" = "$(pwd)" ] ||
    [ ! -f "$folder/.env" ] || # moved here
    fail "a platform of the folder $folder is on this machine already" \
      "stop it: sh '$folder/launch.sh' down" \
      'or set PROJECT_PREFIX and other ports in .env to run a second one beside it'
}
