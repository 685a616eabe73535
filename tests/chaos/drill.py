"""A running platform of containers, what can be done to it, and what must hold afterwards."""

import json
import os
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from launch import dotenv
from tests.load import Load

CONNECTIONS = 8
PATIENCE_S = 600
JOB_S = 120
"""That a job of the sample may take on a busy machine."""
SERVICES = (
    "backend-store",
    "tracking-server",
    "training-database",
    "training-trigger",
    "training-endpoint",
    "model-endpoint",
    "nginx",
    "airflow-database",
    "airflow-apiserver",
    "airflow-scheduler",
    "airflow-dag-processor",
    "airflow-triggerer",
)
FAULTS = ("kill", "freeze", "cut")
MOMENTS = ("idle", "load", "delivery", "training", "registering", "switching")
ON_THE_WAY = ("nginx", "model-endpoint")
"""Only these may cost a request: those that were on the way through them."""

DECIDED = """SELECT l.to_version, l.who, coalesce(j.status, '')
FROM promotion_ledger l LEFT JOIN training_jobs j USING (job_id)"""


@dataclass(frozen=True)
class Cell:
    """One service, what happens to it, and when."""

    service: str
    fault: str
    moment: str

    def __str__(self) -> str:
        return f"{self.service} {self.fault} {self.moment}"

    @property
    def long(self) -> bool:
        """Whether a training job is part of it."""
        return self.moment in ("delivery", "training", "registering")


CELLS = [Cell(service, fault, moment) for service in SERVICES for fault in FAULTS for moment in MOMENTS]


@dataclass
class Outcome:
    """What a cell showed. `broken` says in sentences which invariants did not hold."""

    recovered_s: float = 0.0
    asked: int = 0
    failed: int = 0
    lost: int = 0
    wrong: int = 0
    broken: list[str] = field(default_factory=list)


def docker(*words: str) -> str:
    """What the engine's command prints; CalledProcessError where it fails."""
    return subprocess.run(["docker", *words], capture_output=True, text=True, check=True, timeout=120).stdout.rstrip(
        "\n"
    )


def wait_for(what: str, done: Callable[[], bool], seconds: float = PATIENCE_S, interval: float = 0.5) -> float:
    """Polls until it is so; the seconds that it took. TimeoutError says what was not."""
    start = time.monotonic()
    while True:
        with suppress(OSError, ValueError, subprocess.SubprocessError):
            if done():
                return time.monotonic() - start
        if time.monotonic() - start > seconds:
            raise TimeoutError(f"not within {seconds:g} s: {what}")
        time.sleep(interval)


