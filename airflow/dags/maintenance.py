"""Once a day: removes Airflow's own runs, logs and records that are older than KEEP_AIRFLOW_DAYS."""

import os
from datetime import UTC, datetime, timedelta

from airflow.sdk import DAG, task
from ml_platform.cleaning import clean_database, clean_logs
from ml_platform.settings import keep_days

days = keep_days(os.environ)

with DAG(
    dag_id="maintenance",
    description=f"Removes Airflow's runs and logs that are older than {days:g} days",
    schedule="30 3 * * *",  # UTC; one that was missed comes at the next start
    start_date=datetime(2026, 1, 1, tzinfo=UTC),
    catchup=False,
    max_active_runs=1,
    is_paused_upon_creation=False,
    tags=["mlops"],
    doc_md=__doc__,
):

    @task(task_id="Clean_Database", retries=3, retry_delay=timedelta(minutes=10))
    def database() -> int:
        """Rows of runs, tasks and what they logged, by Airflow's own `airflow db clean`."""
        return clean_database(days)

    @task(task_id="Clean_Logs", trigger_rule="all_done")
    def logs() -> int:
        """Files of tasks' and processes' logs."""
        return clean_logs(days)

    database() >> logs()
