#!/bin/sh
# Every check and test, on a machine with nothing prepared: the locked environments are made first.
#
#   sh test.sh                    checks, then unit, integration, hostile (short), chaos and end-to-end tests
#   sh test.sh unit [PYTEST…]     one part: checks, unit, integration, hostile, chaos, power, soak, upgrade, month, e2e
#
# `sh test.sh chaos` kills, freezes and cuts off services of a platform of containers, at moments that it draws for some
# minutes; CHAOS_CELLS=all does all of it and takes hours. `sh test.sh power` kills all at once, ten times;
# `sh test.sh soak` goes through a day in SOAK_MINUTES (40) and looks at what has grown (docs/faults.md).
# `sh test.sh upgrade` launches an earlier release, then this one in its place.
# `sh test.sh month` plays a month of people and traffic in a browser, in minutes (docs/labelling.md).
# `sh test.sh hostile` sends more than 10,000 hostile requests, and ends with a table of what was answered.
#
# The end-to-end test drives real containers where a Docker Engine answers and plain processes where
# none does (both with CI=true). What is skipped is listed with its reason at the end of each part.
set -eu
cd "$(dirname "$0")"

part() { # part NAME: announces it
  printf '\n== %s ==\n' "$1"
}

checks() {
  part 'checks'
  ruff check .
  ruff format --check .
  for package in contract/src runner/src mlflow_server/src training_endpoint/src model_endpoint/src db/src tests benchmarks; do
    [ ! -d "$package" ] || mypy "$package"
  done
  mypy launch manually_trigger.py database_trigger.py
  git ls-files | while IFS= read -r file; do
    if head -n 1 "$file" 2>/dev/null | grep -q '^#!.*sh$\|^# shellcheck shell=sh'; then printf '%s\0' "$file"; fi
  done | xargs -0 shellcheck --external-sources
}

tests() { # tests FOLDER [PYTEST…]
  part "$1 tests"
  folder=tests/$1
  shift
  status=0
  # Its files share nothing, so three go side by side, of which one waits for Airflow most of the time.
  side_by_side=''
  [ "$folder" != tests/integration ] || side_by_side='-n 3 --dist loadscope --no-loadscope-reorder'
  # shellcheck disable=SC2086 # words
  python -m pytest "$folder" --durations=15 $side_by_side "$@" || status=$?
  [ "$status" -eq 5 ] || return "$status"
}

# Bytecode is kept: without it every start of MLflow or Airflow compiles for half a minute.
unset PYTHONDONTWRITEBYTECODE
sh native/environments.sh dev airflow
sh native/nginx.sh
PATH=$PWD/.platform/envs/dev/bin:$PATH
AIRFLOW_PYTHON=${AIRFLOW_PYTHON:-$PWD/.platform/envs/airflow/bin/python}
export PATH AIRFLOW_PYTHON

# Every part runs, also after one that failed.
failed=''
case ${1:-all} in
  all)
    HOSTILE_CASES=${HOSTILE_CASES:-600}
    export HOSTILE_CASES
    # Unit tests have one core, checks and the chaos that needs no platform the other. The drills that need one are drawn
    # on that which the end-to-end tests have up, where CHAOS_MINUTES is set.
    beside=$(mktemp)
    {
      sh ./test.sh checks || echo checks >>"$beside.failed"
      sh ./test.sh chaos --ignore=tests/chaos/test_faults.py || echo chaos >>"$beside.failed"
    } >"$beside" 2>&1 &
    for name in unit integration hostile e2e; do
      sh ./test.sh "$name" || failed="$failed $name"
      [ "$name" = unit ] || continue
      wait
      cat "$beside"
      [ ! -e "$beside.failed" ] || failed="$failed $(xargs <"$beside.failed")"
      rm -f "$beside" "$beside.failed"
    done
    if [ -n "$failed" ]; then
      printf '\nFailed parts:%s\n' "$failed"
      exit 1
    fi
    printf '\nAll parts passed.\n'
    ;;
  checks) checks ;;
  *) tests "$@" ;;
esac
