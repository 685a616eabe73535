#!/bin/sh
# Looks into the backup on standard input:   sh read.sh check|about|env <FILE
#   check        whether it is whole; exit status 1 and a sentence where it is not
#   about, env   prints that part
set -eu
# shellcheck source=launch/backup/parts.sh
. "$(dirname "$0")/parts.sh"

check() {
  scratch=$(mktemp -d)
  export scratch
  trap 'rm -rf "$scratch"' EXIT
  # shellcheck disable=SC2016 # expanded for each member
  tar --extract --ignore-zeros --file=- --to-command='
    if [ "$TAR_FILENAME" = digests ]; then cat >"$scratch/wanted"
    else printf "%s  %s\n" "$(sha256sum | cut -c 1-64)" "$TAR_FILENAME" >>"$scratch/found"; fi
  ' 2>"$scratch/said" || fail 'it is damaged, or no backup'
  [ -f "$scratch/wanted" ] || fail 'it is not whole: its end is missing'
  for name in $PARTS; do
    grep -q "  $name\.000000\$" "$scratch/wanted" || fail "it is not whole: $name is missing"
  done
  cmp -s "$scratch/wanted" "$scratch/found" || fail 'it is damaged: a part has not the digest that it had'
}

case ${1:-} in
  check) check ;;
  about | env) piece_of "$1" ;;
  *) fail "usage: sh read.sh check|about|env <FILE" ;;
esac
