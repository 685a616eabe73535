"""Two real replicas behind nginx, a registry, a database, the desk and the relay; and classifiers as many as wanted."""

import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psutil
import psycopg
import requests
from mlflow import MlflowClient

from benchmarks.serving.ours import DOOR, memory
from benchmarks.version import make
from mlops_contract.voucher import Voucher
from tests import fake_airflow, relay_service, services, training
from tests.integration.model_endpoint import models
from tests.integration.model_endpoint.stack import TOKEN, Serving, serving
from training_endpoint.release import ledger, versions


@dataclass
class Platform:
    """`door` is nginx's URL."""

    database: str
    client: MlflowClient
    folder: Path
    fleet: Serving
    door: str
    processes: dict[str, psutil.Process]

    def add(self, name: str) -> None:
        """Makes a classifier with a table and a version of its own; returns when every replica serves it."""
        with psycopg.connect(self.database, autocommit=True) as connection:
            connection.execute(f"CREATE TABLE {name} (text text, label text)")
            connection.execute("SELECT create_classifier(%s, %s)", [name, name])
        self.promote(name, self.version(name))
        services.wait_until(f"{name} is served", lambda: self.served(name), 120, 0.2)

    def version(self, name: str) -> Voucher:
        """One more version, registered; its files are those of every classifier."""
        voucher = models.register(self.client, name, self.folder)
        versions.record(training.settings(self.database, self.folder), voucher, None)
        return voucher

    def promote(self, name: str, voucher: Voucher) -> int:
        """Decides; the desk does the rest."""
        decided = ledger.decide_by_hand(
            self.database, name, "a person", "override", "so", to_version=voucher.version, pinned=False
        )
        return decided.id

    def served(self, name: str, version: int | None = None) -> bool:
        """Whether every replica serves the classifier, in that version."""
        found = [
            {one["name"]: one["model"] for one in replica.ask("/classifiers").json()["classifiers"]}
            for replica in self.fleet.replicas
        ]
        return all(
            one.get(name) is not None and version in (None, int(one[name]["version"])) and self.answers(name)
            for one in found
        )

    def answers(self, name: str) -> bool:
        """Whether it does through nginx."""
        return requests.post(f"{self.door}/classifiers/{name}/predict", json={"input": "so"}, timeout=10).ok

    def switch(self, name: str, voucher: Voucher) -> bool:
        """Whether every replica serves that version of a classifier within 20 seconds."""
        self.promote(name, voucher)
        until = time.monotonic() + 20
        while time.monotonic() < until:
            if self.served(name, voucher.version):
                return True
            time.sleep(0.3)
        return False

    def memory(self) -> float:
        """Proportional memory of one replica, in MB."""
        return float(memory(self.fleet.replicas[0].process.pid))

    def busy(self, seconds: float) -> dict[str, float]:
        """Shares of one core that each process takes, in so many idle seconds."""
        before = {name: _cpu(one) for name, one in self.processes.items()}
        psutil.cpu_percent(seconds)  # sleeps
        return {name: (_cpu(one) - before[name]) / seconds for name, one in self.processes.items()}


def _cpu(process: psutil.Process) -> float:
    everybody = [process, *process.children(recursive=True)]
    return float(sum(one.cpu_times().user + one.cpu_times().system for one in everybody))


@contextmanager
def platform(folder: Path) -> Iterator[Platform]:
    """Nothing is served yet."""
    version = folder / "version"
    make(version)
    with (
        services.postgres(folder / "postgres") as server,
        services.mlflow_server(_made(folder / "mlflow")) as mlflow,
        fake_airflow.serve() as airflow,
        serving(mlflow, "text-classifier", _made(folder / "fleet"), 2) as fleet,
    ):
        database = services.new_database(server, "bench")
        services.apply_schema(database)
        fleet.start()
        endpoints = ",".join(f"127.0.0.1:{one.port}" for one in fleet.replicas)
        desk = {
            **os.environ,
            "DATABASE_URL": database,
            "MLFLOW_TRACKING_URI": mlflow,
            "MODEL_ENDPOINTS": endpoints,
            "PLATFORM_TOKEN": TOKEN,
            "STATE_DIR": str(_made(folder / "state")),
            "PYTHONPATH": os.pathsep.join([str(services.ROOT), *sys.path[:5]]),
        }
        relay = relay_service.neighbours(database, airflow.url, fake_airflow.USER, fake_airflow.PASSWORD)
        with (
            services.process(
                [sys.executable, "-m", "benchmarks.classifiers.desk"], folder / "desk.log", desk
            ) as follows,
            relay_service.relay_process(relay, folder / "relay.log") as relays,
        ):
            processes = {"desk": follows.pid, "relay": relays.child.pid}
            processes |= {f"replica {number}": one.process.pid for number, one in enumerate(fleet.replicas)}
            yield Platform(
                database,
                MlflowClient(mlflow),
                version,
                fleet,
                fleet.door(**DOOR),
                {name: psutil.Process(pid) for name, pid in processes.items()},
            )


def _made(folder: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    return folder
