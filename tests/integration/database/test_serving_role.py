"""The role of the replicas adds to the log of predictions and can do nothing else."""

import json

import psycopg
import pytest

from tests import services
from tests.database_roles import Connection, connected, is_superuser

ROW = "now(), 'id', 0, 'reviews', 1, 'one', 'a text', NULL, 'positive', '{}', false"


@pytest.fixture
def fresh(database: str) -> str:
    with connected(database) as owner:
        owner.execute(f"INSERT INTO prediction_log.answers VALUES ({ROW})")
        owner.execute("CREATE TABLE datasets.mine (text text, label text)")
    return database


def test_it_adds_rows(fresh: str) -> None:
    with connected(fresh, "serving") as serving:
        serving.execute(f"INSERT INTO prediction_log.answers VALUES ({ROW})")
    with connected(fresh, "platform") as platform:
        assert platform.execute("SELECT count(*) FROM prediction_log.answers").fetchone() == (2,)
    assert not is_superuser(fresh, "serving")


@pytest.mark.parametrize(
    "statement",
    [
        "SELECT FROM prediction_log.answers",
        f"INSERT INTO prediction_log.answers VALUES ({ROW}) RETURNING text",
        "COPY prediction_log.answers TO STDOUT",
        "UPDATE prediction_log.answers SET label = 'x'",
        "DELETE FROM prediction_log.answers",
        "TRUNCATE prediction_log.answers",
        "DROP TABLE prediction_log.answers",
        "SELECT prediction_log.keep(1)",
        "CREATE TABLE prediction_log.mine (a int)",
        "CREATE TABLE public.mine (a int)",
        "CREATE TABLE datasets.other (a int)",
        "SELECT FROM datasets.mine",
        "INSERT INTO datasets.mine VALUES ('a', 'b')",
        "SELECT FROM public.classifiers",
        "SELECT FROM public.training_jobs",
        "SELECT FROM public.promotion_ledger",
        "SELECT FROM public.training_event_history",
        "INSERT INTO public.training_event_queue (table_name, operation) VALUES ('a', 'INSERT')",
        "SELECT public.create_classifier('a', 'datasets.mine')",
        "SELECT public.make_default_classifier('a')",
        "SELECT public.decide_by_hand('ada', 'm', NULL, 'rollback', 'x', false)",
        "BEGIN; LOCK TABLE prediction_log.answers IN SHARE MODE",
        "SET ROLE training_predictions",
        "SET ROLE platform",
        "COPY (SELECT 1) TO PROGRAM 'true'",
        "SELECT pg_read_file('/etc/passwd')",
    ],
)
def test_it_may_not(fresh: str, statement: str) -> None:
    with connected(fresh, "serving") as serving, pytest.raises(psycopg.Error) as refused:
        serving.execute(statement)
    wanted = (psycopg.errors.InsufficientPrivilege, psycopg.errors.UndefinedFunction, psycopg.errors.UndefinedTable)
    assert isinstance(refused.value, wanted), refused.value


@pytest.mark.parametrize(
    "statement", ["DELETE FROM prediction_log.answers", f"INSERT INTO prediction_log.answers VALUES ({ROW})"]
)
def test_the_services_read_the_log_and_do_not_change_it(fresh: str, statement: str) -> None:
    with connected(fresh, "platform") as platform, pytest.raises(psycopg.errors.InsufficientPrivilege):
        platform.execute(statement)


def days(connection: Connection) -> list[str]:
    found = connection.execute(
        "SELECT relid::text FROM pg_partition_tree('prediction_log.answers') WHERE level = 1 ORDER BY 1"
    ).fetchall()
    return [str(row[0]) for row in found]


def old_day(owner: Connection, day: str) -> None:
    owner.execute(
        f"CREATE TABLE prediction_log.answers_{day} PARTITION OF prediction_log.answers"
        f" FOR VALUES FROM ('{day} 00:00+00') TO ('{day} 24:00+00')"
    )
    owner.execute(f"ALTER TABLE prediction_log.answers_{day} OWNER TO training_predictions")
    owner.execute(f"INSERT INTO prediction_log.answers VALUES ({ROW.replace('now()', repr(day + ' 12:00+00'))})")


def test_days_are_made_ahead_and_dropped_when_they_are_old(fresh: str) -> None:
    with connected(fresh) as owner, connected(fresh, "platform") as platform:
        platform.execute("SET timezone = 'Asia/Tokyo'")
        assert len(days(owner)) == 9, "yesterday, today and seven ahead"
        owner.execute("DROP TABLE prediction_log.answers_" + str(days(owner)[-1])[-8:])
        for day in ("20260103", "20260101", "20260102"):
            old_day(owner, day)
        dropped = [platform.execute("SELECT prediction_log.keep(30)").fetchone() for _ in range(4)]
        assert dropped == [("answers_20260101",), ("answers_20260102",), ("answers_20260103",), (None,)]
        assert len(days(owner)) == 9
        row = owner.execute(
            "SELECT pg_get_expr(relpartbound, oid) FROM pg_class WHERE oid = %s::regclass", [days(owner)[-1]]
        ).fetchone()
        assert row and "00:00:00+00" in str(row[0]), "days are UTC's, whoever makes them"
        assert owner.execute("SELECT count(*) FROM prediction_log.answers").fetchone() == (1,)


def test_who_reads_or_writes_just_now_is_not_waited_for(fresh: str) -> None:
    with connected(fresh) as owner:
        old_day(owner, "20260101")
        newest = days(owner)[-1]
        owner.execute(f"DROP TABLE {newest}")
    with psycopg.connect(fresh) as other, connected(fresh, "platform") as platform:
        other.execute("SELECT count(*) FROM prediction_log.answers")
        other.execute(f"INSERT INTO prediction_log.answers VALUES ({ROW})")
        assert platform.execute("SELECT prediction_log.keep(30)").fetchone() == (None,)
        assert newest in days(platform), "a reader that never ends keeps no new day from being made"
        other.commit()
        assert platform.execute("SELECT prediction_log.keep(30)").fetchone() == ("answers_20260101",)
    with psycopg.connect(fresh) as other, connected(fresh, "platform") as platform:
        with connected(fresh) as owner:
            owner.execute(f"DROP TABLE IF EXISTS {newest}")
        other.execute(f"INSERT INTO prediction_log.answers VALUES ({ROW})")
        platform.execute("SELECT prediction_log.keep(NULL)")
        assert newest in days(platform), "a day is made beside a writer"


def test_somebodys_own_schema_of_that_name_steps_aside(postgres_server: str) -> None:
    url = services.new_database(postgres_server, f"aside_{services.free_port()}")
    with connected(url) as owner:
        owner.execute("CREATE SCHEMA prediction_log; CREATE TABLE prediction_log.answers (mine text)")
    services.apply_schema(url)
    services.apply_schema(url)
    with connected(url) as owner:
        assert owner.execute("SELECT mine FROM not_ours_prediction_log.answers").fetchall() == []
        assert len(days(owner)) == 9


def test_its_password_is_what_the_settings_say(postgres_server: str) -> None:
    url = services.new_database(postgres_server, f"password_{services.free_port()}")
    services.apply_schema(url, SERVING_PASSWORD="it's a secret\\")
    with connected(url) as owner:
        row = owner.execute("SELECT rolpassword, rolconnlimit FROM pg_authid WHERE rolname = 'serving'").fetchone()
    assert row and str(row[0]).startswith("SCRAM-SHA-256$") and row[1] == 60
    assert "secret" not in json.dumps(str(row))
