"""From committed events to accepted runs, on a real database; Airflow is the test's."""

import subprocess
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psycopg
import pytest

from mlops_contract.errors import PlatformError
from tests import fake_airflow, services
from tests.fake_airflow import FakeAirflow
from tests.relay_service import (
    COMMAND,
    PYTHONPATH,
    assert_each_event_in_one_run,
    environment,
    relay_process,
    settings,
    watched_table,
)
from training_trigger.airflow import Airflow
from training_trigger.events import Events, connect
from training_trigger.relay import HELD_SECONDS, Relay
from training_trigger.status import Status


@pytest.fixture
def fake() -> Iterator[FakeAirflow]:
    with fake_airflow.serve() as server:
        yield server


@pytest.fixture
def relay(database: str, fake: FakeAirflow) -> Iterator[Relay]:
    watched_table(database)
    chosen = settings(database, fake.url, fake_airflow.USER, fake_airflow.PASSWORD)
    with connect(database) as connection:
        yield Relay(Events(connection), Airflow(chosen), chosen, Status())


def insert(database: str, statements: int = 1, table: str = "reviews") -> None:
    with psycopg.connect(database, autocommit=True) as connection:
        for _ in range(statements):
            connection.execute(f"INSERT INTO {table} VALUES ('a', 0), ('b', 1)")


def test_a_burst_is_one_run_that_says_what_changed(database: str, fake: FakeAirflow, relay: Relay) -> None:
    watched_table(database, "others")
    insert(database, 3)
    insert(database, 1, "others")
    with psycopg.connect(database, autocommit=True) as connection:
        connection.execute("DELETE FROM reviews WHERE label = 0")
    relay.step()
    relay.step()
    of_reviews, of_others = fake.runs.values()
    tables = {"reviews": {"INSERT": 6, "DELETE": 3}}
    assert of_reviews == {"classifier": "reviews", "tables": tables, "events": 4, "rows": 9, "newest_event": 5}
    tables = {"others": {"INSERT": 2}}
    assert of_others == {"classifier": "others", "tables": tables, "events": 1, "rows": 2, "newest_event": 4}
    assert [run.split("__")[1] for run in fake.runs] == ["reviews", "others"]
    assert_each_event_in_one_run(database, fake.runs, 5)


def test_a_queued_run_of_one_classifier_holds_up_no_other(database: str, fake: FakeAirflow, relay: Relay) -> None:
    watched_table(database, "others")
    insert(database)
    relay.step()
    fake.queued.update(fake.runs)
    insert(database)
    insert(database, 1, "others")
    relay.step()
    assert [conf["classifier"] for conf in fake.runs.values()] == ["reviews", "others"]
    assert relay.step() == HELD_SECONDS and len(fake.runs) == 2


def test_a_table_of_two_classifiers_is_trained_on_for_both(database: str, fake: FakeAirflow, relay: Relay) -> None:
    with psycopg.connect(database, autocommit=True) as connection:
        connection.execute("SELECT create_classifier('second', 'reviews')")
    insert(database)
    relay.step()
    relay.step()
    assert sorted(conf["classifier"] for conf in fake.runs.values()) == ["reviews", "second"]
    with psycopg.connect(database) as connection:
        seen = connection.execute("SELECT event, classifier, state FROM training_data_coverage ORDER BY 2").fetchall()
    assert seen == [(1, "reviews", "accepted"), (1, "second", "accepted")]


def test_what_belongs_to_no_classifier_is_said_and_trained_on_once_it_does(
    database: str, fake: FakeAirflow, relay: Relay, caplog: pytest.LogCaptureFixture
) -> None:
    with psycopg.connect(database, autocommit=True) as connection:
        connection.execute("CREATE TABLE strays (text text, label int); SELECT watch_training_table('strays')")
    insert(database, 2, "strays")
    relay.step()
    assert not fake.runs and "strays belongs to no classifier" in caplog.text

    def seen() -> list[tuple[object, ...]]:
        with psycopg.connect(database) as connection:
            return connection.execute("SELECT state, run, because FROM training_data_coverage").fetchall()

    because = "strays belongs to no classifier: SELECT create_classifier('NAME', 'strays')"
    assert seen() == [("pending", None, because)] * 2
    with connect(database) as own:
        code, body = Status().health(Events(own).backlog())
    assert code == 200 and "2 changes of strays" in str(body["of_no_classifier"])
    with psycopg.connect(database, autocommit=True) as connection:
        connection.execute("SELECT create_classifier('strays', 'strays')")
    relay.step()
    (conf,) = fake.runs.values()
    assert (conf["classifier"], conf["events"]) == ("strays", 2)


