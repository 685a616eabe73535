# shellcheck shell=sh
# The compose projects: build, start, status, logs, down.

# In the order of starting; mlflow_server owns the network of all.
projects='mlflow_server db training_endpoint model_endpoint nginx airflow'

# add_monitoring WITH COMMAND: where it is asked for, and from then on until down
add_monitoring() {
  own="label=com.docker.compose.project=$(setting PROJECT_PREFIX)monitoring"
  found=$(docker ps --all --quiet --filter "$own" 2>/dev/null || true)
  [ "$2" != down ] || found=$found$(docker volume ls --quiet --filter "$own" 2>/dev/null || true)
  [ -z "$1$found" ] || projects="$projects monitoring"
}

has_monitoring() { case $projects in *' monitoring') ;; *) return 1 ;; esac; }

gpu_runtime() { docker info --format '{{json .Runtimes}}' 2>/dev/null | grep -q nvidia; }

# compose PROJECT ARGUMENTS...: with the override files that this machine and .env ask for
compose() {
  project=$1
  shift
  if [ -f "$project/compose.gpu.yaml" ] && gpu_runtime; then set -- -f "$project/compose.gpu.yaml" "$@"; fi
  if [ "$project" = mlflow_server ] && [ -n "$(setting BACKUP_FOLDER)" ]; then set -- -f mlflow_server/compose.backup.yaml "$@"; fi
  if [ "$project" = training_endpoint ]; then
    [ ! -e "${DATASET:-}" ] || set -- -f training_endpoint/compose.dataset.yaml "$@"
    [ ! -e "${BASE_MODEL:-}" ] || set -- -f training_endpoint/compose.base_model.yaml "$@"
  fi
  set -- --ansi never --env-file .env -f "$project/compose.yaml" "$@"
  if [ -n "${instead:-}" ]; then exec docker compose "$@"; fi
  docker compose "$@"
}

# guarded compose ARGUMENTS...: in a background shell, so that a TERM for that shell ends it too
guarded() {
  (instead=yes && "$@") &
  child=$!
  trap 'kill "$child" 2>/dev/null; exit 143' TERM
  wait "$child"
}

# all_projects_ps FORMAT: our containers, running or not, on one line
all_projects_ps() {
  for project in $projects; do
    docker ps --all --filter "label=com.docker.compose.project=$(setting PROJECT_PREFIX)$project" --format "$1"
  done | tr '\n' ' '
}

build_images() {
  headline 'Building the images (the first time takes some minutes)'
  CODE_VERSION=$(git describe --always --dirty 2>/dev/null || echo unknown)
  export CODE_VERSION
  mkdir -p .platform/log
  for project in mlflow_server db training_endpoint model_endpoint airflow; do
    began=$(seconds)
    log=.platform/log/build-$project.log
    compose "$project" build --progress plain >"$log" 2>&1 || {
      tail -n 25 "$log" >&2
      fail "the image of $project could not be built" "the whole log: $log" 'is the network there? then run sh launch.sh again, it continues'
    }
    step "$project" "built ($(($(seconds) - began)) s)"
  done
}

# What an image reads from a file stands in no environment. The folder keeps others out, not the files: in a container
# another user reads them. Written in place: who has it mounted while it runs, as Prometheus, then reads the new one.
write_secrets() {
  mkdir -p .platform/secrets
  chmod 700 .platform/secrets
  sed -n 's|.*{file: \.\./\.platform/secrets/\([A-Z_]*\)}.*|\1|p' ./*/compose.yaml | while IFS= read -r name; do
    [ ! -e ".platform/secrets/$name" ] || chmod 600 ".platform/secrets/$name" 2>/dev/null || rm -f ".platform/secrets/$name"
    setting "$name" >".platform/secrets/$name"
    chmod 444 ".platform/secrets/$name"
  done
}

# Only the network must be first; all wait for their peers themselves, so they start side by side.
start_projects() {
  headline 'Starting'
  write_secrets
  write_door
  compose mlflow_server up --detach --no-build >.platform/log/up-mlflow_server.log 2>&1 || explain_failure mlflow_server
  began=$(seconds)
  starting=''
  # What is in the background ends with this script, however that ends.
  trap '[ -z "$starting" ] || kill $starting 2>/dev/null' EXIT
  trap 'exit 130' INT
  trap 'exit 143' TERM
  for project in $projects; do
    start_project "$project" >".platform/log/up-$project.log" 2>&1 &
    eval "waiting_$project=$!"
    starting="$starting $!"
  done
  for project in $projects; do
    eval "wait \$waiting_$project" || explain_failure "$project"
    step "$project" "healthy ($(($(seconds) - began)) s)"
  done
  trap - EXIT INT TERM
}

start_project() {
  trap - EXIT INT
  if [ "$1" = model_endpoint ]; then
    start_replicas
  else
    guarded compose "$1" up --detach --no-build --wait --wait-timeout 420
  fi || return 1
  case $1 in
    nginx) reload_nginx ;;
    monitoring) compose monitoring kill --signal HUP prometheus ;; # it reads its files again
  esac
}

# explain_failure PROJECT: names the service, shows its last words, says what to do
explain_failure() {
  bad=$(compose "$1" ps --all --format '{{.Service}} {{.State}} {{.Health}} {{.ExitCode}}' |
    awk '!($2 == "running" && ($3 == "healthy" || $3 == "")) && !($2 == "exited" && $NF == "0") {print $1; exit}')
  if [ -z "$bad" ]; then
    tail -n 15 ".platform/log/up-$1.log" >&2
    fail "$1 did not start" 'sh launch.sh status' 'sh launch.sh tries again'
  fi
  compose "$1" logs --no-log-prefix --tail 25 "$bad" >&2
  fail "the service $bad of $1 is not healthy; its last log lines stand above" "sh launch.sh logs $bad" 'when mended: sh launch.sh'
}

status_containers() {
  printf '%-26s %-12s %-10s %s\n' SERVICE STATE HEALTH SINCE
  for project in $projects; do
    compose "$project" ps --all --format '{{.Service}}|{{.State}}|{{.Health}}|{{.Status}}'
  done | awk -F'|' '$2 != "exited" || $4 !~ /\(0\)/ {printf "%-26s %-12s %-10s %s\n", $1, $2, $3, $4}'
}

# logs_containers [SERVICE] [-f]
logs_containers() {
  service='' follow=''
  for word in "$@"; do
    case $word in -f | --follow) follow=--follow ;; *) service=$word ;; esac
  done
  if [ -z "$service" ]; then
    for project in $projects; do compose "$project" logs --tail 20; done
    return
  fi
  for project in $projects; do
    if [ "$service" = "$project" ] || compose "$project" config --services | grep -qx "$service"; then
      [ "$service" = "$project" ] && service=''
      # shellcheck disable=SC2086 # both may be empty, which means nothing
      compose "$project" logs --tail 200 $follow $service
      return
    fi
  done
  fail "no service is called $service" 'sh launch.sh status names them all'
}

# down_containers [--volumes]
down_containers() {
  mkdir -p .platform/log
  reversed=''
  for project in $projects; do reversed="$project $reversed"; done
  for project in $reversed; do
    compose "$project" down --remove-orphans "$@" >/dev/null 2>".platform/log/down-$project.log" || {
      cat ".platform/log/down-$project.log" >&2
      fail "$project could not be stopped" 'docker ps shows what still runs'
    }
    step "$project" 'stopped'
  done
  case " $* " in *' --volumes '*) echo 'All data is deleted.' ;; *) echo 'All data is kept: sh launch.sh brings it back.' ;; esac
}
