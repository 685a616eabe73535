"""Our own serving in the benchmark: a real registry, two replicas, the real nginx template."""

import statistics
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import requests
from mlflow import MlflowClient

from benchmarks.serving.load import Reading, wrk
from tests import services
from tests.integration.model_endpoint import models
from tests.integration.model_endpoint.stack import Serving, serving

Body = Callable[[list[str]], object]
NAME = "text-classifier"
DOOR = {"NGINX_RATE": "100000r/s", "NGINX_BURST": "100000", "NGINX_MAX_BODY": "4m"}


@dataclass
class Fleet:
    """A registry with two versions of the embedded base model, the first one Champion."""

    url: str
    folder: Path
    model: Path
    client: MlflowClient

    def crown(self, version: int) -> None:
        """Moves the alias."""
        self.client.set_registered_model_alias(NAME, "Champion", str(version))

    @contextmanager
    def serve(self) -> Iterator[tuple[Serving, str]]:
        """Two replicas that are ready, and nginx's URL."""
        with serving(self.url, NAME, self.folder, 2, MODEL_FOLLOW_SECONDS="2") as fleet:
            fleet.start()
            fleet.wait_for(1, 60)
            yield fleet, fleet.door(**DOOR)

    @contextmanager
    def running(self) -> Iterator[tuple[str, list[int], Body]]:
        """The URL to ask, the replicas' processes, and how to ask."""
        with self.serve() as (fleet, door):
            yield f"{door}/predict", [one.process.pid for one in fleet.replicas], lambda texts: {"input": texts}


@contextmanager
def fleet(folder: Path) -> Iterator[Fleet]:
    """Starts the registry and fills it."""
    home = folder / "ours"
    home.mkdir()
    with services.mlflow_server(home) as url:
        client = MlflowClient(url)
        for seed in range(2):
            made = models.export(models.full(seed), home / f"model{seed}", int8=True)
            models.register(client, NAME, made)
        first = home / "model0"
        models.save_flavor(models.full(0), first, whole=True)
        client.set_registered_model_alias(NAME, "Champion", "1")
        yield Fleet(url, home, first, client)


def memory(pid: int) -> float:
    """Proportional memory of a process and all its children, in MB."""
    children = Path(f"/proc/{pid}/task").glob("*/children")
    total = sum(memory(int(child)) for file in children for child in file.read_text().split())
    lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    return total + next(int(line.split()[1]) for line in lines if line.startswith("Pss:")) / 1024


def switches(count: int, texts: list[str], folder: Path) -> str:
    """`count` switches at 32 connections beside as much load without them, and alias moves without load."""
    with fleet(folder) as made, made.serve() as (replicas, door):
        bodies: list[object] = [{"input": text} for text in texts]
        wrk(f"{door}/predict", bodies, 32, 2, folder)
        before = memory(replicas.replicas[0].process.pid)
        seconds = max(20, 2 * count)
        calm = wrk(f"{door}/predict", bodies, 32, seconds, folder)
        found: list[Reading] = []
        load = threading.Thread(target=lambda: found.append(wrk(f"{door}/predict", bodies, 32, seconds, folder)))
        load.start()
        took = []
        for number in range(count):
            made.crown(1 + (number + 1) % 2)
            answer = replicas.replicas[number % 2].ask("/change_model")
            answer.raise_for_status()
            took.append(answer.json()["seconds"])
            time.sleep(0.5)
        load.join()
        (busy,) = found
        time.sleep(1)
        after = memory(replicas.replicas[0].process.pid)
        followed = [_follow(made, replicas, 1 + number % 2) for number in range(4)]
    lines = [
        "| load at 32 connections | requests | failed | requests/s | p50 ms | p99 ms | longest ms |",
        "| --- | --- | --- | --- | --- | --- | --- |",
        *(
            f"| {name} | {one.requests} | {one.failed} | {one.rate:.0f} | {one.p50 * 1000:.1f} | {one.p99 * 1000:.1f} "
            f"| {one.longest * 1000:.0f} |"
            for name, one in (("without switches", calm), (f"with {count} switches", busy))
        ),
        "",
        f"p99 with switches / without: {busy.p99 / calm.p99:.2f}",
        f"one switch under load: median {statistics.median(took):.2f} s, longest {max(took):.2f} s",
        f"memory of one replica: {before:.0f} MB before, {after:.0f} MB after {count} switches",
        f"alias moved to every replica serving it: median {statistics.median(followed):.2f} s, "
        f"longest {max(followed):.2f} s",
    ]
    return "\n".join(lines)


def _follow(made: Fleet, replicas: Serving, version: int) -> float:
    for one in replicas.replicas:
        requests.get(f"{one.url}/health", timeout=5)
    if replicas.replicas[0].served() == str(version):
        version = 3 - version
    start = time.monotonic()
    made.crown(version)
    replicas.wait_for(version)
    return time.monotonic() - start
