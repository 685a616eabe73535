"""From the schema of the first platforms, with data in it, to the present: nothing is lost, and twice is harmless."""

from collections.abc import Iterator
from itertools import count

import pytest

from tests import services
from tests.database_roles import connected
from training_trigger.events import Events, connect

_numbers = count()
MIGRATIONS = sorted(path.stem for path in (services.ROOT / "db/migrations").glob("*.sql"))
DATA = """
SET ROLE platform;
CREATE TABLE public.sample_train (text text, label text);
CREATE TABLE public.sample_test (text text, label text);
SELECT watch_training_table('sample_train'), watch_training_table('sample_test');
INSERT INTO training_datasets
VALUES ('sample', 'sample_train', 'sample_test', 'text', 'label', '["a"]', 'sample', true);
INSERT INTO sample_train SELECT 'trained', 'a' FROM generate_series(1, 3);
INSERT INTO sample_train SELECT 'failed', 'a' FROM generate_series(1, 2);
INSERT INTO sample_train VALUES ('deleted', 'a');
INSERT INTO sample_test VALUES ('pending', 'a');
WITH e AS (DELETE FROM training_event_queue WHERE id <= 3 RETURNING *)
INSERT INTO training_event_history SELECT e.*, 'run' || id FROM e;
INSERT INTO training_deliveries (dag_run_id, state, conf, oldest_event_at, accepted_at)
SELECT 'run' || n, 'accepted', '{"events": 1}', now(), now() FROM generate_series(1, 3) n;
INSERT INTO training_jobs (job_id, run_id, status, error, model_version)
VALUES ('j1', 'run1', 'succeeded', NULL, 7), ('j2', 'run2', 'failed', 'The memory was full.', NULL);
INSERT INTO training_coverage (event_id, job_id) VALUES (1, 'j1');
INSERT INTO promotion_ledger (who, model_name, to_version, verdict, reason) VALUES ('x', 'm', 7, 'better', 'r');
RESET ROLE;
INSERT INTO training_event_queue (table_name, operation, rows) VALUES ('sample_train', 'INSERT', -9000000000000000000);
"""


@pytest.fixture
def earlier(postgres_server: str) -> Iterator[str]:
    url = services.new_database(postgres_server, f"migrations_{next(_numbers)}")
    with connected(url) as owner:
        owner.execute((services.ROOT / "tests/schemas/05d335c.sql").read_text())
        owner.execute(DATA)
    yield url


@pytest.mark.parametrize("times", [1, 3])
def test_everything_is_still_there(earlier: str, times: int) -> None:
    for _ in range(times):
        services.apply_schema(earlier)
    with connected(earlier, "platform") as platform:
        coverage = platform.execute(
            'SELECT event, "table", rows, run, state, version FROM training_data_coverage ORDER BY 1'
        ).fetchall()
        assert coverage == [
            (1, "sample_train", 3, "run1", "succeeded", 7),
            (2, "sample_train", 2, "run2", "failed", None),
            (3, "sample_train", 1, "run3", "accepted", None),
            (4, "sample_test", 1, None, "pending", None),
            (5, "sample_train", None, None, "pending", None),
        ]
        assert platform.execute("SELECT count(*), min(text) FROM sample_train").fetchone() == (6, "deleted")
        assert platform.execute("SELECT to_version FROM promotion_ledger").fetchall() == [(7,)]
        made = platform.execute("SELECT name, model_name, is_default, train_table FROM classifiers").fetchall()
        assert made == [("sample", "m", True, "sample_train")], "the Champion keeps its old name"
        states = platform.execute("SELECT dag_run_id, state FROM training_deliveries ORDER BY 1").fetchall()
        assert states == [("run1", "ended"), ("run2", "accepted"), ("run3", "accepted")]
        platform.execute("INSERT INTO sample_train VALUES ('new', 'a')")
        newest = platform.execute(
            "SELECT id, table_name, rows FROM training_events ORDER BY id DESC LIMIT 1"
        ).fetchone()
        assert newest == (6, "sample_train", 1)
    with connected(earlier) as owner:
        applied = owner.execute("SELECT migration FROM training_schema ORDER BY 1").fetchall()
    assert [row[0] for row in applied] == MIGRATIONS


def test_a_writer_of_an_earlier_platform_hides_nothing_any_more(earlier: str) -> None:
    services.apply_schema(earlier)
    with connected(earlier, "platform") as platform:
        platform.execute("DELETE FROM training_event_queue")
        platform.execute(
            "INSERT INTO sample_train SELECT set_config('training.inserted_' || 'public.sample_train'::regclass::oid,"
            " '3', true), 'a' FROM generate_series(1, 3)"
        )
        assert platform.execute("SELECT rows FROM training_event_queue").fetchall() == [(3,)]


def test_an_interrupted_start_leaves_the_schema_as_it_was(earlier: str) -> None:
    with connected(earlier) as owner:
        owner.execute("CREATE VIEW public.training_data_coverage_too AS SELECT 1 AS one")
        owner.execute("DROP VIEW public.training_data_coverage")
        owner.execute("CREATE TABLE public.training_data_coverage (a int)")  # so that a late file fails
    with pytest.raises(RuntimeError, match="training_data_coverage"):
        services.apply_schema(earlier)
    with connected(earlier) as owner:
        assert owner.execute("SELECT to_regclass('public.training_schema')").fetchone() == (None,)
        owner.execute("DROP TABLE public.training_data_coverage")
    services.apply_schema(earlier)


def test_the_rows_of_failed_runs_of_earlier_times_are_pending_again(earlier: str) -> None:
    services.apply_schema(earlier)
    with connect(earlier.replace("//postgres:@", "//platform:@")) as connection:
        relay = Events(connection)
        assert [(run.dag_run_id, run.status) for run in relay.open_runs()] == [("run2", "failed"), ("run3", None)]
        assert relay.ended("run2", "its memory was full", 3, 0) == 1
        backlog = relay.backlog()
    assert backlog.untrained is not None and (backlog.untrained["rows"], backlog.events) == (2, 3)


def test_a_default_that_was_retired_by_a_race_is_live_again(earlier: str) -> None:
    services.apply_schema(earlier)
    with connected(earlier) as owner:
        owner.execute("ALTER TABLE classifiers DROP CONSTRAINT classifiers_default_is_live")
        owner.execute("UPDATE classifiers SET retired_at = now()")
        owner.execute("DELETE FROM training_schema WHERE migration = '012_default_is_live'")
    services.apply_schema(earlier)
    with connected(earlier) as owner:
        assert owner.execute("SELECT is_default, retired_at FROM classifiers").fetchall() == [(True, None)]
