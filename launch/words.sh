# shellcheck shell=sh
# How launch.sh speaks.

headline() { printf '\n%s\n' "$1"; }

step() { printf '  %-22s %s\n' "$1" "$2"; }

# fail WHAT WHAT_TO_DO...: one sentence, then the commands or settings that help
fail() {
  printf '\nlaunch.sh: %s\n' "$1" >&2
  shift
  for advice in "$@"; do printf '  → %s\n' "$advice" >&2; done
  exit 1
}

seconds() { date +%s; }
