# shellcheck shell=sh
# doctor: a line for each thing that an operator would look at, and what to do. Whatever is down, the rest is looked at.

doctor() {
  findings=$(mktemp)
  trap 'rm -f "$findings"' EXIT
  {
    look_at_machine
    look_at_env
    look_at_services
    look_at_database
    look_inside
    look_at_backups
    look_at_certificate
    look_at_clock
  } | while IFS='|' read -r level what found advice; do
    printf '%-8s %-20s %s\n' "$level" "$what" "$found"
    [ "$level" = ok ] || [ -z "$advice" ] || printf '%-29s → %s\n' '' "$advice"
    printf '%s\n' "$level" >>"$findings"
  done
  problems=$(grep -c '^problem$' "$findings" || true)
  warnings=$(grep -c '^warning$' "$findings" || true)
  printf '\n%s problems, %s warnings.\n' "$problems" "$warnings"
  [ "$problems" -eq 0 ]
}

# finding LEVEL WHAT FOUND [WHAT_TO_DO]
finding() { printf '%s|%s|%s|%s\n' "$1" "$2" "$3" "${4:-}"; }

# holds WHAT FOUND CHECK...: one of a launch's checks, whose refusal becomes a problem
holds() {
  what=$1 found=$2
  shift 2
  if said=$( ("$@") 2>&1 >/dev/null); then
    finding ok "$what" "$found"
  else
    finding problem "$what" "$(printf '%s\n' "$said" | sed -n 's/^launch\.sh: //p' | head -n 1)" \
      "$(printf '%s\n' "$said" | sed -n 's/^  → //p' | head -n 1)"
  fi
}

look_at_machine() {
  if [ "${mode:?}" = docker ]; then
    holds engine "$(docker version --format 'Docker {{.Server.Version}}' 2>/dev/null || echo Docker), Compose $(docker compose version --short 2>/dev/null || echo '?')" check_machine
    root=$(docker info --format '{{.DockerRootDir}}' 2>/dev/null || true)
  fi
  [ -d "${root:-}" ] || root=.
  df -Pk "$root" | awk -v root="$root" 'NR == 2 {
    free = $4 / 1000000; share = $4 * 100 / ($3 + $4 + 1)
    level = free < 2 ? "problem" : free < 10 || share < 10 ? "warning" : "ok"
    printf "%s|disk|%.0f GB free at %s|make room: docker system prune frees what no container uses\n", level, free, root}'
  [ ! -r /proc/meminfo ] || awk '/^MemTotal/ {total = $2} /^MemAvailable/ {free = $2} END {
    level = free < total / 20 ? "problem" : free < total / 10 ? "warning" : "ok"
    printf "%s|memory|%.1f of %.1f GB available|end other programs, or lower MODEL_REPLICAS\n", level, free / 1e6, total / 1e6}' /proc/meminfo
}

look_at_env() {
  holds data "of the platform $(setting PLATFORM_ID)" check_owner
  [ "$mode" = native ] || holds ports "$(for name in $(ports); do setting "$name"; printf ' '; done)" check_ports
  holds doors 'each has its secret' check_doors
  holds passwords 'long enough for their services' check_passwords
  # shellcheck disable=SC2012 # the mode alone
  case $(ls -l .env | cut -c 5-10) in
    ------) finding ok .env 'readable for its owner alone' ;;
    *) finding problem .env 'others can read it, and it holds every secret' 'chmod 600 .env' ;;
  esac
  LC_ALL=C awk -f launch/dotenv.awk .env | sed 's/=.*//' | while IFS= read -r name; do
    grep -q "^$name=" .env.example || finding warning .env "$name is no setting of the platform" 'a slip of the pen? .env.example lists them'
  done
  for name in $(secrets); do
    is_secret "$name" || finding warning "$name" 'is short: fewer than 12 characters' "sh launch.sh rotate $name"
  done
  [ "$(setting AIRFLOW_PASSWORD)" != admin ] || finding warning AIRFLOW_PASSWORD 'is admin, as everybody knows' 'set another one in .env, then sh launch.sh'
}

