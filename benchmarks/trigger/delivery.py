"""The relay as the platform runs it, with default settings: what writers notice of it, how many runs, how soon."""

import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import psycopg

from benchmarks.trigger.load import CLIENTS, WATCH, Tables
from tests import airflow_service, fake_airflow, services
from tests.relay_service import neighbours, relay_process
from training_trigger.settings import Settings

BURST = 10_000


def environment(tables: Tables, url: str) -> dict[str, str]:
    """The environment of a relay to the stand-in for Airflow at `url`."""
    return neighbours(tables.database, url, fake_airflow.USER, fake_airflow.PASSWORD)


@contextmanager
def relays(server: str, folder: Path) -> Iterator[tuple[Tables, Tables]]:
    """Two databases with a relay each: of one that delivers, and of one that has just found no Airflow."""
    up, down = Tables.anew(server, folder), Tables.anew(server, folder)
    dead = f"http://127.0.0.1:{services.free_port()}"
    with ExitStack() as stack:
        fake = stack.enter_context(fake_airflow.serve())
        happy = stack.enter_context(relay_process(environment(up, fake.url), folder / "up.log"))
        lonely = stack.enter_context(relay_process(environment(down, dead), folder / "down.log"))
        for tables in (up, down):
            tables.insert(WATCH, "--transactions=1")
        services.wait_until("a run is accepted", lambda: bool(fake.runs) and happy.delivered())
        services.wait_until("Airflow is missed", lambda: lonely.health()[1].get("code") == "airflow_unavailable")
        yield up, down


def burst(server: str, folder: Path) -> int:
    """How many runs BURST single-row transactions start."""
    tables = Tables.anew(server, folder)
    with ExitStack() as stack:
        fake = stack.enter_context(fake_airflow.serve())
        relay = stack.enter_context(relay_process(environment(tables, fake.url), folder / "burst.log"))
        tables.insert(WATCH, f"--transactions={BURST // CLIENTS}")
        services.wait_until("the burst is delivered", relay.delivered, 120)
        return len(fake.runs)


@contextmanager
def best_airflow(server: str, tables: Tables, folder: Path) -> Iterator[tuple[str, dict[str, str], Callable[[], None]]]:
    """The real Airflow where its environment is, else a stand-in: its name, a relay's environment, what ends runs."""
    if not airflow_service.PYTHON.exists():
        with fake_airflow.serve() as fake:
            yield "a stand-in for Airflow", environment(tables, fake.url), lambda: None
        return
    home = folder / "airflow"
    home.mkdir()
    with airflow_service.airflow(home, services.new_database(server, "airflow")) as airflow:
        _, answer = airflow.call("GET", "version")
        variables = neighbours(tables.database, airflow.url, airflow_service.USER, airflow_service.PASSWORD)
        yield f"Airflow {answer['version']}", variables, airflow.end_runs


def latencies(server: str, folder: Path, trials: int) -> tuple[str, list[float]]:
    """Which Airflow it was, and for each trial the seconds from a commit to the accepted run, less QUIET_SECONDS."""
    tables = Tables.anew(server, folder)
    name = tables.new(WATCH)
    with ExitStack() as stack:
        airflow, variables, end_runs = stack.enter_context(best_airflow(server, tables, folder))
        relay = stack.enter_context(relay_process(variables, folder / "latency.log"))
        connection = stack.enter_context(psycopg.connect(tables.database, autocommit=True))
        services.wait_until("the relay has settled", relay.delivered)
        found = []
        for _ in range(trials):
            connection.execute(f"INSERT INTO {name} VALUES ('text', 1)")
            committed = time.time()
            services.wait_until("the run is accepted", relay.delivered)
            accepted = connection.execute("SELECT extract(epoch FROM max(accepted_at)) FROM training_deliveries")
            found.append(float(accepted.fetchall()[0][0]) - committed - Settings.from_env(variables).quiet_seconds)
            end_runs()
    return airflow, found