@pytest.mark.parametrize("refusal", [400, 405, 410, 413, 415, 422])
def test_a_run_that_airflow_refuses_holds_up_no_other(
    database: str, fake: FakeAirflow, relay: Relay, refusal: int
) -> None:
    watched_table(database, "others")
    insert(database)
    fake.planned.append(refusal)
    relay.step()
    insert(database, 1, "others")
    relay.step()
    assert [conf["classifier"] for conf in fake.runs.values()] == ["others"]
    with psycopg.connect(database) as connection:
        failed = connection.execute(
            "SELECT state, because FROM training_deliveries WHERE accepted_at IS NULL"
        ).fetchone()
        shown = connection.execute("SELECT state, because FROM training_data_coverage WHERE event = 1").fetchone()
    assert failed and shown
    assert failed[0] == "ended" and shown == ("pending", failed[1]) and f"answers {refusal}" in failed[1]
    with connect(database) as own:
        assert f"answers {refusal}" in str(Status().health(Events(own).backlog())[1]["untrained"])
    insert(database)
    relay.step()
    assert fake.runs.popitem()[1]["events"] == 2, "new rows take along those of the refused run"


def test_a_refusal_of_a_run_that_airflow_has_already_is_none(database: str, fake: FakeAirflow, relay: Relay) -> None:
    insert(database)
    fake.planned.extend([fake_airflow.LOST, 422])
    with pytest.raises(PlatformError):
        relay.step()
    relay.step()
    assert_each_event_in_one_run(database, fake.runs, 1)


def test_a_name_with_two_dots_from_before_has_an_id_that_airflow_takes(
    database: str, fake: FakeAirflow, relay: Relay
) -> None:
    with psycopg.connect(database, autocommit=True) as connection:
        connection.execute("UPDATE classifiers SET name = 'a...b'")
    insert(database)
    relay.step()
    ((run, conf),) = fake.runs.items()
    assert run.startswith("trigger__a._._.b__") and conf["classifier"] == "a...b"


def test_what_waits_for_a_retired_classifier_holds_up_no_other(database: str, fake: FakeAirflow, relay: Relay) -> None:
    watched_table(database, "others")
    insert(database, 1, "others")
    fake.planned.append(500)
    with pytest.raises(PlatformError):
        relay.step()
    with psycopg.connect(database, autocommit=True) as connection:
        connection.execute("SELECT retire_classifier('others')")
    insert(database)
    relay.step()
    assert [conf["classifier"] for conf in fake.runs.values()] == ["reviews"]
    with connect(database) as own:
        assert Events(own).backlog().events == 0
    with psycopg.connect(database, autocommit=True) as connection:
        connection.execute("SELECT create_classifier('others', 'others')")
    relay.step()
    assert [conf["classifier"] for conf in fake.runs.values()] == ["reviews", "others"]


def test_a_table_that_was_dropped_is_told_of(database: str, relay: Relay) -> None:
    with psycopg.connect(database, autocommit=True) as connection:
        connection.execute("DROP TABLE reviews")
    with connect(database) as own:
        said = str(Status().health(Events(own).backlog())[1]["troubles"])
    assert "reviews: reviews is not there any more" in said and "SELECT create_classifier(" in said


def test_at_most_one_run_waits_behind_the_running_one(database: str, fake: FakeAirflow, relay: Relay) -> None:
    fake.queued.add("manual")
    insert(database, 3)
    assert relay.step() == HELD_SECONDS
    assert not fake.runs
    fake.queued.clear()
    relay.step()
    assert_each_event_in_one_run(database, fake.runs, 3)


def test_an_event_that_commits_after_a_newer_one_is_not_lost(database: str, fake: FakeAirflow, relay: Relay) -> None:
    with psycopg.connect(database) as slow:
        slow.execute("INSERT INTO reviews VALUES ('slow', 0)")
        insert(database)
        relay.step()
        slow.commit()
    relay.step()
    assert [conf["newest_event"] for conf in fake.runs.values()] == [2, 1]
    assert_each_event_in_one_run(database, fake.runs, 2)


def test_relays_that_claim_at_the_same_time_share_no_event(database: str, fake: FakeAirflow, relay: Relay) -> None:
    chosen = settings(database, fake.url, fake_airflow.USER, fake_airflow.PASSWORD)

    def deliver(_: int) -> None:
        with connect(database) as connection:
            mine = Relay(Events(connection), Airflow(chosen), chosen, Status())
            for _ in range(10):
                mine.step()

    with ThreadPoolExecutor(6) as pool:
        inserted = pool.map(lambda _: insert(database, 25), range(2))
        list(pool.map(deliver, range(4)))
        list(inserted)
    relay.step()
    relay.step()
    assert_each_event_in_one_run(database, fake.runs, 50)


