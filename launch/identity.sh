# shellcheck shell=sh
# Whose data is here. A platform has an id, PLATFORM_ID in .env, and its data bears it: in containers an empty volume of
# its own beside the others (a label cannot be put on a volume later), without them a file in the data folder.

# found_id: of the platform whose data is here; nothing where there is no data, or data from before there were ids
found_id() {
  if [ "${mode:?}" = native ]; then
    cat .platform/data/platform-id 2>/dev/null || true
  else
    docker volume inspect "$(id_volume)" --format '{{index .Labels "platform.id"}}' 2>/dev/null || true
  fi
}

# found_folder: whence that platform was launched
found_folder() {
  if [ "$mode" = native ]; then
    pwd -P
    return
  fi
  folder=$(docker volume inspect "$(id_volume)" --format '{{index .Labels "platform.folder"}}' 2>/dev/null || true)
  printf '%s' "${folder:-$(containers_folder)}"
}

id_volume() { printf '%smlops_platform' "$(setting PROJECT_PREFIX)"; }

# containers_folder: whence the containers of this name were launched, running or not
containers_folder() {
  folder=$(docker ps --all --filter "label=com.docker.compose.project=$(setting PROJECT_PREFIX)mlflow_server" \
    --format '{{.Label "com.docker.compose.project.working_dir"}}' | head -n 1)
  printf '%s' "${folder%/mlflow_server}"
}

has_data() {
  if [ "$mode" = native ]; then
    [ -e .platform/data/postgres/cluster/PG_VERSION ]
  else
    for project in ${projects:?}; do
      volumes=$(docker volume ls --quiet --filter "label=com.docker.compose.project=$(setting PROJECT_PREFIX)$project")
      [ -z "$volumes" ] || return 0
    done
    return 1
  fi
}

# Before any effect: the data that is here must be this folder's, and not that of another clone or of a lost .env.
check_owner() {
  ours=$(setting PLATFORM_ID)
  theirs=$(found_id)
  if [ -n "$theirs" ]; then
    [ "$theirs" = "$ours" ] || refuse_data "with the id $theirs"
  elif has_data && ! env_opens_data; then # from before there were ids: its .env is that which opens it
    refuse_data 'of an earlier launch'
  fi
}

# refuse_data WHICH
refuse_data() {
  where=$(found_folder)
  if [ ! -f .env ]; then
    reason='this folder has no .env to open it with'
  elif [ -n "$theirs" ]; then
    reason="PLATFORM_ID in .env is ${ours:-not set}"
  else
    reason='the passwords in .env do not open it'
  fi
  [ "$mode" = native ] || second='or leave it alone and run a second platform beside it: another PROJECT_PREFIX, and other ports, in .env'
  fail "there is data here of a platform $1${where:+, launched from $where}, and $reason" \
    "if it is yours: put its .env back into $(pwd -P), then sh launch.sh" \
    'or go back to a backup of it: sh launch.sh restore FILE --yes' \
    ${second:+"$second"} \
    "or delete it: PLATFORM_ID=${theirs:-unknown} sh launch.sh down --volumes"
}

# Whether this folder's .env has the passwords of data that bears no id.
env_opens_data() {
  [ "$(printenv PLATFORM_ID)" != unknown ] || return 0 # the way out that refuse_data names
  [ -f .env ] || return 1
  [ "$mode" != native ] || return 0 # .platform belongs to this folder alone
  server=$(docker ps --quiet --filter "label=com.docker.compose.project=$(setting PROJECT_PREFIX)mlflow_server" \
    --filter label=com.docker.compose.service=backend-store)
  if [ -n "$server" ]; then
    opens_server "$server"
    return
  fi
  server=$(docker run --detach --rm -v "$(setting PROJECT_PREFIX)mlflow_server_backend-store-data:/var/lib/postgresql/data" \
    "$(setting POSTGRES_IMAGE)") || return 1
  opened=0
  opens_server "$server" || opened=1
  docker stop --signal INT "$server" >/dev/null 2>&1 || true
  return "$opened"
}

# opens_server CONTAINER: asked by its address in the network, where it wants a password
opens_server() {
  deadline=$(($(seconds) + 30))
  until docker exec "$1" pg_isready --quiet --host 127.0.0.1 2>/dev/null; do
    [ "$(seconds)" -lt "$deadline" ] && [ -n "$(docker ps --quiet --no-trunc --filter "id=$1")" ] || return 1
    sleep 0.2
  done
  # shellcheck disable=SC2016 # expanded in the container
  PGPASSWORD=$(setting BACKEND_STORE_PASSWORD) docker exec --env PGPASSWORD "$1" \
    sh -c 'exec psql -X -q -h "$(hostname -i | cut -d" " -f1)" -U mlflow -d mlflow -c "SELECT 1"' >/dev/null 2>&1
}

# Writes the id to the data; from now on it is this folder's.
claim_data() {
  if [ "$mode" = native ]; then
    mkdir -p .platform/data
    setting PLATFORM_ID >.platform/data/platform-id
    return
  fi
  [ "$(found_id) $(found_folder)" != "$(setting PLATFORM_ID) $(pwd -P)" ] || return 0
  docker volume rm "$(id_volume)" >/dev/null 2>&1 || true
  docker volume create --label "platform.id=$(setting PLATFORM_ID)" --label "platform.folder=$(pwd -P)" "$(id_volume)" >/dev/null
}

# After the data is gone.
disown_data() { [ "$mode" = native ] || docker volume rm "$(id_volume)" >/dev/null 2>&1 || true; }

# confirm WHAT WORDS...: asks, unless --yes is among the words; where nobody can answer it refuses
confirm() {
  what=$1
  shift
  case " $* " in *' --yes '*) return 0 ;; esac
  [ -t 0 ] || fail "$what" 'nobody can be asked here: add --yes'
  printf '%s\nType yes to go on: ' "$what"
  read -r answer || answer=''
  [ "$answer" = yes ] || fail 'nothing was changed'
}
