"""The DAG that cleans up after Airflow, on the real one: an old run goes, a new one stays."""

import os
import time

import psycopg

from tests.airflow_service import DAG, Airflow
from tests.integration.airflow.platform_fakes import FakeModelEndpoint, FakeTraining
from tests.services import wait_until


def test_old_runs_and_logs_are_removed(
    airflow_service: Airflow, training: FakeTraining, model_endpoint: FakeModelEndpoint
) -> None:
    def run(dag: str, name: str) -> None:
        body: dict[str, object] = {"dag_run_id": name, "logical_date": None, "conf": {}}
        assert airflow_service.call("POST", f"dags/{dag}/dagRuns", body)[0] == 200
        path = f"dags/{dag}/dagRuns/{name}"
        wait_until(f"{name} ends", lambda: airflow_service.call("GET", path)[1]["state"] in ("success", "failed"), 240)
        assert airflow_service.call("GET", path)[1]["state"] == "success", name

    for name in ("an-old-run", "a-new-run"):
        run(DAG, name)
    url = airflow_service.environment["AIRFLOW_CLEANING_DATABASE"].replace("+psycopg2", "")
    with psycopg.connect(url) as connection:
        for table in ("dag_run", "task_instance"):
            connection.execute(
                f"UPDATE {table} SET start_date = start_date - interval '31 days' WHERE run_id = 'an-old-run'"
            )
    logs = {
        name: list(airflow_service.folder.glob(f"logs/*/run_id={name}/**/*.log"))
        for name in ("an-old-run", "a-new-run")
    }
    assert all(logs.values())
    for file in logs["an-old-run"]:
        os.utime(file, (time.time() - 31 * 86_400,) * 2)
    # That of the day began with Airflow, and lost its task where another test has stopped the scheduler.
    airflow_service.end_runs("maintenance")
    run("maintenance", "clean-now")
    assert airflow_service.call("GET", f"dags/{DAG}/dagRuns/an-old-run")[0] == 404
    assert airflow_service.call("GET", f"dags/{DAG}/dagRuns/a-new-run")[1]["state"] == "success"
    assert [file.exists() for files in logs.values() for file in files].count(False) == len(logs["an-old-run"])
