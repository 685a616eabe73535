"""What tests of the relay share: its settings, a watched table, and the invariant."""

from typing import Any

import psycopg

from training_trigger.settings import Settings

HASTE = {"QUIET_SECONDS": "0", "MAX_WAIT_SECONDS": "60", "POLL_SECONDS": "0.02", "RETRY_CAP_SECONDS": "0.5"}


def environment(database: str, airflow_url: str, user: str, password: str, **changes: str) -> dict[str, str]:
    """The relay's environment, with no patience unless `changes` says otherwise."""
    given = {"DATABASE_URL": database, "AIRFLOW_URL": airflow_url, "AIRFLOW_USER": user, "AIRFLOW_PASSWORD": password}
    return {**given, **HASTE, **changes}


def settings(database: str, airflow_url: str, user: str, password: str, **changes: str) -> Settings:
    return Settings.from_env(environment(database, airflow_url, user, password, **changes))


def watched_table(database: str, name: str = "reviews") -> None:
    """Creates a watched table of texts with labels."""
    with psycopg.connect(database, autocommit=True) as connection:
        connection.execute(f"CREATE TABLE {name} (text text, label int)")
        connection.execute("SELECT watch_training_table(%s)", [name])


def assert_each_event_in_one_run(database: str, runs: dict[str, dict[str, Any]], events: int) -> None:
    """Every one of `events` committed events is in exactly one of the accepted `runs` (id -> conf), and no other is."""
    with psycopg.connect(database, autocommit=True) as connection:
        rows = connection.execute("SELECT id, dag_run_id FROM training_events").fetchall()
        states: dict[str, str] = dict(
            connection.execute("SELECT dag_run_id, state FROM training_deliveries").fetchall()
        )
    assert len(rows) == events
    assert {run for _, run in rows} == set(runs), "an event without an accepted run, or a run without an event"
    assert states == dict.fromkeys(runs, "accepted")
    for run, conf in runs.items():
        mine = [event for event, of in rows if of == run]
        assert (conf["events"], conf["newest_event"]) == (len(mine), max(mine))
