"""The queue: a text that somebody is to label is added once, held by one person at a time, and labelled once."""

import hashlib
import random
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from datetime import datetime
from typing import Any, Literal

from psycopg.types.json import Jsonb

from training_endpoint import database
from training_endpoint.errors import LabelSettled, NoSuchItem, NotYourItem

Reason = Literal["disagreement", "uncertain", "audit", "error"]
REASONS: tuple[Reason, ...] = ("disagreement", "uncertain", "audit", "error")
HOLD_S = 600.0
"""For so long a text is nobody else's once it is on somebody's screen."""
UNDO_S = 10.0
"""For so long a label can be taken back; then it becomes a row."""


@dataclass(frozen=True)
class New:
    """What is to be asked: of a logged answer, or, for 'error', of a row of the table `source`."""

    reason: Reason
    text: str
    request_id: str | None = None
    place: int | None = None
    answered_at: datetime | None = None
    champion_version: int | None = None
    champion_label: str | None = None
    champion_scores: Mapping[str, float] | None = None
    shadow_version: int | None = None
    shadow_label: str | None = None
    source: Literal["train", "test"] | None = None
    source_key: str | None = None
    given_label: str | None = None
    priority: float = 0.0
    """Higher is asked earlier, among those of one reason."""


@dataclass(frozen=True)
class Item:
    """A row of label_queue.items: open without a label, then labelled, at last settled; or dropped."""

    id: int
    classifier: str
    reason: Reason
    request_id: str | None
    place: int | None
    answered_at: datetime | None
    text: str | None
    text_hash: bytes
    champion_version: int | None
    champion_label: str | None
    champion_scores: dict[str, float] | None
    shadow_version: int | None
    shadow_label: str | None
    source: Literal["train", "test"] | None
    source_key: str | None
    given_label: str | None
    priority: float
    created_at: datetime
    held_by: str | None
    held_until: datetime | None
    skipped_by: list[str]
    label: str | None
    labeller: str | None
    labelled_at: datetime | None
    settled_at: datetime | None
    dropped_at: datetime | None
    because: str | None

    @classmethod
    def of(cls, row: Mapping[str, Any]) -> "Item":
        """From a row, whatever more a later schema has."""
        return cls(**{one.name: row[one.name] for one in fields(cls)})


@dataclass(frozen=True)
class Person:
    """Who labels. Two of one name are told apart by `holder`, which each session has of its own."""

    name: str
    holder: str


def add(url: str, classifier: str, new: Iterable[New]) -> int:
    """Adds what is not there yet; returns how many were. Blank texts are none. Raises `DatabaseUnavailable`."""
    rows = [
        {
            **asdict(one),
            "classifier": classifier,
            "text_hash": hashlib.sha256(one.text.encode()).digest(),
            "champion_scores": None if one.champion_scores is None else Jsonb(dict(one.champion_scores)),
        }
        for one in new
        if one.text.strip()
    ]
    rows.sort(key=lambda row: row["text_hash"])  # who else adds some of them now waits, and is not waited for
    with database.connect(url) as connection:
        return sum(connection.execute(database.query("items_add"), row).rowcount for row in rows)


def waiting(url: str, classifier: str) -> dict[Reason, int]:
    """How many items wait for a label, by reason."""
    with database.connect(url) as connection:
        rows = connection.execute(database.query("items_open"), {"classifier": classifier}).fetchall()
    found: dict[Reason, int] = dict.fromkeys(REASONS, 0)
    return found | {row["reason"]: row["items"] for row in rows}


def take(url: str, classifier: str, person: Person, shares: Mapping[Reason, float]) -> Item | None:
    """The next text for a person, the one on the screen already if there is any; None where there is nothing.

    `shares`: the reasons that are wanted, and how often each is asked for while it has something.
    """
    asked = {"classifier": classifier, "person": person.name, "holder": person.holder, "seconds": HOLD_S}
    with database.connect(url) as connection:
        held = connection.execute(database.query("items_held"), {**asked, "reasons": list(shares)}).fetchone()
        if held is not None:
            return Item.of(held)
        rows = connection.execute(database.query("items_reasons"), {**asked, "reasons": list(shares)}).fetchall()
        for reason in _shuffled([row["reason"] for row in rows], shares):
            taken = connection.execute(database.query("items_take"), {**asked, "reason": reason}).fetchone()
            if taken is not None:
                return Item.of(taken)
    return None


