"""The relay and a real Airflow: rows in, exactly one run out."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import psycopg
import pytest

from tests.airflow_service import DAG, PASSWORD, USER, Airflow
from tests.integration.airflow.platform_fakes import FakeTraining
from tests.relay_service import (
    RelayProcess,
    assert_each_event_in_one_run,
    environment,
    relay_process,
    watched_table,
)
from tests.services import wait_until

StartRelay = Callable[..., RelayProcess]


@pytest.fixture
def relay(database: str, airflow_service: Airflow, tmp_path: Path) -> Iterator[StartRelay]:
    """Starts a relay between a watched table and Airflow."""
    watched_table(database)
    with ExitStack() as stack:

        def start(password: str = PASSWORD) -> RelayProcess:
            variables = environment(database, airflow_service.url, USER, password, QUIET_SECONDS="1")
            return stack.enter_context(relay_process(variables, tmp_path / "relay.log"))

        yield start


def execute(database: str, *statements: str) -> None:
    with psycopg.connect(database, autocommit=True) as connection:
        for statement in statements:
            connection.execute(statement)


def insert(database: str, statements: int = 1) -> None:
    execute(database, *["INSERT INTO reviews VALUES ('a', 0), ('b', 1)"] * statements)


def runs(airflow: Airflow, database: str) -> dict[str, dict[str, Any]]:
    """id -> conf of the runs that Airflow has of the relay of this test."""
    with psycopg.connect(database) as connection:
        mine = {row[0] for row in connection.execute("SELECT dag_run_id FROM training_deliveries").fetchall()}
    _, answer = airflow.call("GET", f"dags/{DAG}/dagRuns?limit=100&order_by=-start_date")
    return {run["dag_run_id"]: run["conf"] for run in answer["dag_runs"] if run["dag_run_id"] in mine}


def test_a_burst_is_one_run_and_posting_it_again_makes_no_other(
    airflow_service: Airflow, database: str, relay: StartRelay, training: FakeTraining
) -> None:
    running = relay()
    insert(database, 3)
    wait_until("the run is accepted", running.delivered)
    accepted = runs(airflow_service, database)
    assert list(accepted.values()) == [
        {"classifier": "reviews", "tables": {"reviews": {"INSERT": 6}}, "events": 3, "rows": 6, "newest_event": 3}
    ]
    # As if the relay had died between Airflow's answer and its note of it.
    execute(database, "UPDATE training_deliveries SET state = 'claimed', accepted_at = NULL")
    wait_until("it is accepted again, by a 409", running.delivered)
    assert runs(airflow_service, database) == accepted
    assert_each_event_in_one_run(database, accepted, 3)


def test_one_run_waits_behind_the_running_one_and_takes_all_that_comes(
    airflow_service: Airflow, database: str, relay: StartRelay, training: FakeTraining
) -> None:
    training.finish.clear()
    running = relay()

    def states() -> list[str]:
        return sorted(airflow_service.run(run)["state"] for run in runs(airflow_service, database))

    insert(database)
    wait_until("a run runs", lambda: states() == ["running"])
    insert(database)
    wait_until("a run waits behind it", lambda: states() == ["queued", "running"])
    for _ in range(2):
        insert(database)
        wait_until("the relay sees it", lambda: running.health()[1]["oldest_pending_seconds"] > 1.5)
    assert states() == ["queued", "running"]
    training.finish.set()
    wait_until("the rest is accepted", running.delivered)
    accepted = runs(airflow_service, database)
    assert sorted(conf["events"] for conf in accepted.values()) == [1, 1, 2]
    assert_each_event_in_one_run(database, accepted, 4)


def test_a_wrong_password_and_a_paused_pipeline_are_named(
    airflow_service: Airflow, database: str, relay: StartRelay
) -> None:
    refused = relay("wrong")
    insert(database)
    wait_until("health names the login", lambda: refused.health()[1].get("code") == "airflow_login_refused")
    refused.child.kill()
    running = relay()
    wait_until("the run is accepted", running.delivered)
    try:
        airflow_service.call("PATCH", f"dags/{DAG}?update_mask=is_paused", {"is_paused": True})
        insert(database)
        wait_until("health names the pause", lambda: running.health()[1].get("code") == "dag_paused")
    finally:
        airflow_service.call("PATCH", f"dags/{DAG}?update_mask=is_paused", {"is_paused": False})
    wait_until("the run is accepted", running.delivered)
    assert_each_event_in_one_run(database, runs(airflow_service, database), 2)
