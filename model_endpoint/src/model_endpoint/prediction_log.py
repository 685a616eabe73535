"""The log of predictions in the training database: what was asked and answered, a row a text.

No answer waits for it. What is to be logged goes into a queue, which one thread empties by COPY; where the database is
slow or away the queue fills up to its bound, what comes then is dropped and counted, and the thread goes on by itself.
"""

import hashlib
import hmac
import json
import logging
import random
import threading
import time
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any

import psycopg

from model_endpoint.metrics import LogMetrics
from model_endpoint.predict import Answer
from model_endpoint.settings import Settings
from model_runner import Probabilities

# What waits, at most: some minutes of a busy replica, and no more of its memory than a large request takes.
MOST_ROWS = 20_000
MOST_SIZE = 8_000_000
"""In characters of texts and bytes of scores."""
BATCH_ROWS = 2000
FLUSH_SECONDS = 1.0
MOST_REFUSALS = 12
"""One after the other, until no half is tried on its own: enough to find one entry of a batch."""
RETRY_SECONDS, RETRY_MOST_SECONDS = 0.25, 5.0
END_SECONDS = 3.0
"""What a replica that ends waits for the rest to be written."""
COLUMNS = "at, request_id, classifier, version, replica, place, text, text_hash, label, scores, truncated, pieces"
COPY = f"COPY prediction_log.answers ({COLUMNS}) FROM STDIN"
# A server that does not answer is given up.
SESSION = "-c statement_timeout=10s -c lock_timeout=5s -c timezone=UTC"
# COPY's text format, which one string carries for a fraction of what a row of values costs.
NULL = "\\N"

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Entry:
    """One answered request; without the model, which leaves memory while this waits."""

    at: float
    request_id: str
    classifier: str
    version: int
    labels: list[str]
    texts: list[str]
    scores: Probabilities
    truncated: list[bool]
    pieces: list[int]
    size: int


