"""What is asked next: a sample of the log, of which some texts are to be learned from and some audit the traffic.

The disagreements of the shadow and the label errors come from elsewhere; how often each is asked is decided here.
"""

import hashlib
import logging
import re
import string
from collections.abc import Iterable, Mapping, Sequence
from datetime import timedelta
from typing import Any

import numpy as np
import psycopg
from numpy.typing import NDArray
from psycopg import sql

from training_endpoint import database
from training_endpoint.data import classifiers
from training_endpoint.data.additions import PATIENCE_S
from training_endpoint.data.classifiers import Classifier
from training_endpoint.errors import NotWritable
from training_endpoint.labelling import items
from training_endpoint.labelling.items import New, Reason
from training_endpoint.settings import Settings

LOOK_S = 30.0
LOOKED_BACK = timedelta(days=7)
"""Of the log, from which texts are drawn."""
PAGES = 2_000
"""Of 8 KB that are read of the log at a time, drawn by chance, however large it is."""
MOST_TEXTS = 2_000
LARGEST = 20_000
"""Of a text, in bytes: nobody reads more."""
MOST = 200
"""Of each reason that are added at a time."""
ERRORS = 10
"""Beside the shares, which are 100 together: one in eleven is a label error, while there are any."""
NEAR = 0.85
"""Texts whose pieces have a cosine above this are near-copies: one of them is asked."""
PIECE = 4
"""Characters of a piece."""
WIDTH = 4_096
UNHEARD = str.maketrans(dict.fromkeys(string.punctuation, " "))
LONGEST = 2_000
"""Of a text, in characters, that is looked at for near-copies."""

AUDIT_BYTE = 3
"""Of a text's hash: the first one holds out, the first three are the order in which the shadow's texts are asked."""
HELD_OUT = 51
"""Of 256, as data/rows.sql has it."""

log = logging.getLogger(__name__)


def shares(settings: Settings) -> dict[Reason, float]:
    """How often each reason is asked for while it has something."""
    disagreements, uncertain, audits = settings.label_shares
    return {"disagreement": disagreements, "uncertain": uncertain, "audit": audits, "error": ERRORS}


def room(settings: Settings, classifier: str, reason: Reason) -> int:
    """How many more items of this reason may wait: its share of LABEL_OPEN, less those that do."""
    most = round(settings.label_open * shares(settings)[reason] / 100)
    return max(0, most - items.waiting(settings.database_url, classifier)[reason])


def refill(settings: Settings) -> int:
    """Fills every classifier's queue from its log; returns how many texts came. Raises `DatabaseUnavailable`."""
    came = 0
    for classifier in classifiers.live(settings.database_url):
        try:
            came += fill(settings, classifier)
        except NotWritable as error:
            log.info("nothing is chosen for %s now: %s", classifier.name, error.message)
    return came


def fill(settings: Settings, classifier: Classifier) -> int:
    """One classifier's. Raises `NotWritable` where somebody locks its tables: which texts are rows cannot be told."""
    url, came = settings.database_url, 0
    audits, uncertain = (min(MOST, room(settings, classifier.name, reason)) for reason in ("audit", "uncertain"))
    if not audits and not uncertain:
        return 0
    with database.connect(url) as connection:
        found = _sample(connection, classifier)
        known = _rows(connection, classifier, [row["text"] for row in found])
        asked = connection.execute(database.query("pick_texts"), {"classifier": classifier.name}).fetchall()
        model = {"model": classifier.model}
        shadow = connection.execute(database.query("shadow_open"), model).fetchone()
    # In the order in which they were drawn, which is by chance; the same text is asked once.
    fresh = list({row["text"]: row for row in found if row["text"].strip() and row["text"] not in known}.values())
    audited = [row for row in fresh if for_audits(classifier, row["text"])][:audits]
    rest = [row for row in fresh if not for_audits(classifier, row["text"])]
    came += items.add(url, classifier.name, (_new("audit", row) for row in audited))
    # Beside a shadow by chance alone: what is labelled here is asked for it no more, and the texts on which the two
    # differ are not to be without those of which the Champion is unsure.
    if uncertain and settings.label_choice == "margin" and rest and shadow is None:
        newest = max(rest, key=lambda row: row["at"])["version"]  # others' doubts are perhaps no longer any
        rest = [row for row in rest if row["version"] == newest]
        rest = [rest[index] for index in margins(row["scores"] for row in rest).argsort(kind="stable")]
    if uncertain:
        others = [row["text"] for row in (*asked, *audited)]
        chosen = apart([row["text"] for row in rest], others, uncertain)
        came += items.add(url, classifier.name, (_new("uncertain", rest[rank], -rank) for rank in chosen))
    return came


def for_audits(classifier: Classifier, text: str) -> bool:
    """Whether a text may be asked for an audit, and for nothing else: one in five, by its hash.

    So nothing that is chosen for what models say of it is kept from the audits, which are to be as the traffic is.
    Without a test table these are the texts that are held out, and no others are.
    """
    digest = hashlib.sha256(text.encode()).digest()
    return digest[AUDIT_BYTE if classifier.test_table else 0] < HELD_OUT


