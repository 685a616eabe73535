"""What the doctor says of a database and of services in each state."""

import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from tests.database_roles import connected, url_of
from tests.services import PROGRAMS, ROOT, free_port


def findings(text: str) -> dict[str, tuple[str, str]]:
    """what: (level, found)"""
    return {what: (level, found) for level, what, found, *_ in (line.split("|") for line in text.splitlines())}


def asked(database: str, file: str) -> str:
    command = [
        str(PROGRAMS / "psql"),
        "-X",
        "-q",
        "-A",
        "-t",
        "-v",
        "ON_ERROR_STOP=1",
        "-f",
        str(ROOT / "launch" / file),
    ]
    done = subprocess.run([*command, url_of(database, "platform")], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_a_healthy_database_is_ok(database: str) -> None:
    found = findings(asked(database, "doctor.sql"))
    assert {level for level, _ in found.values()} == {"ok", "now"}
    assert asked(database, "backlog.sql") == ""


def test_rows_that_are_not_trained_on_are_told_with_the_reason(database: str) -> None:
    with connected(database) as owner:
        owner.execute("CREATE TABLE t (text text, label text); SELECT create_classifier('c', 't')")
        owner.execute(
            "INSERT INTO training_event_history VALUES (1, 't', 'INSERT', 12, '2026-01-02 03:04:05', 'r', 'c')"
        )
        owner.execute(
            "INSERT INTO training_untrained (event_id, classifier, runs, because, retry_at, given_up) "
            "VALUES (1, 'c', 1, 'run r failed: no | disk', now(), false)"
        )
        assert findings(asked(database, "doctor.sql").replace("no | disk", "no disk"))["rows"][0] == "warning"
        said = asked(database, "backlog.sql")
        assert said.startswith(
            "12 rows not trained on since 2026-01-02 03:04:05, because run r failed: no | disk; tried"
        )
        owner.execute("UPDATE training_untrained SET given_up = true, retry_at = NULL")
        assert asked(database, "doctor.sql").startswith("problem|rows|12 not trained on since")
        assert "given up" in asked(database, "backlog.sql")


def test_a_table_that_was_made_again_is_told_of_with_the_statement_that_heals(database: str) -> None:
    again = "DROP TABLE IF EXISTS t; CREATE TABLE t AS SELECT 'a' AS text, 'b' AS label"
    with connected(database) as owner:
        owner.execute(f"{again}; SELECT create_classifier('c', 't')")
        assert "classifier" not in findings(asked(database, "doctor.sql"))
        owner.execute(again)
        said = next(line for line in asked(database, "doctor.sql").splitlines() if "|classifier|" in line)
        assert said.startswith("problem|classifier|c: t has not all of its triggers")
        assert said.endswith("|SELECT create_classifier('c', 't')")


def test_what_is_stuck_or_broken_is_a_problem(database: str) -> None:
    with connected(database) as owner:
        owner.execute(
            "INSERT INTO training_event_queue (table_name, operation, created_at) VALUES ('t', 'INSERT', '2026-01-01')"
        )
        owner.execute(
            "INSERT INTO training_jobs (job_id, run_id, status, error, finished_at)"
            " VALUES ('j', 'r', 'failed', E'a|b\\nc', now())"
        )
        owner.execute("INSERT INTO training_versions VALUES ('m', 1, 'r', 'x', '{}', '{}', '{}')")
        owner.execute("SELECT decide_by_hand('me', 'm', 1, true, 'override', 'because')")
        found = findings(asked(database, "doctor.sql"))
        assert found["event queue"][0] == "problem"
        assert found["runs"] == ("problem", "1 failed in the last 7 days, the last with: a b c")
        assert found["decision"][0] == "warning" and "not served everywhere yet" in found["decision"][1]
        owner.execute("ALTER TABLE promotion_ledger DISABLE TRIGGER USER")
        owner.execute("UPDATE promotion_ledger SET reason = 'another', at = now() + interval '1 hour'")
        found = findings(asked(database, "doctor.sql"))
        assert found["ledger"] == ("problem", "its chain is broken at row 1") and found["clock"][0] == "problem"


@contextmanager
def service(answers: dict[str, object]) -> Iterator[str]:
    """host:port of a server that answers so."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = json.dumps(answers.get(self.path)).encode()
            self.send_response(200 if self.path in answers else 404)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def inside(**places: str) -> dict[str, tuple[str, str]]:
    away = f"http://127.0.0.1:{free_port()}"
    names = ("RELAY_URL", "MLFLOW_TRACKING_URI", "TRAINING_URL", "AIRFLOW_URL")
    told = {**dict.fromkeys(names, away), "MODEL_ENDPOINTS": "", "PLATFORM_TOKEN": "t", **places}
    command = [sys.executable, str(ROOT / "launch/doctor.py")]
    done = subprocess.run(
        command,
        env={**os.environ, **told, "PYTHONPATH": str(ROOT / "contract/src")},
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    return findings(done.stdout)


def test_everything_down_is_told_one_by_one() -> None:
    found = inside()
    assert {what: level for what, (level, _) in found.items()} == dict.fromkeys(
        ("relay", "MLflow", "training endpoint", "replicas", "Airflow"), "problem"
    )


@pytest.mark.parametrize(("second", "level"), [(4, "ok"), (3, "problem")])
def test_each_replica_is_compared_with_the_ledger(second: int, level: str) -> None:
    release = {"champion": 4, "trouble": "", "alias": True}
    with (
        service({"/release": release, "/health": {"status": "ok", "role": "active", "pending_events": 2}}) as platform,
        service({"/models": {"version": 4}}) as one,
        service({"/models": {"version": second}}) as two,
    ):
        url = f"http://{platform}"
        found = inside(RELAY_URL=url, MLFLOW_TRACKING_URI=url, TRAINING_URL=url, MODEL_ENDPOINTS=f"{one},{two}")
    assert found["release"] == ("ok", "version 4, and MLflow's alias names it")
    assert found["relay"] == ("ok", "active, 2 events pending")
    assert found["replicas"][0] == "ok" and "2 of 2 answer" in found["replicas"][1]
    assert found.get("replica", ("ok", ""))[0] == level
