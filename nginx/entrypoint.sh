#!/bin/sh
# The image's own entrypoint, with the settings that `sh launch.sh` has written:   sh entrypoint.sh COMMAND...
while IFS= read -r line; do export "${line?}"; done </door/settings
exec /docker-entrypoint.sh "$@"