def get(url: str, number: int) -> Item:
    """Raises `NoSuchItem`."""
    with database.connect(url) as connection:
        return _found(connection, number, "items_get")


def submit(url: str, number: int, label: str, person: Person) -> Item:
    """A person's label; said twice it counts once.

    Raises `NoSuchItem`, `NotYourItem` where somebody else has or had the text, `LabelSettled` for another label later.
    """
    with database.connect(url) as connection:
        item = _locked(connection, number)
        if item.label is not None:
            if (item.label, item.labeller, item.held_by) == (label, person.name, person.holder):
                return item
            raise _taken(item, person)
        _let(item, person)
        return _changed(connection, "items_label", item, person, label=label)


def skip(url: str, number: int, person: Person) -> Item:
    """The person will not be asked again, others will."""
    with database.connect(url) as connection:
        item = _locked(connection, number)
        if item.label is None and item.held_until is None and person.name in item.skipped_by:
            return item  # said twice
        if item.label is not None:
            raise _taken(item, person)
        _let(item, person)
        return _changed(connection, "items_skip", item, person)


def undo(url: str, number: int, person: Person) -> Item:
    """Takes the person's label or skipping back; the text is on the screen again.

    Raises `LabelSettled` where the label is a row already, `NotYourItem` where somebody else has the text now.
    """
    with database.connect(url) as connection:
        item = _locked(connection, number)
        if item.held_by != person.holder:
            raise _taken(item, person)
        if item.label is not None and item.dropped_at:
            raise NoSuchItem(f"{item.label!r} became no row ({item.because}), so there is nothing to take back.")
        if item.label is not None and item.settled_at:
            raise LabelSettled(f"{item.label!r} is a row of the table by now: it cannot be taken back here.")
        return _changed(connection, "items_take_back", item, person)


def let_go(url: str, person: Person) -> None:
    """What the person has on the screen is for others from now on."""
    with database.connect(url) as connection:
        connection.execute(database.query("items_let_go"), {"holder": person.holder})


def drop(url: str, numbers: Sequence[int], because: str) -> int:
    """Open items that are wanted no longer; returns how many were open."""
    with database.connect(url) as connection:
        return connection.execute(database.query("items_drop"), {"ids": list(numbers), "because": because}).rowcount


def counts(url: str, classifier: str, person: Person) -> dict[str, Any]:
    """{"open", "waiting", "settled", "today", "held", "skipped", "because", "refused": [{"id", "label", "because"}]}:
    how the queue is, for this person."""
    asked = {"classifier": classifier, "person": person.name, "holder": person.holder}
    with database.connect(url) as connection:
        (found,) = connection.execute(database.query("items_counts"), asked).fetchall()
        return {**found, "refused": connection.execute(database.query("items_refused"), asked).fetchall()}


def _shuffled(reasons: Sequence[Reason], shares: Mapping[Reason, float]) -> list[Reason]:
    """In an order by chance, in which each is first as often as its share says; those without a share come last."""

    def key(reason: Reason) -> float:
        share = shares[reason]
        return random.random() ** (1 / share) if share > 0 else random.random() - 1  # noqa: S311 - no secret

    return sorted(reasons, key=key, reverse=True)


def _locked(connection: database.Connection, number: int) -> Item:
    return _found(connection, number, "items_lock")


def _found(connection: database.Connection, number: int, query: str) -> Item:
    row = connection.execute(database.query(query), {"id": number}).fetchone()
    if row is None:
        raise NoSuchItem("There is no such text in the queue (any more): ask for the next one.")
    return Item.of(row)


def _let(item: Item, person: Person) -> None:
    if item.dropped_at is not None:
        raise NoSuchItem("That text is wanted no longer: ask for the next one.")
    if item.held_by != person.holder:
        raise NotYourItem("Somebody else has that text now: ask for the next one.")


def _taken(item: Item, person: Person) -> LabelSettled | NotYourItem:
    if item.label is not None and item.held_by == person.holder:
        return LabelSettled(f"You have labelled that text {item.label!r} already: undo that, then choose again.")
    return NotYourItem("Somebody else has that text now, or has labelled it: ask for the next one.")


def _changed(connection: database.Connection, query: str, item: Item, person: Person, **more: Any) -> Item:
    asked = {"id": item.id, "person": person.name, "holder": person.holder, "seconds": HOLD_S, **more}
    (row,) = connection.execute(database.query(query), asked).fetchall()
    return Item.of(row)