look_at_services() {
  if [ "$mode" = native ]; then
    sh native/platform.sh status 2>/dev/null | awk 'NR > 1 && $1 != "total" {
      if ($3 == "healthy") healthy++
      else printf "problem|service|%s is %s, %s|sh launch.sh logs %s; sh launch.sh starts it\n", $1, $2, $3, $1
    } END {printf "%s|services|%d healthy|sh launch.sh starts them\n", healthy ? "ok" : "problem", healthy}'
    return
  fi
  for project in ${projects:?}; do
    compose "$project" ps --all --format '{{.Service}}|{{.State}}|{{.Health}}|{{.ExitCode}}' 2>/dev/null |
      awk -F'|' -v project="$project" -v wanted="$(compose "$project" config --services 2>/dev/null | tr '\n' ' ')" '{
        seen[$1] = 1
        if ($2 == "running" && ($3 == "healthy" || $3 == "")) healthy++
        else if (!($2 == "exited" && $4 == "0"))
          printf "problem|service|%s is %s%s|sh launch.sh logs %s; sh launch.sh starts it\n", $1, $2, $3 == "" ? "" : ", " $3, $1
      } END {
        count = split(wanted, names, " ")
        for (i = 1; i <= count; i++) if (!(names[i] in seen)) printf "problem|service|%s is not there|sh launch.sh starts it\n", names[i]
        printf "%s|%s|%d healthy|sh launch.sh starts it\n", healthy ? "ok" : "problem", project, healthy
      }'
  done
  ours=$(all_projects_ps '{{.ID}}')
  # shellcheck disable=SC2086 # words
  [ -z "$ours" ] || docker inspect --format '{{.Name}} {{.RestartCount}} {{.State.OOMKilled}}' $ours 2>/dev/null | awk '
    {name = substr($1, 2)}
    $3 == "true" {printf "problem|memory|%s was ended for want of memory|raise its limit: docs/settings/containers.md\n", name}
    $2 > 3 {printf "warning|restarts|%s was started again %d times|its log says why: docker logs %s\n", name, $2, name}'
}

# ask_database FILE: its answer, as name|value lines; nothing and a status of failure where the database is away
ask_database() {
  if [ "$mode" = native ]; then
    [ -x .platform/psql ] && PGCONNECT_TIMEOUT=5 .platform/psql -X --quiet --no-align --tuples-only --file "$1"
  else
    compose db exec -T training-database psql -X --quiet --no-align --tuples-only -U platform -d training <"$1"
  fi 2>/dev/null
}

look_at_database() {
  if ! said=$(ask_database launch/doctor.sql); then
    finding problem 'training database' 'does not answer' 'sh launch.sh logs training-database; sh launch.sh starts it'
    return
  fi
  printf '%s\n' "$said" | grep -v '^now|'
  ahead=$(($(printf '%s\n' "$said" | sed -n 's/^now|\([0-9]*\).*/\1/p') - $(seconds)))
  [ "${ahead#-}" -le 5 ] || finding problem clock "the database's is $ahead s away from this machine's" 'let both follow a time server'
}

# In whichever of our containers runs and has a Python.
look_inside() {
  if [ "$mode" = native ]; then
    sh native/platform.sh python - <launch/doctor.py 2>/dev/null || finding problem services 'cannot be asked' 'sh launch.sh'
    return
  fi
  for place in training_endpoint/training-endpoint db/training-trigger mlflow_server/tracking-server \
    model_endpoint/model-endpoint airflow/airflow-apiserver; do
    [ -n "$(compose "${place%/*}" ps --status running --quiet "${place#*/}" 2>/dev/null)" ] || continue
    PLATFORM_TOKEN=$(setting PLATFORM_TOKEN) compose "${place%/*}" exec -T -e PLATFORM_TOKEN \
      -e RELAY_URL=http://training-trigger:9997 -e MLFLOW_TRACKING_URI=http://tracking-server:5001 \
      -e TRAINING_URL=http://training-endpoint:9999 -e AIRFLOW_URL=http://airflow-apiserver:8080 \
      -e MODEL_ENDPOINTS=model-endpoint:9998 -e "MODEL_REPLICAS=$(setting MODEL_REPLICAS)" \
      "${place#*/}" python - <launch/doctor.py 2>/dev/null && return
  done
  finding problem services 'none runs that could ask the others' 'sh launch.sh'
}