def why_nothing(settings: Settings, classifier: Classifier, counts: Mapping[str, Any]) -> str:
    """A sentence for a person for whom there is no text."""
    with database.connect(settings.database_url) as connection:
        (kept,) = connection.execute(database.query("log_kept"), {"names": classifier.names}).fetchall()
    reasons = {
        "Nothing of this kind waits now; of other kinds there are texts.": (
            counts["open"] > counts["skipped"] + counts["held"]
        ),
        f"You have skipped what there is ({counts['skipped']}); more is chosen within a minute.": counts["skipped"],
        "Others have on their screens what there is; more is chosen within a minute.": counts["held"],
        "LABEL_OPEN in .env is 0: nothing is chosen to be labelled.": not settings.label_open,
        f"The log has no answer of {classifier.name}: either nothing was asked yet, or nothing is kept (PREDICTION_LOG "
        "in .env is off).": not kept["answers"],
        "The log keeps no texts (PREDICTION_LOG in .env is hashed), so there is nothing to choose from.": (
            not kept["texts"]
        ),
    }
    usual = "All that was chosen is labelled; more is chosen within a minute, once there are new answers in the log."
    return next((said for said, holds in reasons.items() if holds), usual)


def margins(scores: Iterable[Mapping[str, float]]) -> NDArray[np.float64]:
    """[rows]: of each the distance between its two highest scores; 1 where there is one alone."""
    return np.array([_margin(sorted(one.values(), reverse=True)) for one in scores], np.float64)


def apart(texts: Sequence[str], others: Sequence[str], most: int) -> list[int]:
    """Places of the first `most` of `texts` of which none is a near-copy of another, or of one of `others`."""
    chosen: list[int] = []
    kept = np.zeros((len(others) + most, WIDTH), np.float32)
    for number, text in enumerate(others):
        kept[number] = _pieces(text)
    count = len(others)
    for place, text in enumerate(texts):
        if len(chosen) == most:
            break
        vector = _pieces(text)
        if not count or float((kept[:count] @ vector).max()) < NEAR:
            kept[count] = vector
            count += 1
            chosen.append(place)
    return chosen


def _pieces(text: str) -> NDArray[np.float32]:
    """[WIDTH], of length 1: how often each piece is in a text, whatever its capitals, digits, punctuation, blanks."""
    short = re.sub(r"\d", "0", text[:LONGEST]).casefold()
    plain = " ".join(short.translate(UNHEARD).split()) or short
    data = np.frombuffer(f" {plain} ".ljust(PIECE).encode("utf-32-le"), np.uint32).astype(np.uint64)
    windows = np.lib.stride_tricks.sliding_window_view(data, PIECE)
    mixed = (windows * np.array([1, 1_000_003, 998_244_353, 2_654_435_761][:PIECE], np.uint64)).sum(axis=1)
    mixed = (mixed ^ (mixed >> np.uint64(15))) * np.uint64(0x9E3779B97F4A7C15)
    found = np.bincount((mixed >> np.uint64(52)).astype(np.int64), minlength=WIDTH).astype(np.float32)
    return found / np.linalg.norm(found)


def _margin(ordered: Sequence[float]) -> float:
    return ordered[0] - ordered[1] if len(ordered) > 1 else 1.0


def _sample(connection: database.Connection, classifier: Classifier) -> list[dict[str, Any]]:
    """Answers with texts, by chance, each as likely as any other."""
    asked = {
        "classifier": classifier.name,
        "names": classifier.names,
        "back": LOOKED_BACK,
        "pages": PAGES,
        "most": MOST_TEXTS,
        "largest": LARGEST,
    }
    row = connection.execute(database.query("pick_share"), asked).fetchone()
    return connection.execute(
        database.query("pick_sample"), {**asked, "share": row["share"] if row else 100}
    ).fetchall()


def _rows(connection: database.Connection, classifier: Classifier, texts: Sequence[str]) -> set[str]:
    """Those of `texts` that are rows of its tables already."""
    found: set[str] = set()
    for table in classifier.tables if texts else ():
        column = database.column(classifier.text_column)
        query = sql.SQL("SELECT {}::text AS text FROM {} WHERE {}::text = ANY (%s)").format(
            column, database.table(table), column
        )
        try:
            with connection.transaction():
                connection.execute(database.query("lock_patience"), {"timeout": f"{PATIENCE_S}s"})
                found.update(row["text"] for row in connection.execute(query, [list(texts)]))
        except psycopg.errors.LockNotAvailable as error:
            raise NotWritable(f"somebody is changing {table}") from error
        except psycopg.OperationalError:
            raise
        except psycopg.Error as error:  # it is gone, or may not be read: training says so, and other classifiers go on
            log.debug("%s: %s", table, error)
    return found


def _new(reason: Reason, row: Mapping[str, Any], priority: float = 0) -> New:
    return New(
        reason,
        row["text"],
        request_id=row["request_id"],
        place=row["place"],
        answered_at=row["at"],
        champion_version=row["version"],
        champion_label=row["label"],
        champion_scores=row["scores"],
        priority=priority,
    )
