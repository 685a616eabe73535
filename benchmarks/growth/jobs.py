"""Whole jobs of a real training endpoint: how long they take, and the most memory that one holds."""

import sys
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from datetime import datetime
from pathlib import Path
from typing import Any

import psutil
import psycopg
import requests

from benchmarks.growth import PACKAGES, tables
from benchmarks.growth.sets import Set
from benchmarks.training.job import PLATFORM, ended
from tests import services
from tests.services import wait_until

PAUSE_S = 0.05
SHARE = 0.01


@contextmanager
def endpoint(database: str, folder: Path) -> Iterator[tuple[str, psutil.Process]]:
    """A training endpoint with an MLflow of its own; its URL and process."""
    folder.mkdir(parents=True, exist_ok=True)
    with ExitStack() as stack:
        mlflow = stack.enter_context(services.mlflow_server(folder))
        port = services.free_port()
        variables = {
            **PLATFORM,
            "DATABASE_URL": database,
            "MLFLOW_TRACKING_URI": mlflow,
            "STATE_DIR": str(folder / "state"),
            "PORT": str(port),
            "PYTHONPATH": ":".join(PACKAGES),
        }
        command = [sys.executable, "-m", "training_endpoint"]
        running = stack.enter_context(services.process(command, folder / "endpoint.log", variables))
        url = f"http://127.0.0.1:{port}"
        wait_until("the training endpoint answers", lambda: requests.get(f"{url}/health", timeout=5).ok, 120)
        yield url, psutil.Process(running.pid)


def memory(rows: int, most: int, folder: Path) -> dict[str, float]:
    """The most bytes that a job on `most` of so many rows holds, its mapped files among them, and its seconds."""
    with tables.database(folder, rows) as database, endpoint(database, folder / "endpoint") as (url, process):
        found = 0
        over = threading.Event()

        def look() -> None:
            nonlocal found
            while not over.wait(PAUSE_S):
                with suppress(psutil.Error):
                    found = max(found, *(one.memory_info().rss for one in process.children(recursive=True)), 0)

        thread = threading.Thread(target=look, daemon=True)
        thread.start()
        try:
            job = ended(url, "many", max_rows=most, epochs=1)
        finally:
            over.set()
            thread.join()
        return {"rows": rows, "max_rows": most, "bytes": found, "seconds": seconds(job), **job["timings"]}


def times(data: Set, repeated: int, folder: Path) -> dict[str, float]:
    """Seconds of a full job and of one after 1 % new rows; the set's rows are repeated with changed words."""
    rows = data.rows(repeated)
    new = max(1, round(len(rows) * SHARE))
    with services.postgres(folder / "postgres") as server:
        database = services.new_database(server, "training")
        services.apply_schema(database)
        with psycopg.connect(database) as connection:
            connection.execute("CREATE TABLE grown_train (text text, label text)")
            connection.execute("CREATE TABLE grown_test (text text, label text)")
            connection.execute("SELECT create_classifier('grown', 'grown_train', 'grown_test')")
            connection.execute("SELECT make_default_classifier('grown')")
        copy(database, "grown_train", rows[:-new])
        copy(database, "grown_test", data.test_rows())
        with endpoint(database, folder / "endpoint") as (url, _):
            full = ended(url, "full")
            copy(database, "grown_train", rows[-new:])
            warm = ended(url, "warm")
    if (full["course"]["mode"], warm["course"]["mode"]) != ("full", "warm"):
        raise RuntimeError(f"the second job was {warm['course']}")
    return {"rows": len(rows), "full_s": seconds(full), "warm_s": seconds(warm)}


def copy(database: str, table: str, rows: list[tuple[str, str]]) -> None:
    """Adds rows to a table of text and label."""
    with psycopg.connect(database) as connection, connection.cursor().copy(f"COPY {table} FROM STDIN") as target:
        for row in rows:
            target.write_row(row)


def seconds(job: dict[str, Any]) -> float:
    """From a job's start to its end."""
    began, over = (datetime.fromisoformat(job[name]) for name in ("started_at", "finished_at"))
    return (over - began).total_seconds()
