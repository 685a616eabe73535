"""The pipeline: look at the data, train on it, serve what won. What each task does is in plugins/ml_platform."""

import os
from datetime import timedelta
from typing import Any

from airflow.sdk import DAG, Param, get_current_context, task
from ml_platform.data_update import update_training_data
from ml_platform.settings import of_task, patience_s
from ml_platform.switch_model import switch_latest_model
from ml_platform.train_model import TrainModelOperator

RETRY_DELAY_S = 15
# An absent training endpoint is waited for by retries, which hold no worker.
patient = {"retries": patience_s(os.environ) // RETRY_DELAY_S + 1, "retry_delay": timedelta(seconds=RETRY_DELAY_S)}

# As the training endpoint checks them; here they are refused before there is a run.
training = Param(
    {},
    title="Training overrides",
    description="Replaces the training endpoint's defaults in this run.",
    type="object",
    additionalProperties=False,
    properties={
        "epochs": {"type": "integer", "minimum": 1, "maximum": 100},
        "batch_size": {"type": "integer", "minimum": 1, "maximum": 1024},
        "learning_rate": {"type": "number", "minimum": 1e-7, "maximum": 1e-2},
        "max_rows": {"type": ["integer", "null"], "minimum": 2, "maximum": 1_000_000_000},
        "seed": {"type": "integer", "minimum": 0, "maximum": 2**31 - 1},
        "base_model": {"type": "string", "minLength": 1, "maxLength": 300},
        "start_from": {"enum": ["base", "champion"]},
        "training_mode": {"enum": ["auto", "full"]},
    },
)

classifier = Param(
    None,
    title="Classifier",
    description="Whose rows are trained on; empty: the default one's.",
    type=["null", "string"],
    minLength=1,
    maxLength=60,
)

with DAG(
    dag_id="machine-learning-training-pipeline",
    description="Fine-tunes on the newest rows, compares with the Champion and serves the better one",
    schedule=None,
    catchup=False,
    max_active_runs=1,
    is_paused_upon_creation=False,
    params={"classifier": classifier, "training": training},
    tags=["mlops"],
    doc_md=__doc__,
):

    @task(task_id="Training_Data_Update", **patient)
    def training_data_update() -> dict[str, Any]:
        """Logs what started the run and the rows of each class; imports the dataset where there is none."""
        return update_training_data(get_current_context()["dag_run"].conf or {}, of_task(os.environ))

    train_model = TrainModelOperator(task_id="Train_Model", **patient)

    @task(task_id="Switch_Latest_Model", retries=3, retry_delay=timedelta(seconds=10))
    def switch(job: dict[str, Any]) -> dict[str, Any] | None:
        """Has every replica serve the Champion."""
        return switch_latest_model(job, of_task(os.environ))

    training_data_update() >> train_model >> switch(train_model.output)
