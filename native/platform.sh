#!/bin/sh
# The platform without containers; launch.sh calls this.
#   sh native/platform.sh up | status | logs [SERVICE] [-f] | down [--volumes] | python ARGUMENTS...
#                             | databases | backup SCRIPT ARGUMENTS...
set -eu
root=$(cd "$(dirname "$0")/.." && pwd -P)
python=$root/.platform/envs/native/bin/python
# Else every service and every training job compiles all that it imports, which takes longer than all else it starts.
unset PYTHONDONTWRITEBYTECODE

case ${1:-} in
    up | databases)
        sh "$root/native/environments.sh" native airflow
        NGINX=$(sh "$root/native/nginx.sh")
        export NGINX
        CODE_VERSION=${CODE_VERSION:-$(git -C "$root" describe --always --dirty 2>/dev/null || echo unknown)}
        export CODE_VERSION
        ;;
    *)
        if [ ! -x "$python" ]; then
            echo "Nothing is installed in this folder yet: sh launch.sh" >&2
            exit 1
        fi
        ;;
esac
cd "$root"
exec "$python" -m native "$@"
