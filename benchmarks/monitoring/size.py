"""A large log: how long a page of it takes, what the monitor's minute costs, and whether its clean-up stops a writer.

Three days have as many rows as each has in a log that is evenly full: the oldest, which is dropped, yesterday, and
today up to now. The other days may have fewer, for want of disk: no figure here reads them but for their indexes.
"""

import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import psycopg

from benchmarks.sentences import sentences
from tests import services, training
from tests.database_roles import url_of
from training_endpoint.console.plots import Asked, accuracy
from training_endpoint.console.traffic import Traffic
from training_endpoint.data import classifiers
from training_endpoint.monitor import hours, reference

DAYS = 30
BATCH = 200
"""Rows of a COPY: what a busy replica has after a second."""
WRITERS = 2
QUIET_S, CLEANING_S = 10.0, 20.0
COLUMNS = "at, request_id, place, classifier, version, replica, text, label, scores, truncated, pieces"
FILL = f"""
INSERT INTO prediction_log.{{table}} ({COLUMNS})
SELECT %(begin)s::timestamptz + n * %(length)s::interval / %(rows)s, md5(random()::text), 0, 'films', 1, 'replica-1',
       s.text, CASE WHEN p.good > 0.5 THEN 'good' ELSE 'bad' END,
       jsonb_build_object('bad', 1 - p.good, 'good', p.good), false, s.pieces
FROM generate_series(0, %(rows)s - 1) n
JOIN sentences s ON s.id = n %% (SELECT count(*) FROM sentences),
LATERAL (SELECT round(random()::numeric + 0 * n, 6) AS good) p
"""


@dataclass
class Writer:
    """COPY after COPY, with how long each took and when it ended."""

    url: str
    took: list[tuple[float, float]] = field(default_factory=list)

    def run(self, stop: threading.Event) -> None:
        """Until `stop` is set."""
        line = "{}\tthe-id\t0\tfilms\t1\treplica-1\ta sentence of the usual length\tgood\t" + '{{"good": 1}}\tf\t9\n'
        with psycopg.connect(self.url, autocommit=True) as connection, connection.cursor() as cursor:
            while not stop.is_set():
                begin = time.perf_counter()
                with cursor.copy(f"COPY prediction_log.answers ({COLUMNS}) FROM STDIN") as copy:
                    copy.write(line.format(datetime.now(UTC).isoformat()) * BATCH)
                end = time.perf_counter()
                self.took.append((end, end - begin))

    def longest(self, begin: float, end: float) -> float:
        """Of those that ended between two moments, in seconds."""
        return max((took for at, took in self.took if begin <= at <= end), default=0.0)