look_at_backups() {
  nightly=$(setting BACKUP_FOLDER)
  newest=$(cut -d ' ' -f 1 .platform/last-backup 2>/dev/null || echo 0)
  if [ -n "$nightly" ]; then
    kept=$(find "$nightly" -name "$(setting PLATFORM_ID)-*.backup" 2>/dev/null | sort)
    count=$(printf '%s' "$kept" | grep -c . || true)
    if [ -n "$(find "$nightly" -name "$(setting PLATFORM_ID)-*.backup" -mtime -2 2>/dev/null)" ]; then
      finding ok backup "$count in $nightly, the oldest is $(basename "$(printf '%s\n' "$kept" | head -n 1)")"
    else
      finding problem backup "none of the last two nights is in $nightly" 'sh launch.sh logs backup'
    fi
  elif [ "$newest" -eq 0 ]; then
    finding warning backup 'none was ever made' 'sh launch.sh backup FILE, or each night: BACKUP_FOLDER in .env'
  else
    days=$((($(seconds) - newest) / 86400))
    level=ok
    [ "$days" -le 7 ] || level=warning
    finding "$level" backup "the newest is $days days old" 'sh launch.sh backup FILE, or each night: BACKUP_FOLDER in .env'
  fi
}

look_at_certificate() {
  [ "$(door_scheme)" = https ] || return 0
  holds certificate 'and key are there' check_certificate
  certificate=$(setting NGINX_CERTIFICATE)
  if ! command -v openssl >/dev/null 2>&1; then
    finding warning certificate 'its end is not known: there is no openssl on this machine' 'install openssl'
    return
  fi
  until=$(openssl x509 -noout -enddate -in "$certificate" 2>/dev/null | cut -d = -f 2)
  if [ -z "$until" ]; then
    finding problem certificate "$certificate is none" 'NGINX_CERTIFICATE wants a file in PEM'
  elif ! openssl x509 -noout -checkend 0 -in "$certificate" >/dev/null; then
    finding problem certificate "ended on $until" 'renew it, then sh launch.sh'
  elif ! openssl x509 -noout -checkend 1209600 -in "$certificate" >/dev/null; then
    finding warning certificate "ends on $until" 'renew it, then sh launch.sh'
  elif used=$(used_certificate) && [ "$used" != "$(openssl x509 -noout -fingerprint -in "$certificate")" ]; then
    finding warning certificate 'nginx still uses the one before' 'sh launch.sh has it read the renewed one'
  else
    finding ok certificate "good until $until"
  fi
}

# The fingerprint of what nginx shows; status 1 where it does not answer.
used_certificate() {
  address=$(setting BIND_ADDRESS)
  [ "$address" != 0.0.0.0 ] || address=127.0.0.1
  openssl s_client -connect "$address:$(setting NGINX_PORT)" </dev/null 2>/dev/null | openssl x509 -noout -fingerprint 2>/dev/null
}

look_at_clock() {
  command -v timedatectl >/dev/null 2>&1 || return 0
  case $(timedatectl show --property NTPSynchronized --value 2>/dev/null) in
    yes) finding ok clock 'follows a time server' ;;
    no) finding warning clock 'follows no time server' 'timedatectl set-ntp true' ;;
  esac
}

# For status: what is not trained on, where there is something.
show_backlog() {
  said=$(ask_database launch/backlog.sql || true)
  [ -z "$said" ] || printf '\n%s\n' "$said"
}
