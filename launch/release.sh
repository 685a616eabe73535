# shellcheck shell=sh
# What is served, decided by a person: promote, rollback, unpin, history.

# release_desk COMMAND ARGUMENTS...: asks the release desk; `--help` after a command explains it
release_desk() { training_module release "$@"; }

# training_module NAME ARGUMENTS...: runs a room of the training endpoint that is a command
training_module() {
  module=training_endpoint.$1
  shift
  operator=${OPERATOR:-$(id -un)}
  if [ "${mode:?}" = native ]; then
    OPERATOR=$operator sh native/platform.sh python -m "$module" "$@"
  else
    compose training_endpoint exec -T -e "OPERATOR=$operator" training-endpoint python -m "$module" "$@"
  fi
}

# For status: the room that is taken and left, and what the next clean-up removes.
show_storage() { training_module upkeep --brief 2>/dev/null || true; }
