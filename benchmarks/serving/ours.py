"""Our own serving in the benchmark: a real registry, two replicas, the real nginx template."""

import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from mlflow import MlflowClient

from benchmarks.serving.load import Reading, wrk
from benchmarks.version import lay_out, make
from mlops_contract.voucher import Voucher
from tests import services
from tests.integration.model_endpoint import models
from tests.integration.model_endpoint.stack import Serving, serving
from training_endpoint.judge import export, forms

Body = Callable[[list[str]], object]
NAME = "text-classifier"
DOOR = {"NGINX_RATE": "100000r/s", "NGINX_BURST": "100000", "NGINX_CORS_ORIGINS": "", "NGINX_MAX_BODY": "4m"}


@dataclass
class Fleet:
    """A registry with two versions of the embedded base model; `model` has what the peers run of the first."""

    url: str
    folder: Path
    model: Path
    versions: list[Voucher]

    @contextmanager
    def serve(self) -> Iterator[tuple[Serving, str]]:
        """Two replicas that are ready, and nginx's URL."""
        with serving(self.url, NAME, self.folder, 2) as fleet:
            fleet.start()
            fleet.switch(self.versions[0])
            yield fleet, fleet.door(**DOOR)

    @contextmanager
    def running(self) -> Iterator[tuple[str, list[int], Body]]:
        """The URL to ask, the replicas' processes, and how to ask."""
        with self.serve() as (fleet, door):
            yield f"{door}/predict", [one.process.pid for one in fleet.replicas], lambda texts: {"input": texts}


@contextmanager
def fleet(folder: Path, count: int = 2) -> Iterator[Fleet]:
    """Starts the registry and fills it with `count` versions."""
    home = folder / "ours"
    home.mkdir(parents=True)
    with services.mlflow_server(home) as url:
        client = MlflowClient(url)
        made = [make(home / f"version{seed}", seed) for seed in range(count)]
        versions = [models.register(client, NAME, home / f"version{seed}") for seed in range(count)]
        first = home / "peers"
        models.save_flavor(made[0].model, first, whole=True)
        export.to_onnx(made[0], lay_out(home / "version0", first / "serving") / forms.FP32.file, models.GOLDEN)
        yield Fleet(url, home, first, versions)


def memory(pid: int) -> float:
    """Proportional memory of a process and all its children, in MB."""
    children = Path(f"/proc/{pid}/task").glob("*/children")
    total = sum(memory(int(child)) for file in children for child in file.read_text().split())
    lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    return total + next(int(line.split()[1]) for line in lines if line.startswith("Pss:")) / 1024


@dataclass(frozen=True)
class Switching:
    """What was seen of switches under load: loads before, during and after them, seconds and MB."""

    count: int
    before: Reading
    during: Reading
    after: Reading
    switch_seconds: list[float]
    memory: list[float]
    """Of one replica: before the first switch, and after each with the load gone on."""


def switches(count: int, texts: list[str], folder: Path) -> Switching:
    """`count` switches at 32 connections between as much load without them."""
    with fleet(folder) as made, made.serve() as (replicas, door):
        bodies: list[object] = [{"input": text} for text in texts]
        seconds = max(20, 2 * count)

        def load(seconds: float) -> Reading:
            return wrk(f"{door}/predict", bodies, 32, seconds, folder)

        load(2)
        pid = replicas.replicas[0].process.pid
        before = load(seconds)
        used, took = [memory(pid)], []
        with ThreadPoolExecutor(1) as pool:
            during = pool.submit(load, seconds)
            for number in range(count):
                took.append(replicas.switch(made.versions[(number + 1) % 2])["seconds"])
                time.sleep(0.5)
                used.append(memory(pid))
        after = load(seconds)
        used.append(memory(pid))
        return Switching(count, before, during.result(), after, took, used)
