"""A whole job on real services, phase by phase: what it costs beside training and evaluation."""

import csv
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

import psutil
import requests

from benchmarks.training import PACKAGES
from benchmarks.training.task import Task
from tests import services
from tests.integration.model_endpoint.stack import TOKEN, Serving, serving
from tests.services import wait_until

NAME = "text-classifier"
SECONDS = 1800
EPOCHS = 3  # enough for few rows to give a model that loses no class
# In the order in which a job comes to them; `starting` is the wait for a process that has imported what a job needs,
# `between` what of the time from the request to the decision is of no phase.
PHASES = ["starting", "reading", "loading", "training", "exporting", "evaluating", "registering", "doubting"]
PHASES += ["comparing", "deciding", "between", "switching"]
BEARER = {"Authorization": f"Bearer {TOKEN}"}
PLATFORM = {
    "PLATFORM_TOKEN": TOKEN,
    "MODEL_NAME": NAME,
    "PROMOTION_POLICY": "always",  # so that each job ends with a switch
    "MAX_OVERLAP": "1",
    "LATENCY_BUDGET_MS": "60000",
    "HOST": "127.0.0.1",
}


def phases(task: Task, seeds: int, folder: Path) -> Iterator[dict[str, float]]:
    """Seconds by phase of one job for each seed, after a first one that makes a Champion to compare with.

    Each comes to an idle platform, as most do; one that follows within seconds waits for a process to be ready.
    """
    with platform(task, folder) as (url, fleet, endpoint):
        fleet.start()
        ended(url, "first", seed=0, epochs=EPOCHS)
        switched(url)
        for seed in range(seeds):
            wait_until("the training endpoint is idle", lambda: idle(endpoint), 120)
            job = ended(url, f"seed{seed}", seed=seed, epochs=EPOCHS)
            begun, over = (datetime.fromisoformat(job[name]) for name in ("created_at", "finished_at"))
            between = (over - begun).total_seconds() - sum(job["timings"].values())
            seconds = {**job["timings"], "between": round(between, 2), "switching": switched(url)}
            yield {phase: seconds[phase] for phase in PHASES}


@contextmanager
def platform(task: Task, folder: Path) -> Iterator[tuple[str, Serving, psutil.Process]]:
    """The training endpoint with the task's rows imported, a fleet that is not started yet, the endpoint's process."""
    data = folder / "data"
    data.mkdir()
    for name, rows in (("train", task.train), ("test", task.test)):
        with (data / f"{name}.csv").open("w", newline="") as stream:
            labels = [task.label_names[label] for label in rows.labels]
            csv.writer(stream).writerows([("text", "label"), *zip(rows.texts, labels, strict=True)])
    with services.postgres(folder / "postgres") as database_server, services.mlflow_server(folder) as mlflow:
        database = services.new_database(database_server, "training")
        services.apply_schema(database)
        port = services.free_port()
        variables = {
            **PLATFORM,
            "DATABASE_URL": database,
            "MLFLOW_TRACKING_URI": mlflow,
            "STATE_DIR": str(folder / "state"),
            "DATASET": str(data),
            "PORT": str(port),
            "PYTHONPATH": ":".join(PACKAGES),
        }
        url = f"http://127.0.0.1:{port}"
        command = [sys.executable, "-m", "training_endpoint"]
        with (
            serving(mlflow, NAME, folder, 2) as fleet,
            services.process(
                command,
                folder / "endpoint.log",
                {**variables, "MODEL_ENDPOINTS": ",".join(f"127.0.0.1:{one.port}" for one in fleet.replicas)},
            ) as endpoint,
        ):
            wait_until("the training endpoint answers", lambda: requests.get(f"{url}/health", timeout=5).ok, 120)
            requests.post(f"{url}/datasets", json={}, headers=BEARER, timeout=600).raise_for_status()
            yield url, fleet, psutil.Process(endpoint.pid)


def switched(url: str) -> float:
    """Seconds that the switch to what the ledger names took, once every replica serves it."""
    state: dict[str, Any] = requests.get(f"{url}/release", {"wait": 60}, timeout=90).json()
    if not state["served"]:
        raise RuntimeError(f"version {state['champion']} is not served: {state['trouble']}")
    return float(state["switch"]["seconds"])


def idle(endpoint: psutil.Process) -> bool:
    """Whether the endpoint and its children use next to no processor for three seconds."""

    def spent() -> float:
        return sum(sum(one.cpu_times()[:2]) for one in endpoint.children(recursive=True))

    try:
        before = spent()
        time.sleep(3)
        return abs(spent() - before) < 0.1  # one that has ended takes its time with it
    except psutil.NoSuchProcess:
        return False


def ended(url: str, run_id: str, **overrides: int) -> dict[str, Any]:
    """The job of that run once it has succeeded."""
    body = {"run_id": run_id, **overrides}
    path = requests.post(f"{url}/train", json=body, headers=BEARER, timeout=60).json()["url"]
    job: dict[str, Any] = {}

    def over() -> bool:
        job.update(requests.get(url + path, timeout=60).json())
        return job["finished_at"] is not None

    wait_until(f"job {run_id} ends", over, SECONDS, 0.5)
    if job["status"] != "succeeded" or job["champion_version"] != job["model_version"]:
        raise RuntimeError(f"job {run_id} {job['status']}: {job['error'] or job['message']}")
    return job
