"""Rows whose run ended without training on them: pending again, with a pause and a limit, and somebody is told."""

from collections.abc import Iterator
from typing import Any

import psycopg
import pytest

from tests import fake_airflow
from tests.database_roles import url_of
from tests.fake_airflow import FakeAirflow
from tests.relay_service import settings, watched_table
from training_trigger.airflow import Airflow
from training_trigger.events import Events, connect
from training_trigger.relay import Relay
from training_trigger.status import Status


class World:
    """One table, one Airflow, and a relay that looks at ended runs in each step."""

    def __init__(self, database: str, fake: FakeAirflow, **changes: str) -> None:
        self.database = database
        self.fake = fake
        self.status = Status()
        changes = {"RETRY_RUN_SECONDS": "0", "RUN_ATTEMPTS": "3", **changes}
        self.settings = settings(
            url_of(database, "platform"), fake.url, fake_airflow.USER, fake_airflow.PASSWORD, **changes
        )

    def sql(self, statement: str, *values: object) -> list[tuple[Any, ...]]:
        with psycopg.connect(self.database, autocommit=True) as connection:
            cursor = connection.execute(statement, values)
            return cursor.fetchall() if cursor.description else []

    def insert(self, rows: int = 2) -> None:
        self.sql("INSERT INTO reviews SELECT 'text', n FROM generate_series(1, %s) n", rows)

    def steps(self, times: int = 3) -> None:
        with connect(self.settings.database_url) as connection:
            relay = Relay(Events(connection), Airflow(self.settings), self.settings, self.status)
            for _ in range(times):
                relay._next_reconcile = 0
                relay.step()

    def job(self, run: str, status: str, error: str | None = None) -> None:
        self.sql("DELETE FROM training_jobs WHERE run_id = %s", run)
        self.sql(
            "INSERT INTO training_jobs (job_id, run_id, status, error) VALUES (%s, %s, %s, %s)", run, run, status, error
        )

    def cover(self, run: str) -> None:
        """The job of `run` succeeds and covers all events."""
        self.job(run, "succeeded")
        self.sql(
            "INSERT INTO training_coverage (event_id, classifier, job_id)"
            " SELECT id, classifier, %s FROM training_events ON CONFLICT DO NOTHING",
            run,
        )

    def states(self) -> list[tuple[Any, ...]]:
        return self.sql("SELECT state, run, because FROM training_data_coverage ORDER BY event")

    def health(self) -> tuple[int, dict[str, Any]]:
        with connect(self.settings.database_url) as connection:
            return self.status.health(Events(connection).backlog())

    @property
    def runs(self) -> list[str]:
        return list(self.fake.runs)


@pytest.fixture
def fake() -> Iterator[FakeAirflow]:
    with fake_airflow.serve() as server:
        yield server


@pytest.fixture
def world(database: str, fake: FakeAirflow) -> World:
    watched_table(database)
    made = World(database, fake)
    made.insert()
    made.steps(1)
    assert len(made.runs) == 1
    return made


@pytest.mark.parametrize("status", ["failed", "cancelled"])
def test_rows_of_a_job_that_did_not_succeed_get_another_run(world: World, status: str) -> None:
    (first,) = world.runs
    world.job(first, status, "the disk was full")
    world.steps()
    assert len(world.runs) == 2
    assert world.fake.runs[world.runs[1]]["rows"] == 2
    world.cover(world.runs[1])
    world.steps()
    assert world.states() == [("succeeded", world.runs[1], None)]
    assert len(world.runs) == 2 and world.sql("SELECT * FROM training_untrained") == []


def test_rows_of_a_run_that_airflow_no_longer_knows_get_another(world: World) -> None:
    del world.fake.runs[world.runs[0]]
    world.steps()
    (second,) = world.runs
    assert world.fake.runs[second]["events"] == 1
    assert "Airflow no longer knows" in world.sql("SELECT because FROM training_untrained")[0][0]


def test_rows_of_a_run_that_failed_before_it_had_a_job_get_another(world: World) -> None:
    world.fake.states[world.runs[0]] = "failed"
    world.steps()
    assert len(world.runs) == 2


