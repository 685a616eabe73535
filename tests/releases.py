"""A release desk at work: a real database, replicas in this process, and a registry that strangers may write to."""

import hashlib
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest.mock import patch

from mlops_contract.voucher import Voucher
from tests import training
from tests.fake_mlflow import FakeMlflow
from tests.replicas import Fleet
from tests.unit.model_endpoint import stub
from training_endpoint import database
from training_endpoint.jobs.queue import Job, Jobs
from training_endpoint.release import fleet as fleets
from training_endpoint.release import ledger, versions
from training_endpoint.release.desk import Desk
from training_endpoint.release.ledger import Ruling
from training_endpoint.release.reconciler import Reconciler
from training_endpoint.settings import Settings

NAME, ALIAS = "text-classifier", "Champion"


@dataclass
class Release:
    """Everything that decides, and everything that follows."""

    settings: Settings
    mlflow: FakeMlflow
    fleet: Fleet
    desk: Desk

    def register(self, content: bytes = b"") -> Voucher:
        """A version that training registered; MLflow has its files."""
        number = max(self.mlflow.runs.setdefault(NAME, {}), default=0) + 1
        while versions.find(self.settings, number):
            number += 1
        root = f"1/models/m-{number}/artifacts"
        data = content or f"model {number}".encode()
        voucher = Voucher(NAME, number, f"run{number}", root, {"serving/model.onnx": hashlib.sha256(data).hexdigest()})
        self.mlflow.runs[NAME][number] = voucher.run_id
        self.mlflow.files[f"{root}/serving/model.onnx"] = data
        versions.record(self.settings, voucher, None)
        return voucher

    def job(self) -> Job:
        """A running job."""
        jobs = Jobs(self.settings.database_url)
        made, _ = jobs.submit(f"run-{time.monotonic_ns()}", {})
        with database.connect(self.settings.database_url) as connection:
            connection.execute("UPDATE training_jobs SET status = 'running' WHERE job_id = %s", [made["job_id"]])
        return made

    def ruling(self, to_version: int | None, verdict: str = "promoted") -> Ruling:
        """A verdict made against what the ledger names now."""
        newest = ledger.newest(self.settings.database_url, NAME)
        now, pinned = (newest.to_version, newest.pinned) if newest else (None, False)
        return Ruling(now, pinned, now if pinned else to_version, verdict, "because", {})

    def conclude(self, job: Job, ruling: Ruling) -> None:
        """Ends the job with that verdict."""
        result = {"verdict": ruling.verdict, "mlflow_run_id": "r", "model_version": ruling.to_version}
        Jobs(self.settings.database_url).succeed(
            job["job_id"], result, [], lambda c: ledger.decide_for_job(c, NAME, job["job_id"], ruling)
        )

    def crown(self, content: bytes = b"") -> Voucher:
        """A new version that a job has promoted."""
        voucher = self.register(content)
        self.conclude(self.job(), self.ruling(voucher.version))
        return voucher

    def settle(self) -> None:
        """Lets the reconciler do what is to be done."""
        for _ in range(4):
            self.desk.reconciler._looked = 0.0
            self.desk.reconciler.wake(afresh=True)
            self.desk.reconciler.step()

    @property
    def decided(self) -> int | None:
        newest = ledger.newest(self.settings.database_url, NAME)
        return newest.to_version if newest else None

    @property
    def alias(self) -> int | None:
        return self.mlflow.aliases.get(NAME, {}).get(ALIAS)

    @property
    def history(self) -> list[tuple[Any, ...]]:
        """(who, from, to, verdict) of each decision, the oldest first."""
        rows = ledger.history(self.settings.database_url, NAME, 1000)[::-1]
        return [(row.who, row.from_version, row.to_version, row.verdict) for row in rows]


Make = Callable[..., Release]
"""The fixture `make`: settings as keywords."""


@contextmanager
def release(database_url: str, folder: Path, replicas: int = 2, **variables: str) -> Iterator[Release]:
    """A desk without decisions; its replicas answer, and serve nothing yet."""
    with ExitStack() as stack:
        # All of them share this process: one that is slow to say what it serves does not hang.
        stack.enter_context(patch.object(fleets, "LOOK_SECONDS", 30))
        mlflow = FakeMlflow()
        stack.enter_context(mlflow.listening())
        fleet = Fleet(folder / "fleet", replicas)
        fleet.start()

        def end() -> None:
            for server in list(fleet.listeners):
                fleet.die(server)
            for door in fleet.doors.values():
                door.close()

        stack.callback(end)
        endpoints = ",".join(fleet.leaders[0].settings.model_endpoints)
        wanted = {"MODEL_ENDPOINTS": endpoints, "PLATFORM_TOKEN": stub.TOKEN, "RECONCILE_SECONDS": "0.1", **variables}
        settings = training.settings(database_url, folder, MLFLOW_TRACKING_URI=mlflow.url, **wanted)
        yield Release(settings, mlflow, fleet, Desk(settings, Reconciler(settings)))