class Platform:
    """The containers of the platform in `folder`."""

    def __init__(self, folder: Path) -> None:
        self.settings = dotenv.settings(folder)
        self.folder = folder
        self.prefix = self.settings.get("PROJECT_PREFIX", "")

    def look(self) -> list[tuple[str, str, str]]:
        """(service, id, status) of each container, the oldest first."""
        style = '{{.Label "com.docker.compose.service"}}\t{{.ID}}\t{{.Status}}'
        ours = f"label=platform.id={self.settings['PLATFORM_ID']}"
        lines = docker("ps", "--all", "--no-trunc", "--filter", ours, "--format", style).splitlines()
        found = [tuple(line.split("\t")) for line in reversed(lines)]
        return [(service, one, status) for service, one, status in found if service in SERVICES]

    def containers(self, service: str) -> list[str]:
        """The ids of a service's containers, the oldest first."""
        return [one for name, one, _ in self.look() if name == service]

    def url(self, door: str, path: str) -> str:
        return f"http://127.0.0.1:{self.settings[f'{door}_PORT']}{path}"

    def ask(self, door: str, path: str, body: dict[str, Any] | None = None, seconds: float = 10) -> Any:
        """The JSON that comes back, with the token; OSError where none comes or the status is an error's."""
        headers = {"Authorization": f"Bearer {self.settings['PLATFORM_TOKEN']}", "Content-Type": "application/json"}
        data = None if body is None else json.dumps(body).encode()
        with urllib.request.urlopen(
            urllib.request.Request(self.url(door, path), data, headers), timeout=seconds
        ) as said:
            return json.load(said)

    def sql(self, query: str) -> list[list[str]]:
        """Rows of the training database, as text."""
        psql = ["psql", "-X", "-U", "postgres", "-d", "training", "-At", "-F", "\t", "-c", query]
        said = docker("exec", self.containers("training-database")[0], *psql)
        return [line.split("\t") for line in said.splitlines()]

    def insert(self) -> int:
        """Commits one row; the id of its event."""
        text = f"A fine film, the {time.time_ns()}th."
        table = self.sql("SELECT train_table FROM training_datasets WHERE current")[0][0]
        self.sql(f"INSERT INTO {table} (text, label) VALUES ('{text}', 'positive')")
        return int(self.sql("SELECT max(event) FROM training_data_coverage")[0][0])

    def delivered(self, event: int) -> bool:
        """Whether Airflow has been told of it."""
        return bool(self.sql(f"SELECT run FROM training_data_coverage WHERE event = {event} AND run IS NOT NULL"))

    def phase(self) -> str:
        """Of the running job; empty where none runs."""
        found = self.sql("SELECT phase FROM training_jobs WHERE status = 'running'")
        return found[0][0] if found else ""

    def uncovered(self) -> int:
        """Events that no run that succeeded has covered."""
        return int(self.sql("SELECT count(*) FROM training_data_coverage WHERE state <> 'succeeded'")[0][0])

    def healthy(self) -> bool:
        """Whether the engine calls all containers healthy."""
        found = self.look()
        return {name for name, *_ in found} == set(SERVICES) and all("(healthy)" in status for *_, status in found)

    def settled(self) -> bool:
        """Whether what the ledger names is served everywhere, MLflow agrees, and somebody is answered."""
        state = self.ask("TRAINING", "/release")
        return bool(state["served"] and state["alias"] and not state["trouble"]) and self.served() == state["champion"]

    def served(self) -> int:
        """The version of an answer."""
        return int(self.ask("NGINX", "/predict", {"input": "A film."}, 5)["model"]["version"])

    @contextmanager
    def fault(self, cell: Cell, seconds: float) -> Iterator[None]:
        """Does it, and undoes it after the block and at least `seconds`; fails where it was not seen."""
        one = self.containers(cell.service)[0]
        network = f"{self.prefix}mlflow_server_default"
        start = time.monotonic()
        if cell.fault == "kill":
            before = docker("inspect", "--format", "{{.State.StartedAt}}", one)
            os.kill(int(docker("inspect", "--format", "{{.State.Pid}}", one)), 9)
            wait_for(
                f"{cell.service} started again",
                lambda: docker("inspect", "--format", "{{.State.StartedAt}}", one) != before,
                60,
            )
            yield
            return
        if cell.fault == "freeze":
            wait_for(f"{cell.service} is frozen", lambda: bool(docker("pause", one)), 20)  # not while an exec begins
            seen, undo = "{{.State.Status}}", partial(docker, "unpause", one)
        else:
            docker("network", "disconnect", network, one)
            seen, undo = (
                "{{len .NetworkSettings.Networks}}",
                partial(docker, "network", "connect", "--alias", cell.service, network, one),
            )
        try:
            assert docker("inspect", "--format", seen, one) in ("paused", "0"), (
                f"{cell}: nothing was to be seen of the fault"
            )
            yield
            time.sleep(max(0.0, start + seconds - time.monotonic()))
        finally:
            undo()


def run(platform: Platform, cells: list[Cell], seconds: float) -> dict[Cell, Outcome]:
    """One cell, or several with the same moment that share jobs; what is trained on is looked at when all have been."""
    events: list[int] = []
    outcomes = {cell: _one(platform, cell, seconds, events) for cell in cells}
    broken = []
    began = time.monotonic()
    try:
        wait_for("all rows are trained on", lambda: platform.uncovered() == 0, PATIENCE_S + JOB_S * len(events))
        wait_for("what the ledger names is served", platform.settled)
        for event in events:
            runs = platform.sql(f"SELECT count(DISTINCT run) FROM training_data_coverage WHERE event = {event}")[0][0]
            if runs != "1":
                broken.append(f"event {event} has {runs} runs")
    except (TimeoutError, OSError, subprocess.SubprocessError) as error:
        broken.append(f"{type(error).__name__}: {error}")
    lost = platform.uncovered()
    for outcome in outcomes.values():
        outcome.lost = lost
        outcome.broken += broken
    print(f"  then {time.monotonic() - began:.0f} s until all rows were trained on", flush=True)
    return outcomes