class PredictionLog:
    """Of one replica, all classifiers together. Nothing happens before `start`, and nothing ever where it is off."""

    def __init__(self, settings: Settings, metrics: LogMetrics) -> None:
        self.on = settings.prediction_log != "off" and bool(settings.database_url)
        self._settings = settings
        self._metrics = metrics
        self._key = settings.token.present.encode() if settings.prediction_log == "hashed" else None
        self._lock = threading.Lock()
        self._entries: deque[Entry] = deque()
        self._rows = 0
        self._size = 0
        self._stop = threading.Event()
        self._full = threading.Event()
        self._thread = threading.Thread(target=self._run, name="prediction-log", daemon=True)
        self._connection: psycopg.Connection[Any] | None = None
        self._parts: list[list[Entry]] = []  # what was taken and is not written, the next one last
        self._refusals = 0
        self._trouble = ""
        self._dropped = 0
        metrics.waiting.set_function(lambda: self._rows)

    def start(self) -> None:
        """Begins to write; returns at once."""
        if self.on:
            self._thread.start()

    def stop(self) -> None:
        """Writes the rest, where that is a matter of moments."""
        self._stop.set()
        self._full.set()
        if self._thread.is_alive():
            self._thread.join(END_SECONDS)

    def describe(self) -> dict[str, Any]:
        """{"waiting", "dropped"} in rows, and "trouble": what is in the way, or empty."""
        return {"waiting": self._rows, "dropped": self._dropped, "trouble": self._trouble}

    def add(self, request_id: str, classifier: str, texts: list[str], answer: Answer) -> None:
        """Has one answered request logged, or counts it as dropped; returns at once."""
        share = self._settings.prediction_log_share
        if not self.on or (share < 1 and random.random() >= share):  # noqa: S311 - a sample, no secret
            return
        size = sum(map(len, texts)) + answer.scores.nbytes
        with self._lock:
            fits = self._rows + len(texts) <= MOST_ROWS and self._size + size <= MOST_SIZE
            if fits:
                version, labels = answer.loaded.version.version, answer.loaded.model.labels
                said = (answer.scores, answer.truncated, answer.pieces, size)
                self._entries.append(Entry(time.time(), request_id, classifier, version, labels, texts, *said))
                self._rows += len(texts)
                self._size += size
        if not fits:
            self._drop("full", len(texts))
        elif self._rows >= BATCH_ROWS:
            self._full.set()

    def _run(self) -> None:
        pause = FLUSH_SECONDS
        while not self._stop.is_set():
            self._full.wait(pause)
            self._full.clear()
            if self._flush():
                pause = FLUSH_SECONDS
            else:
                pause = min(2 * max(pause, RETRY_SECONDS), RETRY_MOST_SECONDS)
                self._stop.wait(pause)
        if not self._flush():
            log.warning("%d rows of the log of predictions end with this replica", self._rows)
        self._close()

    def _flush(self) -> bool:
        """Writes all that waits; False where the database did not take it, which is then tried again."""
        try:
            while self._parts or self._take():
                self._settle(self._parts[-1])
        except Exception as error:  # the database is away, or not yet as it will be after an upgrade
            self._say(str(error))
            self._close()
            return False
        return True

    def _settle(self, part: list[Entry]) -> None:
        """Writes the last part; of one that is refused, and would be again, the halves come next, until it is known
        what is wrong. Where nothing else comes through, all of it: above all for a time of which the log has no day."""
        try:
            self._write(part)
        except (psycopg.DataError, psycopg.IntegrityError) as error:
            self._parts.pop()
            self._refusals += 1
            if len(part) > 1 and self._refusals <= MOST_REFUSALS:
                half = len(part) // 2
                self._parts += [part[half:], part[:half]]
                return
            rows = self._forget(part)
            self._drop("refused", rows)
            self._say(f"{rows} rows are refused: {error}")
        else:
            self._parts.pop()
            self._refusals = 0

    def _close(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _take(self) -> bool:
        """Makes a part of the oldest entries, up to a batch and at least one; False where there is none."""
        taken: list[Entry] = []
        rows = 0
        with self._lock:
            while self._entries and rows < BATCH_ROWS:
                entry = self._entries.popleft()
                taken.append(entry)
                rows += len(entry.texts)
        self._parts += [taken] if taken else []
        return bool(taken)

    def _write(self, batch: list[Entry]) -> None:
        if self._connection is None:
            self._connection = connect(self._settings.database_url)
        with self._connection.cursor() as cursor, cursor.copy(COPY) as copy:
            for entry in batch:
                copy.write("".join(self._lines(entry)))
        written = self._forget(batch)
        self._metrics.rows.inc(written)
        if self._trouble:
            log.warning("the log of predictions goes on")
            self._trouble = ""

    def _lines(self, entry: Entry) -> Iterator[str]:
        """A line of COPY for each text."""
        at = datetime.fromtimestamp(entry.at, UTC).isoformat()
        whole = (at, entry.request_id, _escaped(entry.classifier), str(entry.version), _escaped(self._settings.replica))
        before = "\t".join(whole)
        labels, scores = _forms(tuple(entry.labels))
        parts = zip(entry.texts, entry.scores.tolist(), entry.truncated, entry.pieces, strict=True)
        for place, (text, row, cut, pieces) in enumerate(parts):
            kept = f"{_escaped(text)}\t{NULL}" if self._key is None else f"{NULL}\t{_digest(self._key, text)}"
            label = labels[row.index(max(row))]
            yield f"{before}\t{place}\t{kept}\t{label}\t{scores % tuple(row)}\t{'t' if cut else 'f'}\t{pieces}\n"

    def _forget(self, batch: list[Entry]) -> int:
        """Makes room for as much as `batch` took; returns its rows."""
        rows = sum(len(entry.texts) for entry in batch)
        with self._lock:
            self._rows -= rows
            self._size -= sum(entry.size for entry in batch)
        return rows

    def _drop(self, reason: str, rows: int) -> None:
        with self._lock:
            self._dropped += rows
        self._metrics.dropped.labels(reason).inc(rows)

    def _say(self, trouble: str) -> None:
        """Once for each kind of trouble, which is tried again for ever."""
        known = trouble.strip().split("\n")[0]
        if known != self._trouble:
            log.warning("the log of predictions: %s", known)
        self._trouble = known


def connect(url: str) -> "psycopg.Connection[Any]":
    """A connection that gives a dead or stuck server up within seconds."""
    return psycopg.connect(
        url,
        autocommit=True,
        connect_timeout=5,
        application_name="model-endpoint",
        options=SESSION,
        keepalives_idle=10,
        keepalives_interval=5,
        keepalives_count=3,
        tcp_user_timeout=15_000,
    )


def _escaped(value: str) -> str:
    return value.replace("\\", "\\\\").replace("\t", "\\t").replace("\n", "\\n").replace("\r", "\\r")


@lru_cache(16)
def _forms(labels: tuple[str, ...]) -> tuple[list[str], str]:
    """The labels as COPY has them, and the JSON object of their scores with places for these."""
    names = [json.dumps(label, ensure_ascii=False).replace("%", "%%") for label in labels]
    return [_escaped(label) for label in labels], _escaped(f"{{{','.join(f'{name}:%.6f' for name in names)}}}")


def _digest(key: bytes, text: str) -> str:
    return hmac.new(key, text.encode(), hashlib.sha256).hexdigest()