def measure(home: Path, rows: int, others: int, say: Callable[[str], None]) -> list[str]:
    """Lines of a table. `rows` are of the whole log, if each day had as many as the full ones; `others` are what each
    other day has."""
    data = home / "postgres"
    data.mkdir()
    with services.postgres(data) as server:
        database = services.new_database(server, "training")
        services.apply_schema(database)
        training.dataset(database)
        url = url_of(database, "platform")
        _known(url)
        written = _fill(database, rows // DAYS, others, say)
        (classifier,) = classifiers.live(url)
        now = datetime.now(UTC)
        update = _seconds(lambda: hours.update(url, classifier, now))
        hours.update(url, classifier, now - timedelta(days=2))
        say(f"{written:,} rows; the monitor's minute takes {update:.2f} s")
        settings = training.settings(url, home)
        client = training.client(settings)
        pages = {
            "GET /monitor of a day by hour": lambda: client.get("/monitor?by=hour&days=1"),
            "GET /monitor of 30 days": lambda: client.get("/monitor?by=day&days=30"),
            "the console's plot of two days": lambda: accuracy(Asked(settings, Traffic(settings), classifier, 48)),
            "the newest 100 of an hour of yesterday, by SQL": lambda: _ask(url, now - timedelta(days=1)),
            "feedback to one answer": lambda: _feedback(url_of(database, "serving")),
        }
        lines = [f"| the monitor's look, once a minute | – | {update:.2f} s |"]
        for name, page in pages.items():
            took = sorted(_seconds(page) for _ in range(5))
            lines.append(f"| {name} | ≤ 1 s | {took[0]:.3f} to {took[-1]:.3f} s |")
        lines += _clean_up(database, url, say)
    about = f"a log of {written:,} rows, of which the three full days are those of one of {rows:,}"
    return [f"| {about} | | |", *lines]


def _known(url: str) -> None:
    rng = np.random.default_rng(0)
    good = rng.random(1000).round(6)
    answers = np.stack([1 - good, good], axis=1)
    labels = (rng.random(1000) < good).astype(np.int64)
    reference.keep(url, "text-classifier", 1, answers, labels, ["bad", "good"], ["a sentence"] * 1000)


def _fill(database: str, full: int, others: int, say: Callable[[str], None]) -> int:
    """Returns how many rows there are then."""
    today = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    written = 0
    with psycopg.connect(database, autocommit=True) as connection:
        os.setpriority(os.PRIO_PROCESS, connection.info.backend_pid, 19)  # the machine is others' too
        connection.execute("SET synchronous_commit = off; SET client_min_messages = error; SET work_mem = '256MB'")
        connection.execute("SET maintenance_work_mem = '512MB'")
        connection.execute("CREATE TEMP TABLE sentences (id bigint PRIMARY KEY, text text, pieces int)")
        with connection.cursor() as cursor, cursor.copy("COPY sentences FROM STDIN") as copy:
            for number, text in enumerate(sentences()[:1000]):
                copy.write_row((number, text, len(text) // 4))
        for ago in range(DAYS + 1, -1, -1):
            begin = today - timedelta(days=ago)
            length = min(timedelta(days=1), datetime.now(UTC) - begin)
            rows = others if 1 < ago <= DAYS else int(full * (length / timedelta(days=1)))
            if rows:
                _day(connection, begin, length, rows)
                written += rows
                say(f"{begin:%F}: {rows:,} rows")
    return written


def _day(connection: "psycopg.Connection[tuple[object, ...]]", begin: datetime, length: timedelta, rows: int) -> None:
    """One day anew, its indexes made when it is full: a fraction of what they cost row by row."""
    name = f"answers_{begin:%Y%m%d}"
    connection.execute(f"DROP TABLE IF EXISTS prediction_log.{name}")
    connection.execute(f"CREATE TABLE prediction_log.{name} (LIKE prediction_log.answers)")
    connection.execute(FILL.format(table=name), {"begin": begin, "length": length, "rows": rows})
    until = begin + timedelta(days=1)
    connection.execute(
        f"ALTER TABLE prediction_log.answers ATTACH PARTITION prediction_log.{name}"
        f" FOR VALUES FROM ('{begin.isoformat()}') TO ('{until.isoformat()}')"
    )
    # As autovacuum has done long before a day is old; while it is at it, that day is not dropped.
    connection.execute(f"VACUUM (ANALYZE) prediction_log.{name}")


def _ask(url: str, moment: datetime) -> None:
    with psycopg.connect(url) as connection:
        connection.execute(
            "SELECT at, request_id, text, label, scores FROM prediction_log.answers"
            " WHERE classifier = 'films' AND at >= %s AND at < %s ORDER BY at DESC LIMIT 100",
            [moment - timedelta(hours=1), moment],
        ).fetchall()


def _feedback(url: str) -> None:
    with psycopg.connect(url) as connection:
        connection.execute("SELECT prediction_log.take_feedback('no-such-id', NULL, 'good', NULL)")


def _seconds(work: Callable[[], object]) -> float:
    begin = time.perf_counter()
    work()
    return time.perf_counter() - begin


@contextmanager
def _writing(url: str) -> Iterator[list[Writer]]:
    stop = threading.Event()
    writers = [Writer(url) for _ in range(WRITERS)]
    threads = [threading.Thread(target=one.run, args=(stop,)) for one in writers]
    for thread in threads:
        thread.start()
    try:
        yield writers
    finally:
        stop.set()
        for thread in threads:
            thread.join()


def _clean_up(database: str, url: str, say: Callable[[str], None]) -> list[str]:
    """The relay's clean-up beside writers that never pause: first while somebody reads all of the log, then alone."""
    longest: dict[str, float] = {}
    with _writing(url_of(database, "serving")) as writers, psycopg.connect(url, autocommit=True) as relay:

        def keep() -> str | None:
            row = relay.execute("SELECT prediction_log.keep(%s)", [DAYS]).fetchone()
            return str(row[0]) if row and row[0] else None

        def watched(name: str, work: Callable[[], None]) -> None:
            begin = time.perf_counter()
            work()
            end = time.perf_counter()
            time.sleep(0.5)  # what was held up ends a moment later
            longest[name] = max(one.longest(begin, end + 0.5) for one in writers)
            say(f"{name}: {end - begin:.2f} s, a writer waited for {1000 * longest[name]:.0f} ms at most")

        watched("nothing else", lambda: time.sleep(QUIET_S))
        dropped: list[str | None] = []
        with psycopg.connect(url) as reader:
            reader.execute("SELECT FROM prediction_log.answers LIMIT 1")  # which holds every day until it is closed
            watched("clean-up while the log is read", lambda: dropped.extend(keep() for _ in range(5)))
        waited = not any(dropped)

        def clean() -> None:
            deadline = time.monotonic() + CLEANING_S
            while not any(dropped[5:]) and time.monotonic() < deadline:
                dropped.append(keep())
                time.sleep(0.1)

        begin = time.perf_counter()
        watched("clean-up", clean)
        took = time.perf_counter() - begin
    rows = BATCH * sum(len(one.took) for one in writers)
    say(f"{rows:,} rows were written meanwhile; {dropped[-1]} was dropped at attempt {len(dropped) - 5}")
    kept, gone = ("waits" if waited else "does NOT wait"), ("dropped" if any(dropped[5:]) else "NOT dropped")
    wanted = {
        "nothing else": ("–", f"nothing else going on for {QUIET_S:.0f} s"),
        "clean-up": ("< 1 s", f"while a day of the log is {gone}, in {took:.1f} s"),
        "clean-up while the log is read": ("< 1 s", f"while the log is read, so that the clean-up {kept}"),
    }
    return [
        f"| longest COPY of {BATCH} rows beside another writer, {about} | {most} | {1000 * longest[name]:.0f} ms |"
        for name, (most, about) in wanted.items()
    ]
