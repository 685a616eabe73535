# shellcheck shell=sh
# The replicas are replaced, added and taken away one by one, so that somebody answers all the while.

# replicas FORMAT: a line for each that there is, the newest first
replicas() {
  docker ps --all --no-trunc --filter "label=com.docker.compose.project=$(setting PROJECT_PREFIX)model_endpoint" \
    --filter label=com.docker.compose.service=model-endpoint --format "$1"
}

# present_replicas: those that are as they should be; the others run something else, or do not run, or hang
present_replicas() {
  hash=$(compose model_endpoint config --hash model-endpoint | awk '{print $2}')
  image=$(docker image inspect --format '{{.Id}}' "$(setting PROJECT_PREFIX)mlops-model-endpoint")
  replicas '{{.ID}} {{.State}} {{.Label "com.docker.compose.config-hash"}} {{.Label "com.docker.compose.image"}} {{.Status}}' |
    awk -v hash="$hash" -v image="$image" '$2 == "running" && $3 == hash && $4 == image && !/\(unhealthy\)/ {print $1}'
}

other_replicas() { replicas '{{.ID}}' | grep -vxF "$(present_replicas | grep . || echo none)" || true; }

count() { printf '%s' "$1" | grep -c . || true; }

# The new ones come first, each ready before one of the old goes; a new one that is not ready leaves the old as they are.
start_replicas() {
  wanted=$(setting MODEL_REPLICAS)
  if [ -z "$(replicas '{{.ID}}')" ]; then
    guarded compose model_endpoint up --detach --no-build --wait --wait-timeout 420
    return
  fi
  while old=$(other_replicas) && [ "$(count "$(present_replicas)")" -lt "$wanted" ]; do
    add_replica || return 1
    for one in $old; do
      remove_replica "$one"
      break
    done
  done
  for one in $(other_replicas); do remove_replica "$one"; done
  present=$(present_replicas)
  for one in $(printf '%s\n' "$present" | awk -v more="$(($(count "$present") - wanted))" 'NR <= more'); do remove_replica "$one"; done
}

add_replica() {
  before=$(replicas '{{.ID}}')
  guarded compose model_endpoint up --detach --no-build --no-recreate --scale "model-endpoint=$(($(count "$before") + 1))" || return 1
  added=$(replicas '{{.ID}}' | grep -vxF "${before:-none}")
  deadline=$(($(seconds) + 420))
  # Without a Champion nobody serves one; else one that does must not go before the new one does.
  served=''
  for one in $before; do ! serves "$one" || served=yes; done
  while health=$(docker inspect --format '{{.State.Health.Status}}' "$added" || echo gone) &&
    ! { [ "$health" = healthy ] && { [ -z "$served" ] || serves "$added"; }; }; do
    case $health in starting | healthy) ;; *) deadline=0 ;; esac
    if [ "$(seconds)" -gt "$deadline" ]; then
      docker logs --tail 25 "$added"
      [ -z "$before" ] || docker rm --force "$added"
      return 1
    fi
    sleep 0.5
  done
}

# serves ID: whether that replica answers from a model
serves() {
  docker exec "$1" python -c 'import urllib.request as r; r.urlopen("http://127.0.0.1:9998/ready", timeout=5)' >/dev/null 2>&1
}

# remove_replica ID: it answers what it was asked, then goes
remove_replica() {
  docker stop "$1" || true # one that is paused cannot be asked to end
  docker rm --force "$1"
}
