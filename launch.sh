#!/bin/sh
# Starts the whole platform on this machine and ends with a trained Champion that answers.
#
#   sh launch.sh                    check, build, start, train the first Champion where there is none
#   sh launch.sh --with monitoring  beside all that Prometheus and Grafana (docs/monitoring.md); kept until down
#   sh launch.sh status             every service with its health, and the version that is served
#   sh launch.sh doctor             all that an operator would look at, a line each, and what to do; status 1 for a problem
#   sh launch.sh logs [SERVICE]     the last log lines of all services, or of one (add -f to follow)
#   sh launch.sh down               stop; all data is kept
#   sh launch.sh down --volumes     stop and delete all data; asks first, unless --yes is given
#
#   sh launch.sh backup FILE            one consistent set of everything, taken while it runs
#   sh launch.sh restore FILE [--yes]   start from it, here or on another machine, with or without containers
#   sh launch.sh rotate [NAME...]       new passwords and tokens in .env, and everywhere that they are known
#
#   sh launch.sh history [--verify]                  who decided what is served, when and why; --verify proves it
#   sh launch.sh promote VERSION --reason WHY        serve a version, whatever was measured; --pin holds it
#   sh launch.sh rollback --reason WHY               serve the Champion before this one, and hold it
#   sh launch.sh clean [--dry-run]                   remove now what is kept no longer (docs/growth.md), or say what that is
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
. launch/identity.sh
. launch/containers.sh
. launch/door.sh
. launch/replicas.sh
. launch/first_run.sh
. launch/backup.sh
. launch/rotate.sh
. launch/doctor.sh
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

was_launched() { [ -f .env ] || fail 'nothing was launched from this folder yet' 'sh launch.sh'; }

remember_mode() {
  mkdir -p .platform
  printf '%s\n' "$mode" >.platform/mode
}

# Before the first effect of a launch: all that .env says.
prepare_env() {
  make_env # a newer version may want secrets that this one's launch did not make
  check_certificate
  check_doors
  check_passwords
  check_backup_folder
  [ "$mode" = native ] || check_ports
  remember_mode
  claim_data
  hand_tokens_over
}

up() {
  [ $# -eq 0 ] || fail "a launch does not know $1" 'sh launch.sh --help'
  if [ "$mode" = native ]; then
    headline 'No containers: the platform runs as plain processes (docs/native.md)'
  else
    check_machine
  fi
  check_owner
  prepare_env
  [ "$mode" = native ] || build_images
  start_platform
}

start_platform() {
  if [ "$mode" = native ]; then sh native/platform.sh up; else start_projects; fi
  train_what_is_new
  show_next_steps
}

down() {
  check_owner
  volumes=''
  for word in "$@"; do
    case $word in
      --volumes) volumes=--volumes ;;
      --yes) ;;
      *) fail "down does not know $word" 'sh launch.sh down [--volumes [--yes]]' ;;
    esac
  done
  where=$(found_folder)
  [ -z "$volumes" ] || confirm "All data of the platform $(found_id) launched from ${where:-$(pwd -P)} will be deleted: rows, models, the ledger." "$@"
  make_env
  if [ "$mode" = native ]; then
    sh native/platform.sh down ${volumes:+"$volumes"}
  else
    down_containers ${volumes:+"$volumes"}
  fi
  [ -z "$volumes" ] || disown_data
  rm -f .platform/mode
}

choose_mode "${1:-}"
check_env
[ "${1:-}" = --native ] && shift
with=''
if [ "${1:-}" = --with ]; then
  with=${2:-}
  [ "$with" = monitoring ] || fail "there is no ${with:-project} to start beside the others" 'sh launch.sh --with monitoring'
  [ "$mode" = docker ] || fail 'monitoring runs in containers, and here there are none' 'docs/monitoring.md says what a Prometheus of yours reads'
  shift 2
fi
command=${1:-up}
[ $# -gt 0 ] && shift
[ "$mode" = native ] || add_monitoring "$with" "$command"

[ "$command" = restore ] || resolve_settings # it brings other settings
case $command in
  backup | doctor | rotate | promote | rollback | unpin | history | clean | status | logs) was_launched ;;
  down) [ -n "$(printenv PLATFORM_ID)" ] || was_launched ;;
esac
case $command in
  up) up "$@" ;;
  backup) backup "$@" ;;
  restore) restore "$@" ;;
  doctor) doctor ;;
  rotate) rotate "$@" ;;
  promote | rollback | unpin | history)
    make_env
    release_desk "$command" "$@"
    ;;
  clean)
    make_env
    training_module upkeep "$@"
    ;;
  down) down "$@" ;;
  status | logs)
    make_env
    if [ "$mode" = native ]; then
      sh native/platform.sh "$command" "$@"
    else
      "${command}_containers" "$@"
    fi
    if [ "$command" = status ]; then
      show_served_version
      show_backlog
      show_storage
    fi
    ;;
  -h | --help | help) usage ;;
  *)
    usage >&2
    fail "unknown command: $command" 'sh launch.sh --help'
    ;;
esac