def _one(platform: Platform, cell: Cell, seconds: float, events: list[int]) -> Outcome:
    """Has it happen at its moment, and waits until all is well again, but for jobs. Appends the events that it made."""
    outcome = Outcome()
    first_decision = int(platform.sql("SELECT coalesce(max(id), 0) FROM promotion_ledger")[0][0])
    served_before = platform.served()
    load = Load(platform.url("NGINX", "/predict"), CONNECTIONS if cell.moment == "load" else 1)
    reported: list[tuple[float, int]] = []
    try:
        switching = ThreadPoolExecutor(1)
        if cell.moment in ("delivery", "registering") or (cell.moment == "training" and platform.phase() != "training"):
            events.append(platform.insert())
        if cell.moment == "training":
            wait_for("a job trains", lambda: platform.phase() == "training", interval=0.1)
        elif cell.moment == "registering":
            wait_for("a job registers", lambda: platform.phase() in ("registering", "comparing"), interval=0.1)
        elif cell.moment == "switching":
            asked = switching.submit(_switch, platform, served_before, reported)
        with platform.fault(cell, seconds):
            pass
        undone = time.monotonic()
        wait_for("every container is healthy", platform.healthy)
        if cell.moment == "delivery":
            wait_for("Airflow has been told of the row", lambda: platform.delivered(events[-1]))
        wait_for("what the ledger names is served", platform.settled)
        if cell.moment == "switching":
            asked.result(PATIENCE_S)
        outcome.recovered_s = time.monotonic() - undone
    except (TimeoutError, OSError, subprocess.SubprocessError) as error:
        outcome.broken.append(f"{type(error).__name__}: {error}")
    finally:
        load.end()
        switching.shutdown()
    _judge(platform, cell, load, reported, first_decision, served_before, outcome)
    return outcome


def _judge(
    platform: Platform,
    cell: Cell,
    load: Load,
    reported: list[tuple[float, int]],
    first_decision: int,
    served: int,
    outcome: Outcome,
) -> None:
    """The invariants of what clients saw and of what was decided."""
    outcome.asked, outcome.failed = len(load.seen), sum(not version for _, _, version in load.seen)
    if outcome.failed and cell.service not in ON_THE_WAY:
        outcome.broken.append(
            f"{outcome.failed} requests failed, though nobody needs {cell.service} to answer: {load.why.most_common(2)}"
        )
    # The last decision before it may have been on its way to the replicas still.
    rows = platform.sql(f"{DECIDED} WHERE l.id >= {first_decision}")
    named = {served, *(int(to_version) for to_version, _, _ in rows if to_version)}
    strange = {version for _, _, version in load.seen if version} - named
    outcome.wrong = len(strange) + sum(who == "training" and status != "succeeded" for _, who, status in rows)
    if outcome.wrong:
        outcome.broken.append(
            f"nobody decided for versions {sorted(strange)}, or a job did that did not succeed: {rows}"
        )
    for at, version in reported:
        old = [one for one in load.seen if one[0] > at and one[2] not in (0, version)]
        if old:
            outcome.broken.append(f"{len(old)} answers of another version after {version} was reported as served")


def _switch(platform: Platform, served: int, reported: list[tuple[float, int]]) -> None:
    """A person's decision for another version; asked again while the training endpoint is away."""
    known = [int(row[0]) for row in platform.sql("SELECT DISTINCT version FROM training_versions ORDER BY 1")]
    other = next(version for version in reversed(known) if version != served)

    def decided() -> bool:
        try:
            return bool(
                platform.ask("TRAINING", "/promote", {"version": other, "reason": "a drill"}, 400)["champion"] == other
            )
        except urllib.error.HTTPError as error:
            if error.code < 500:
                raise AssertionError(error.read()) from error
            return False

    wait_for("the decision is taken", decided)
    reported.append((time.monotonic(), other))


HEAD = ("service", "fault", "moment", "s to recover", "requests", "failed", "events lost", "wrong promotions", "held")


def row(cell: Cell, one: Outcome) -> tuple[str, ...]:
    """A line of docs/faults.md's table; the last word says whether every invariant held, or which did not."""
    figures = (f"{one.recovered_s:.0f}", one.asked, one.failed, one.lost, one.wrong)
    held = "; ".join(one.broken).replace("|", "/").replace("\n", " ") or "yes"
    return (cell.service, cell.fault, cell.moment, *map(str, figures), held)


def table(rows: dict[Cell, tuple[str, ...]]) -> str:
    """Markdown, in the order of CELLS."""
    lines = [HEAD, ("---",) * len(HEAD), *(rows[cell] for cell in CELLS if cell in rows)]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def read_table(text: str) -> dict[Cell, tuple[str, ...]]:
    """What `table` wrote, of the cells that held."""
    lines = [tuple(word.strip() for word in line.strip("| \n").split("|")) for line in text.splitlines()]
    return {Cell(*line[:3]): line for line in lines if len(line) == len(HEAD) and line[-1] == "yes"}
