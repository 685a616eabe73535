"""Train_Model: starts a training job and waits for it without holding a worker."""

import os
import time
from typing import Any

from airflow.sdk import BaseOperator, Context
from airflow.sdk.exceptions import AirflowFailException

from ml_platform import training
from ml_platform.answers import Refused, Unavailable
from ml_platform.settings import of_task
from ml_platform.trigger import TrainingJobTrigger


class TrainModelOperator(BaseOperator):
    """Starts the run's training job, defers until it is finished, and returns the job.

    The run's id is the job's idempotency key: a retry finds the job that an earlier attempt has started.
    """

    def execute(self, context: Context) -> None:
        settings = of_task(os.environ)
        request = {**context["params"].get("training", {}), "run_id": context["run_id"]}
        if context["params"].get("classifier"):
            request["classifier"] = context["params"]["classifier"]
        try:
            job = training.call(settings, "POST", "/train", request)
        except Unavailable as reason:
            self.log.warning("The training endpoint is not available yet, this task tries again: %s", reason)
            raise
        except Refused as refusal:
            raise AirflowFailException(f"The training endpoint refuses the job: {refusal}") from refusal
        job_url = f"{settings.training_url}/train/{job['job_id']}"
        self.log.info("Training job %s (%s), see %s", job["job_id"], job["status"], job_url)
        trigger = TrainingJobTrigger(
            job_url=job_url,
            poll_s=settings.poll_s,
            patience_s=settings.patience_s,
            deadline=time.time() + settings.deadline_s,
        )
        self.defer(trigger=trigger, method_name="finish")

    def finish(self, context: Context, event: dict[str, Any]) -> dict[str, Any]:
        """Logs how the job ended and returns it; a job that did not succeed fails the task for good."""
        if "error" in event:
            raise AirflowFailException(event["error"])
        job: dict[str, Any] = event["job"]
        if job["status"] != "succeeded":
            raise AirflowFailException(
                f"Training job {job['job_id']} {job['status']}: {job.get('error') or 'no reason given'}. "
                "Start a new run to train again."
            )
        for name, value in sorted((job.get("metrics") or {}).items()):
            self.log.info("%s = %s", name, value)
        self.log.info("Model version %s, MLflow run %s", job.get("model_version"), job.get("mlflow_run_id"))
        self.log.info("Verdict %s: %s", job.get("verdict"), job.get("verdict_text"))
        return job
