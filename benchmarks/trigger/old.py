"""The old design: a trigger in plpython3u that calls Airflow for each row. Airflow answers as fast as Python can."""

import asyncio
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psycopg

from benchmarks.trigger.load import Tables
from tests import services

MISSING = "not measured: no PostgreSQL with plpython3u (Debian: postgresql-plpython3-15)"
PATH = "/api/v1/dags/machine-learning-training-pipeline/dagRuns"
ATTEMPTS = 20


def binaries() -> Path | None:
    """The programs of a PostgreSQL that has plpython3u; the one that tests run on has not."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/lib/plpython3.so"))
    return found[-1].parent.parent / "bin" if found else None


class Accepting(asyncio.Protocol):
    """Answers 200 to whatever is posted, and closes."""

    def __init__(self) -> None:
        self._received = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        self._received += data
        head, end, body = self._received.partition(b"\r\n\r\n")
        length = re.search(rb"content-length: (\d+)", head, re.IGNORECASE)
        if end and length and len(body) >= int(length[1]):
            assert isinstance(self._transport, asyncio.WriteTransport)
            self._transport.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\n{}")
            self._transport.close()


@contextmanager
def accepting() -> Iterator[str]:
    """An Airflow that does nothing but accept runs; yields the URL to post to."""
    loop = asyncio.new_event_loop()
    server = loop.run_until_complete(loop.create_server(Accepting, "127.0.0.1", 0, backlog=1000))
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}{PATH}"
    finally:
        loop.call_soon_threadsafe(server.close)
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()


def calling(url: str) -> str:
    """What attaches the old trigger to a table."""
    return f"CREATE TRIGGER start_run AFTER INSERT ON {{}} FOR EACH ROW EXECUTE FUNCTION start_run('{url}')"


@dataclass(frozen=True)
class Elder:
    """A server that has the old trigger's function, and an Airflow at `url`."""

    tables: Tables
    url: str

    def insert(self) -> float:
        """Commits a second with the old trigger."""
        return self.tables.insert(calling(self.url))

    def failures_while_down(self) -> int:
        """How many of ATTEMPTS inserts fail while nothing listens where Airflow should."""
        name = self.tables.new(calling(f"http://127.0.0.1:{services.free_port()}{PATH}"))
        failed = 0
        with psycopg.connect(self.tables.database, autocommit=True) as connection:
            for _ in range(ATTEMPTS):
                try:
                    connection.execute(f"INSERT INTO {name} VALUES ('text', 1)")
                except psycopg.errors.ExternalRoutineException:
                    failed += 1
        return failed


@contextmanager
def running(folder: Path) -> Iterator[Elder | None]:
    """The old design in `folder`; None where no PostgreSQL has plpython3u."""
    programs = binaries()
    if programs is None:
        yield None
        return
    folder.mkdir()
    with services.postgres(folder / "cluster", programs) as database, accepting() as url:
        with psycopg.connect(database, autocommit=True) as connection:
            connection.execute(Path(__file__).with_suffix(".sql").read_text())
        yield Elder(Tables(database, folder), url)
