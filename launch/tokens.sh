# shellcheck shell=sh
# A changed PLATFORM_TOKEN. Services take it over one after the other, so the one before counts for an hour more.

hand_tokens_over() {
  umask 077
  mkdir -p .platform
  token=$(setting PLATFORM_TOKEN)
  if [ -f .platform/token ] && [ "$(cat .platform/token)" != "$token" ]; then
    printf '%s %s' "$(cat .platform/token)" "$(($(seconds) + 3600))" >.platform/token-before
  fi
  printf '%s' "$token" >.platform/token
  # Also when it has run out: another value would start everything again.
  [ ! -f .platform/token-before ] || PLATFORM_TOKEN_BEFORE=$(cat .platform/token-before)
  export PLATFORM_TOKEN_BEFORE
  umask 022
}