def test_only_one_relay_leads_and_the_other_takes_over(database: str) -> None:
    with connect(database) as second:
        with connect(database) as first:
            assert Events(first).lead()
            assert not Events(second).lead()
            Events(first).leads()
        services.wait_until("the second leads", Events(second).lead, 10)


def test_prune_keeps_what_is_young_or_not_covered(database: str, fake: FakeAirflow, relay: Relay) -> None:
    for _ in range(3):  # three runs with two events each
        insert(database, 2)
        relay.step()
    with connect(database) as connection:
        connection.execute("INSERT INTO training_jobs (job_id, run_id) VALUES ('j', 'r')")
        connection.execute(
            "INSERT INTO training_coverage (event_id, classifier, job_id)"
            " SELECT id, classifier, 'j' FROM training_events WHERE id <> 3"
        )
        connection.execute("UPDATE training_event_history SET created_at = now() - interval '2 days' WHERE id < 5")
        connection.execute("UPDATE training_deliveries SET accepted_at = now() - interval '2 days'")
        assert Events(connection).prune(1) == 3
        left = [row["id"] for row in connection.execute("SELECT id FROM training_events ORDER BY id")]
        covered = [row["event_id"] for row in connection.execute("SELECT event_id FROM training_coverage ORDER BY 1")]
        deliveries = connection.execute("SELECT count(*) AS n FROM training_deliveries").fetchone()
    assert (left, covered, deliveries) == ([3, 5, 6], [5, 6], {"n": 2})


def test_the_view_follows_an_event(database: str, fake: FakeAirflow, relay: Relay) -> None:
    def seen() -> tuple[object, ...] | None:
        with psycopg.connect(database) as connection:
            return connection.execute(
                "SELECT state, run, version FROM training_data_coverage WHERE event = 1"
            ).fetchone()

    insert(database)
    assert seen() == ("pending", None, None)
    fake.planned.append(500)
    with pytest.raises(Exception, match="500"):
        relay.step()
    with psycopg.connect(database) as connection:
        failed = connection.execute("SELECT dag_run_id, attempts, last_error FROM training_deliveries").fetchone()
    assert failed is not None
    run = failed[0]
    assert (failed[1], "answers 500" in failed[2]) == (1, True)
    assert seen() == ("claimed", run, None)
    relay.step()
    assert seen() == ("accepted", run, None)
    with psycopg.connect(database) as connection:
        connection.execute("INSERT INTO training_jobs (job_id, run_id, status) VALUES ('j1', %s, 'failed')", [run])
    assert seen() == ("failed", run, None)
    with psycopg.connect(database) as connection:
        connection.execute(
            "INSERT INTO training_jobs (job_id, run_id, status, model_version) VALUES ('j2', 'later', 'succeeded', 7)"
        )
        connection.execute("INSERT INTO training_coverage (event_id, classifier, job_id) VALUES (1, 'reviews', 'j2')")
    assert seen() == ("succeeded", "later", 7)


def test_the_process_waits_for_a_password_and_says_so_once(database: str, fake: FakeAirflow, tmp_path: Path) -> None:
    watched_table(database)
    insert(database)
    fake.password = "another"
    log = tmp_path / "relay.log"
    variables = environment(database, fake.url, fake_airflow.USER, fake_airflow.PASSWORD)
    with relay_process(variables, log) as relay:
        services.wait_until("health names it", lambda: relay.health()[1].get("code") == "airflow_login_refused")
        services.wait_until("it tried more than once", lambda: fake.logins > 3)
        assert relay.health()[0] == 503
        assert relay.health()[1]["pending_events"] == 1
        fake.password = fake_airflow.PASSWORD
        services.wait_until("the run is accepted", relay.delivered)
        relay.child.terminate()
        assert relay.child.wait(10) == 0
    assert_each_event_in_one_run(database, fake.runs, 1)
    lines = log.read_text()
    assert lines.count("airflow_login_refused: Airflow refuses the login of admin") == 1, lines
    assert "works again" in lines


def test_a_missing_setting_ends_the_process_with_its_name() -> None:
    done = subprocess.run(COMMAND, env={"PYTHONPATH": PYTHONPATH}, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr.splitlines()) == (1, ["DATABASE_URL is not set: launch.sh writes it to .env"])
