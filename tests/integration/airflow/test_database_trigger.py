"""database_trigger.py as a user runs it, on a real database through a real psql, and followed in a real Airflow."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import psycopg
import pytest

from tests.airflow_service import Airflow
from tests.integration.airflow.platform_fakes import FakeModelEndpoint, FakeTraining
from tests.services import PROGRAMS, ROOT, wait_until

Script = Callable[..., "subprocess.Popen[str]"]
POOL = "training_endpoint/src/training_endpoint/data/sample/new.csv"
PSQL = PROGRAMS / "psql"


@pytest.fixture
def table(database: str) -> str:
    """A watched train table whose name and columns need quotes, with the sample declared to be in it."""
    with psycopg.connect(database, autocommit=True) as connection:
        connection.execute('CREATE TABLE "Train set" ("the text" text, "order" text)')
        connection.execute('GRANT SELECT, INSERT ON "Train set" TO platform')
        connection.execute("SELECT watch_training_table('\"Train set\"')")
        connection.execute(
            "INSERT INTO classifiers (name, train_table, test_table, text_column, label_column, labels, source,"
            " is_default) VALUES ('sample', '\"Train set\"', 'none', 'the text', 'order', %s, 'test', true)",
            [json.dumps(["negative", "positive"])],
        )
    return database


@pytest.fixture
def script(airflow_service: Airflow, table: str, tmp_path: Path) -> Script:
    """Starts the script in a folder that looks as launch.sh leaves it where it runs without containers."""
    for name in ("manually_trigger.py", "database_trigger.py", POOL):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, tmp_path / name)
    (tmp_path / ".platform").mkdir()
    (tmp_path / ".platform/mode").write_text("native\n")
    wrapper = tmp_path / ".platform/psql"
    url = table.replace("//postgres:", "//platform:")
    wrapper.write_text(f"#!/bin/sh\nexec '{PSQL}' --dbname='{url}' \"$@\"\n")
    wrapper.chmod(0o700)
    settings = {
        "AIRFLOW_URL": airflow_service.url,
        "TRAINING_URL": f"http://127.0.0.1:{airflow_service.training_port}",
        "NGINX_URL": f"http://127.0.0.1:{airflow_service.model_port}",
    }

    def start(*arguments: str) -> "subprocess.Popen[str]":
        return subprocess.Popen(
            [sys.executable, "database_trigger.py", *arguments],
            cwd=tmp_path,
            env={**os.environ, **settings},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    return start


def ended(process: "subprocess.Popen[str]") -> tuple[int, str, str]:
    """Exit status, output and errors."""
    output, errors = process.communicate(timeout=200)
    return process.returncode, output, errors


def rows(url: str) -> list[tuple[str, str]]:
    with psycopg.connect(url) as connection:
        return connection.execute('SELECT "the text", "order" FROM "Train set"').fetchall()


def events(url: str) -> list[tuple[str, int]]:
    with psycopg.connect(url) as connection:
        return connection.execute("SELECT operation, rows FROM training_data_coverage ORDER BY event").fetchall()


def test_rows_of_the_pool_are_inserted_as_one_event_and_not_twice(script: Script, table: str) -> None:
    for _ in range(2):
        status, output, errors = ended(script("--rows", "200"))
        assert status == 0, errors
        assert 'Inserted 200 rows into "Train set"' in output
    assert len(set(rows(table))) == 400
    assert events(table) == [("INSERT", 200), ("INSERT", 200)]


def test_a_text_goes_in_as_it_is(script: Script, table: str) -> None:
    text = "it's \"odd\"\\.\n\\.\n'); DROP TABLE \"Train set\"; --\t:'x' $$ é"
    status, _, errors = ended(script("--text", text, "--label", "positive"))
    assert status == 0, errors
    assert rows(table) == [(text, "positive")]


def test_an_unknown_label_inserts_nothing(script: Script, table: str) -> None:
    status, _, errors = ended(script("--text", "x", "--label", "neutral"))
    assert status == 1
    assert "sample has no label 'neutral', it has negative, positive" in errors
    assert rows(table) == []


def test_another_table_that_does_not_exist_is_told(script: Script) -> None:
    status, _, errors = ended(script("--table", "nowhere"))
    assert status == 1
    assert 'relation "nowhere" does not exist' in errors


def test_the_rows_are_followed_to_the_version_that_covers_them(
    script: Script, table: str, airflow_service: Airflow, training: FakeTraining, model_endpoint: FakeModelEndpoint
) -> None:
    process = script("--rows", "5", "--wait")
    wait_until("the rows are there", lambda: events(table) == [("INSERT", 5)])
    with psycopg.connect(table, autocommit=True) as connection:  # what the relay does
        connection.execute(
            "INSERT INTO training_deliveries (dag_run_id, conf, state, oldest_event_at)"
            " VALUES ('rows', '{}', 'accepted', now())"
        )
        connection.execute(
            "WITH claimed AS (DELETE FROM training_event_queue RETURNING *)"
            " INSERT INTO training_event_history SELECT *, 'rows', 'sample' FROM claimed"
        )
    airflow_service.trigger("rows")

    status, output, errors = ended(process)
    assert status == 0, errors
    assert "Run rows takes these rows" in output
    assert "Verdict on version 4: promoted" in output
    assert "Served now: version 4" in output
