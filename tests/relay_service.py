"""What tests of the relay share: its settings, its process, a watched table, and the invariant."""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg
import requests

from tests import services
from training_trigger.settings import Settings

HASTE = {"QUIET_SECONDS": "0", "MAX_WAIT_SECONDS": "60", "POLL_SECONDS": "0.02", "RETRY_CAP_SECONDS": "0.5"}


def neighbours(database: str, airflow_url: str, user: str, password: str) -> dict[str, str]:
    """The part of the relay's environment that has no defaults."""
    return {"DATABASE_URL": database, "AIRFLOW_URL": airflow_url, "AIRFLOW_USER": user, "AIRFLOW_PASSWORD": password}


def environment(database: str, airflow_url: str, user: str, password: str, **changes: str) -> dict[str, str]:
    """The relay's environment, with no patience unless `changes` says otherwise."""
    return {**neighbours(database, airflow_url, user, password), **HASTE, **changes}


def settings(database: str, airflow_url: str, user: str, password: str, **changes: str) -> Settings:
    return Settings.from_env(environment(database, airflow_url, user, password, **changes))


COMMAND = [sys.executable, "-m", "training_trigger"]
PYTHONPATH = os.pathsep.join(str(services.ROOT / part) for part in ("contract/src", "db/src"))


@dataclass(frozen=True)
class RelayProcess:
    """A running relay and where it says how it is."""

    child: subprocess.Popen[bytes]
    port: int

    def health(self) -> tuple[int, dict[str, Any]]:
        answer = requests.get(f"http://127.0.0.1:{self.port}/health", timeout=5)
        return answer.status_code, answer.json()

    def delivered(self) -> bool:
        """Whether Airflow has accepted a run for every event."""
        code, body = self.health()
        return code == 200 and body["pending_events"] == 0


@contextmanager
def relay_process(variables: dict[str, str], log: Path) -> Iterator[RelayProcess]:
    """The relay as the platform runs it, in an environment as `environment` makes it; yields once it answers."""
    port = services.free_port()
    added = {**variables, "HOST": "127.0.0.1", "PORT": str(port), "PYTHONPATH": PYTHONPATH}
    with services.process(COMMAND, log, added) as child:
        relay = RelayProcess(child, port)
        services.wait_until("the relay answers", lambda: relay.health()[0] > 0, interval=0.02)
        yield relay


def watched_table(database: str, name: str = "reviews") -> None:
    """Creates a table of texts with labels, and a classifier of the same name."""
    with psycopg.connect(database, autocommit=True) as connection:
        connection.execute(f"CREATE TABLE {name} (text text, label int)")
        connection.execute("SELECT create_classifier(%s, %s)", [name, name])


def assert_each_event_in_one_run(database: str, runs: dict[str, dict[str, Any]], events: int) -> None:
    """Every one of `events` committed events is in exactly one of the accepted `runs` (id -> conf), and no other is."""
    with psycopg.connect(database, autocommit=True) as connection:
        rows = connection.execute("SELECT id, dag_run_id FROM training_events").fetchall()
        states: dict[str, str] = dict(
            connection.execute(
                "SELECT dag_run_id, state FROM training_deliveries WHERE state <> 'ended' OR accepted_at IS NOT NULL"
            ).fetchall()
        )
    assert len(rows) == events
    assert {run for _, run in rows} == set(runs), "an event without an accepted run, or a run without an event"
    assert states.keys() == runs.keys()
    assert set(states.values()) <= {"accepted", "ended"}
    for run, conf in runs.items():
        mine = [event for event, of in rows if of == run]
        assert (conf["events"], conf["newest_event"]) == (len(mine), max(mine))
