#!/bin/sh
# Starts the whole platform on this machine and ends with a trained Champion that answers.
#
#   sh launch.sh                    check, build, start, train the first Champion where there is none
#   sh launch.sh status             every service with its health, and the version that is served
#   sh launch.sh logs [SERVICE]     the last log lines of all services, or of one (add -f to follow)
#   sh launch.sh down [--volumes]   stop; all data is kept unless --volumes is given
#
#   sh launch.sh history [--verify]                  who decided what is served, when and why; --verify proves it
#   sh launch.sh promote VERSION --reason WHY        serve a version, whatever was measured; --pin holds it
#   sh launch.sh rollback --reason WHY               serve the Champion before this one, and hold it
#   sh launch.sh unpin --reason WHY                  let training's verdicts decide again
#
# --native before a command runs plain processes instead of containers; it is what happens anyway
# where no Docker Engine answers.
set -eu
cd "$(dirname "$0")"

. launch/words.sh
. launch/settings.sh
. launch/tokens.sh
. launch/checks.sh
. launch/containers.sh
. launch/replicas.sh
. launch/first_run.sh
. launch/release.sh

usage() { sed -n '2,/^set -eu/{/^#/s/^# \{0,1\}//p;}' launch.sh; }

choose_mode() { # what was asked for, else what runs already, else what this machine can do
  if [ "${1:-}" = --native ]; then
    mode=native
  elif [ -f .platform/mode ]; then
    mode=$(cat .platform/mode)
  elif engine_answers; then
    mode=docker
  else
    mode=native
  fi
}

remember_mode() {
  mkdir -p .platform
  printf '%s\n' "$mode" >.platform/mode
}

up() {
  if [ "$mode" = native ]; then
    headline 'No containers: the platform runs as plain processes (docs/native.md)'
    make_env
    hand_tokens_over
    check_certificate
    check_doors
    remember_mode
    sh native/platform.sh up
  else
    check_machine
    make_env
    hand_tokens_over
    check_certificate
    check_doors
    check_ports
    remember_mode
    build_images
    start_projects
  fi
  train_what_is_new
  show_next_steps
}

choose_mode "${1:-}"
check_env
resolve_settings
[ "${1:-}" = --native ] && shift
command=${1:-up}
[ $# -gt 0 ] && shift

case $command in
  up) up ;;
  promote | rollback | unpin | history)
    [ -f .env ] || fail 'nothing was launched from this folder yet' 'sh launch.sh'
    make_env # a newer version may want secrets that this one's launch did not make
    release_desk "$command" "$@"
    ;;
  status | logs | down)
    [ -f .env ] || fail 'nothing was launched from this folder yet' 'sh launch.sh'
    make_env # a newer version may want secrets that this one's launch did not make
    if [ "$mode" = native ]; then
      sh native/platform.sh "$command" "$@"
    else
      "${command}_containers" "$@"
    fi
    [ "$command" != status ] || show_served_version
    [ "$command" != down ] || rm -f .platform/mode
    ;;
  -h | --help | help) usage ;;
  *)
    usage >&2
    fail "unknown command: $command" 'sh launch.sh --help'
    ;;
esac
