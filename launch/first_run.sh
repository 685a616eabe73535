# shellcheck shell=sh
# From healthy services to a Champion that answers.

# with_platform SCRIPT ARGUMENTS...: runs a standard-library script where it reaches every service by
# HTTP: inside a container of ours, since the host may have no Python, or else as it stands.
with_platform() {
  script=$1
  shift
  if [ "${mode:?}" = native ]; then
    sh native/platform.sh python - "$@" <"$script"
  else
    # Without a value here: what stands in a command line is there for all to read.
    AIRFLOW_PASSWORD=$(setting AIRFLOW_RELAY_PASSWORD) compose training_endpoint exec -T \
      -e AIRFLOW_URL=http://airflow-apiserver:8080 \
      -e "AIRFLOW_PUBLIC_URL=http://localhost:$(setting AIRFLOW_PORT)" -e AIRFLOW_USER=relay -e AIRFLOW_PASSWORD \
      -e TRAINING_URL=http://training-endpoint:9999 -e "NGINX_URL=$(door_scheme)://nginx:80" \
      training-endpoint python - "$@" <"$script"
  fi
}

# Where there is no Champion yet, or DATASET names something that was never trained on.
train_what_is_new() {
  status=0
  with_platform launch/first_run.py prepare || status=$?
  case $status in
    0) with_platform manually_trigger.py --wait || fail 'the pipeline run failed; the reason stands above' 'sh launch.sh logs training-endpoint' 'when mended: python3 manually_trigger.py --wait, or sh launch.sh where there is no Champion yet' ;;
    3) ;;
    *) fail 'the dataset could not be imported; the reason stands above' 'look at DATASET, TEXT_COLUMN and LABEL_COLUMN in .env' 'sh launch.sh logs training-endpoint' ;;
  esac
}

show_served_version() { with_platform launch/first_run.py served || true; }

show_next_steps() {
  with_platform launch/first_run.py answer || fail 'the platform runs, but no prediction came' 'sh launch.sh status' 'sh launch.sh logs model-endpoint'
  host=localhost
  door=$(door_scheme)://$host:$(setting NGINX_PORT)
  trust='' # a certificate is for another name than localhost
  [ "$(door_scheme)" = http ] || trust=' -k'
  example=$(with_platform launch/first_run.py example)
  text=$(printf '%s\n' "$example" | sed -n 1p) row=$(printf '%s\n' "$example" | sed -n 2p)
  cat <<TEXT

  Try it         $door/
  Console        $door/console/$(console_account)
  Airflow        http://$host:$(setting AIRFLOW_PORT)/   ($(setting AIRFLOW_USER) / AIRFLOW_PASSWORD in .env)
  MLflow         http://$host:$(setting MLFLOW_PORT)/   ($(mlflow_account))
TEXT
  ! has_monitoring || cat <<TEXT
  Grafana        http://$host:$(setting GRAFANA_PORT)/   (admin / $(setting GRAFANA_PASSWORD))
  Prometheus     http://$host:$(setting PROMETHEUS_PORT)/
TEXT
  cat <<TEXT

Next:
  curl$trust -X POST $door/predict -H 'Content-Type: application/json' -d '{"input":"$text"}'
  python3 database_trigger.py $row--wait               # new rows become a new version
  python3 manually_trigger.py --wait               # run the pipeline now
  sh launch.sh status | logs [service] | down
TEXT
  [ "$(setting AIRFLOW_PASSWORD)" != admin ] ||
    printf '\nWarning: Airflow still has the password "admin". Set AIRFLOW_PASSWORD in .env and run sh launch.sh.\n'
}

console_account() {
  ! is_public BIND_ADDRESS || printf '   (from elsewhere admin / %s)' "$(setting CONSOLE_PASSWORD)"
}

mlflow_account() {
  if [ "$(setting MLFLOW_AUTH)" = on ]; then echo "$(setting MLFLOW_USER) / $(setting MLFLOW_PASSWORD)"; else echo 'no account: MLFLOW_AUTH is off'; fi
}
