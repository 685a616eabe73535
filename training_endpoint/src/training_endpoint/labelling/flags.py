"""Rows whose label is perhaps wrong: which of them wait for a person. What one has said of a row is not asked again."""

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

from psycopg.types.json import Jsonb

from training_endpoint import database

Source = Literal["train", "test"]
MOST = 200
"""So many of a classifier's training rows wait at a time, and as many of its test rows: the most suspicious."""


@dataclass(frozen=True)
class Flag:
    """A row, and what a model that was not trained on it answers."""

    text: str
    given_label: str
    answer: str
    scores: dict[str, float]
    suspicion: float
    """From 0 to 1."""

    @property
    def key(self) -> tuple[bytes, str]:
        """What identifies it."""
        return hashlib.sha256(self.text.encode()).digest(), self.given_label


def put(
    url: str,
    classifier: str,
    source: Source,
    version: int,
    flags: Sequence[Flag],
    is_there: Callable[[str, str], bool],
) -> int:
    """Puts `flags`, the most suspicious first, into the queue; `version` is the model's. Returns how many wait then.

    What waited is asked no longer where its row is not there any more by text and label, and, of test rows, which are
    all looked at by each run, where it is not among the flags, unless a person has it on the screen.
    """
    whose = {"classifier": classifier, "source": source}
    with database.connect(url) as connection:
        asked = {**whose, "hashes": [flag.key[0] for flag in flags]}
        rows = connection.execute(database.query("flags_decided"), asked).fetchall()
        decided = {(bytes(row["text_hash"]), row["label"]) for row in rows}
        wanted = {flag.key: flag for flag in flags if flag.key not in decided}
        keeps = {}
        gone = []
        for row in connection.execute(database.query("flags_open"), whose).fetchall():
            key = bytes(row["text_hash"]), row["given_label"]
            there = row["text"] is not None and is_there(row["text"], row["given_label"])
            if there and (key in wanted or source == "train" or row["is_held"]):
                keeps[key] = row["id"]
            else:
                gone.append(row["id"])
        connection.execute(database.query("flags_drop"), {"ids": gone})
        new = [flag for flag in wanted.values() if flag.key not in keeps][: max(0, MOST - len(keeps))]
        hashes = [flag.key[0] for flag in new]
        connection.execute(database.query("flags_outdated"), {**whose, "hashes": hashes})
        for flag in (*(wanted[key] for key in keeps if key in wanted), *new):
            connection.execute(
                database.query("flags_put"),
                {
                    **whose,
                    "text": flag.text,
                    "text_hash": flag.key[0],
                    "given_label": flag.given_label,
                    "version": version,
                    "answer": flag.answer,
                    "scores": Jsonb(flag.scores),
                    "priority": flag.suspicion,
                },
            )
        return len(connection.execute(database.query("flags_open"), whose).fetchall())
