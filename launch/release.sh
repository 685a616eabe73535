# shellcheck shell=sh
# What is served, decided by a person: promote, rollback, unpin, history.

# release_desk COMMAND ARGUMENTS...: asks the release desk; `--help` after a command explains it
release_desk() {
  operator=${OPERATOR:-$(id -un)}
  if [ "${mode:?}" = native ]; then
    OPERATOR=$operator sh native/platform.sh python -m training_endpoint.release "$@"
  else
    compose training_endpoint exec -T -e "OPERATOR=$operator" training-endpoint \
      python -m training_endpoint.release "$@"
  fi
}