@pytest.mark.parametrize("state", ["queued", "running"])
def test_a_run_that_goes_on_is_waited_for(world: World, state: str) -> None:
    world.fake.states[world.runs[0]] = state
    world.steps()
    assert len(world.runs) == 1 and world.states()[0][0] == "accepted"


def test_a_job_that_goes_on_is_waited_for_though_its_run_is_gone(world: World) -> None:
    world.job(world.runs[0], "running")
    world.fake.runs.clear()
    world.steps()
    assert world.runs == []


def test_a_missing_dag_is_no_missing_run(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    answers = {"POST": (201, {"access_token": "t"}), "GET": (404, {})}
    monkeypatch.setattr(world.fake, "answer", lambda method, *_: answers[method])
    with pytest.raises(Exception, match="does not know the DAG"):
        world.steps()
    assert world.states()[0][0] == "accepted"


def test_a_run_that_succeeded_starts_no_other(world: World) -> None:
    world.cover(world.runs[0])
    world.steps()
    assert len(world.runs) == 1
    assert world.sql("SELECT state, because FROM training_deliveries") == [("ended", None)]


def test_the_pause_grows_and_meanwhile_all_say_so(database: str, fake: FakeAirflow) -> None:
    watched_table(database)
    world = World(database, fake, RETRY_RUN_SECONDS="60")
    world.insert(3)
    world.steps(1)
    world.job(world.runs[0], "failed", "The memory was full.")
    world.steps()
    assert len(world.runs) == 1
    ((state, run, because),) = world.states()
    assert (state, run) == ("pending", None) and because.endswith("was failed: The memory was full.")
    code, body = world.health()
    assert (code, body["pending_events"]) == (200, 1)
    assert body["untrained"].startswith("3 rows not trained on since 2") and "The memory was full." in body["untrained"]
    with connect(world.settings.database_url) as connection:
        text = world.status.metrics(Events(connection).backlog()).decode()
    assert "training_trigger_untrained_rows 3.0" in text and "training_trigger_pending_events 1.0" in text
    for runs, pause in ((1, 60), (2, 240)):
        world.sql("UPDATE training_untrained SET runs = %s", runs - 1)
        world.sql("UPDATE training_deliveries SET state = 'accepted'")
        with connect(world.settings.database_url) as connection:
            Events(connection).ended(world.runs[0], "x", 9, 60)
        ((left,),) = world.sql(
            "SELECT extract(epoch FROM retry_at - clock_timestamp())::float8 FROM training_untrained"
        )
        assert pause - 10 < left <= pause


def test_new_rows_take_those_in_their_pause_along(database: str, fake: FakeAirflow) -> None:
    watched_table(database)
    world = World(database, fake, RETRY_RUN_SECONDS="3600")
    world.insert()
    world.steps(1)
    world.job(world.runs[0], "failed", "no")
    world.steps()
    world.insert()
    world.steps()
    assert [conf["events"] for conf in fake.runs.values()] == [1, 2]


def test_too_many_failures_are_given_up_and_somebody_is_told(world: World) -> None:
    for _ in range(5):
        world.job(world.runs[-1], "failed", "The column is gone.")
        world.steps()
    assert len(world.runs) == 3
    assert world.states()[0][:2] == ("failed", world.runs[-1])
    code, body = world.health()
    assert (code, body["code"], body["passes"]) == (503, "rows_not_trained", False)
    assert "2 rows not trained on since" in str(body["reason"]) and "The column is gone." in str(body["reason"])
    world.cover("by-hand")
    world.steps()
    assert world.health()[0] == 200 and world.states()[0][:2] == ("succeeded", "by-hand")


def test_a_run_by_hand_that_covers_them_ends_the_wait(database: str, fake: FakeAirflow) -> None:
    watched_table(database)
    world = World(database, fake, RETRY_RUN_SECONDS="0.5")
    world.insert()
    world.steps(1)
    world.job(world.runs[0], "failed", "no")
    world.job("by-hand", "running")
    world.steps()
    world.sql("UPDATE training_untrained SET retry_at = now() - interval '1 hour'")
    world.steps()
    assert len(world.runs) == 1, "no run is started while a job goes on that may cover them"
    world.cover("by-hand")
    world.steps()
    assert len(world.runs) == 1 and world.states()[0][:2] == ("succeeded", "by-hand")
