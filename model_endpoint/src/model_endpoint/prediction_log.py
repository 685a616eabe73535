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
from typing import Any

import psycopg

from model_endpoint.metrics import LogMetrics
from model_endpoint.predict import Answer
from model_endpoint.settings import Settings
from model_runner import Probabilities

# What waits, at most: some minutes of a busy replica, and no more of its memory than a large request takes.
MOST_ROWS = 20_000
MOST_CHARACTERS = 8_000_000
BATCH_ROWS = 1000
FLUSH_SECONDS = 0.5
RETRY_SECONDS, RETRY_MOST_SECONDS = 0.25, 5.0
END_SECONDS = 3.0
"""What a replica that ends waits for the rest to be written."""
COLUMNS = "at, request_id, classifier, version, replica, place, text, text_hash, label, scores, truncated, pieces"
COPY = f"COPY prediction_log.answers ({COLUMNS}) FROM STDIN"
# A server that does not answer is given up.
SESSION = "-c statement_timeout=10s -c lock_timeout=5s -c timezone=UTC"
JSON = json.JSONEncoder(separators=(",", ":"), ensure_ascii=False)

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
        self._characters = 0
        self._stop = threading.Event()
        self._full = threading.Event()
        self._thread = threading.Thread(target=self._run, name="prediction-log", daemon=True)
        self._connection: psycopg.Connection[Any] | None = None
        self._batch: list[Entry] = []
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
        characters = sum(map(len, texts))
        with self._lock:
            fits = self._rows + len(texts) <= MOST_ROWS and self._characters + characters <= MOST_CHARACTERS
            if fits:
                version, labels = answer.loaded.version.version, answer.loaded.model.labels
                said = (answer.scores, answer.truncated, answer.pieces)
                self._entries.append(Entry(time.time(), request_id, classifier, version, labels, texts, *said))
                self._rows += len(texts)
                self._characters += characters
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
            while batch := self._batch or self._take():
                self._batch = batch
                self._write(batch)
                self._batch = []
        except (psycopg.DataError, psycopg.IntegrityError) as error:
            # It would be refused again: above all for a time of which the log has no day.
            rows, self._batch = self._forget(self._batch), []
            self._drop("refused", rows)
            self._say(f"{rows} rows are refused: {error}")
        except Exception as error:  # the database is away, or not yet as it will be after an upgrade
            self._say(str(error))
            self._close()
            return False
        return True

    def _close(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _take(self) -> list[Entry]:
        """The oldest entries, up to a batch; at least one where there is one."""
        taken: list[Entry] = []
        rows = 0
        with self._lock:
            while self._entries and rows < BATCH_ROWS:
                entry = self._entries.popleft()
                taken.append(entry)
                rows += len(entry.texts)
        return taken

    def _write(self, batch: list[Entry]) -> None:
        if self._connection is None:
            self._connection = connect(self._settings.database_url)
        with self._connection.cursor() as cursor, cursor.copy(COPY) as copy:
            for entry in batch:
                for row in self._rows_of(entry):
                    copy.write_row(row)
        written = self._forget(batch)
        self._metrics.rows.inc(written)
        if self._trouble:
            log.warning("the log of predictions goes on")
            self._trouble = ""

    def _rows_of(self, entry: Entry) -> Iterator[tuple[Any, ...]]:
        at = datetime.fromtimestamp(entry.at, UTC).isoformat()
        whole = (at, entry.request_id, entry.classifier, entry.version, self._settings.replica)
        best, scores = entry.scores.argmax(axis=1).tolist(), entry.scores.round(6).tolist()
        parts = zip(entry.texts, best, scores, entry.truncated, entry.pieces, strict=True)
        for place, (text, index, row, cut, pieces) in enumerate(parts):
            kept, digest = (text, None) if self._key is None else (None, _digest(self._key, text))
            told = JSON.encode(dict(zip(entry.labels, row, strict=True)))
            yield (*whole, place, kept, digest, entry.labels[index], told, cut, pieces)

    def _forget(self, batch: list[Entry]) -> int:
        """Makes room for as much as `batch` took; returns its rows."""
        rows = sum(len(entry.texts) for entry in batch)
        with self._lock:
            self._rows -= rows
            self._characters -= sum(len(text) for entry in batch for text in entry.texts)
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


def _digest(key: bytes, text: str) -> str:
    return hmac.new(key, text.encode(), hashlib.sha256).hexdigest()
