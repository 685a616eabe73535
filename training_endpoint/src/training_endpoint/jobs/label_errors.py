"""Labels that are perhaps wrong: of new rows before a run trains on them, and of test rows after it.

A person confirms or corrects them on the page to label. Whatever goes wrong here is said in the verdict and stops no
run.
"""

import logging
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from mlops_contract.errors import PlatformError
from training_endpoint.data import lineage
from training_endpoint.data.rows import Rows
from training_endpoint.data.snapshot import beginnings, row_hash
from training_endpoint.jobs import course
from training_endpoint.jobs.context import Challenger, Job
from training_endpoint.judge import mislabelled
from training_endpoint.judge.evaluate import Labels, Probabilities
from training_endpoint.labelling import flags
from training_endpoint.labelling.flags import Flag, Source
from training_endpoint.release import ledger, opponent

MOST_NEW = 1_000
"""Of more new rows so many are scored, evenly drawn: an even bound on what it costs."""
BESIDE = 300
"""So many test rows are scored beside them: of a few rows alone nothing could be told."""
MOST_TEST = 50_000

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Found:
    """How many flags stand, of how many rows looked at; `trouble` says why there was no looking."""

    source: Source
    standing: int = 0
    looked_at: int = 0
    trouble: str = ""

    @property
    def told(self) -> dict[str, Any]:
        """Ready for JSON."""
        return asdict(self)


def of_new_rows(job: Job) -> Found:
    """Flags the training rows that the Champion's snapshot did not have, by the Champion's scores."""
    return _found("train", job, lambda: _new_rows(job))


def of_test_rows(job: Job, challenger: Challenger) -> Found:
    """Flags test rows, by the scores of the version that is judged."""
    return _found("test", job, lambda: _test_rows(job, challenger))


def sentence(found: Sequence[Found]) -> str:
    """For people; empty where no flag stands and nothing went wrong."""
    counts = {one.source: one.standing for one in found if one.standing}
    parts = []
    if counts:
        total = sum(counts.values())
        where = " and ".join(
            f"{count} of {source}{'ing' * (source == 'train')} rows" for source, count in counts.items()
        )
        one = total == 1
        parts.append(f"{total} label{'s' * (not one)} {'is' if one else 'are'} perhaps wrong ({where}): look at "
                     f"{'it' if one else 'them'} on the page to label")  # fmt: skip
    rows = {"train": "new rows", "test": "test rows"}
    parts += [
        f"wrong labels among the {rows[one.source]} were not looked for: {one.trouble}" for one in found if one.trouble
    ]
    return "; ".join(parts)


def _found(source: Source, job: Job, look: Callable[[], Found]) -> Found:
    try:
        with job.clock("doubting"):
            return look()
    except PlatformError as error:
        trouble = error.message.rstrip(".")
    except Exception as error:  # whatever the library makes of strange scores: the run is worth more
        log.exception("looking for wrong labels")
        trouble = f"{type(error).__name__}: {error}".splitlines()[0][:200]
    log.warning("wrong labels of %s rows were not looked for: %s", source, trouble)
    return Found(source, trouble=trouble)


def _new_rows(job: Job) -> Found:
    settings, snapshot = job.settings, job.snapshot
    newest = ledger.newest(settings.database_url, settings.model_name)
    if newest is None or newest.to_version is None:
        return Found("train", _put(job, "train", 0, []))  # without a Champion there is nobody to say
    behind = course.rows_behind(settings, newest.to_version)
    hashes, names = lineage.hashes_of(behind)["train"], lineage.fields(behind)["label_names"]
    new = np.flatnonzero(~np.isin(beginnings("train", snapshot.train, snapshot.label_names), hashes))
    new = _drawn(new, MOST_NEW)
    rows = snapshot.train.pick(new)
    unseen = ~_known(rows, hashes, names)
    rows = rows.pick(np.flatnonzero(unseen))
    if not len(rows):
        return Found("train", _put(job, "train", newest.to_version, []))
    beside = snapshot.test.pick(_drawn(np.arange(len(snapshot.test)), BESIDE))
    job.report(message=f"looking for wrong labels among {len(rows):,} new rows")
    champion = opponent.answers(settings, [*rows.texts, *beside.texts], snapshot.label_names)
    if champion is None or champion.probabilities is None:
        return Found("train", trouble=champion.trouble if champion else "there is no Champion any more")
    labels = np.concatenate([rows.labels, beside.labels]).astype(np.int64)
    places = mislabelled.suspects(champion.probabilities, labels)
    found = _flags(job, rows, champion.probabilities[: len(rows)], places[places < len(rows)])
    return Found("train", _put(job, "train", champion.version, found), len(rows))


def _test_rows(job: Job, challenger: Challenger) -> Found:
    some = _drawn(np.arange(len(job.snapshot.test)), MOST_TEST)
    rows, scores = job.snapshot.test.pick(some), np.asarray(challenger.answers, np.float64)[some]
    places = mislabelled.suspects(scores, rows.labels.astype(np.int64))
    found = _flags(job, rows, scores, places)
    return Found("test", _put(job, "test", challenger.voucher.version, found), len(rows))


def _flags(job: Job, rows: Rows, scores: Probabilities, places: Labels) -> list[Flag]:
    names, longest = job.snapshot.label_names, job.settings.max_text_chars
    own = scores[places]
    suspicions = mislabelled.suspicion(own, rows.labels[places].astype(np.int64))
    found = []
    for place, score, suspicion in zip(places, own, suspicions, strict=True):
        text = rows.texts[int(place)]
        if len(text) >= longest:
            continue  # it was cut perhaps, and could not be found in its table
        answers = {name: round(float(value), 4) for name, value in zip(names, score, strict=True)}
        found.append(Flag(text, names[rows.labels[place]], names[int(score.argmax())], answers, float(suspicion)))
    return found


def _put(job: Job, source: Source, version: int, found: list[Flag]) -> int:
    snapshot = job.snapshot
    there = np.sort(beginnings(source, getattr(snapshot, source), snapshot.label_names))

    def is_there(text: str, label: str) -> bool:
        return bool(_in(there, np.array([_begins(source, text, label)], np.uint64))[0])

    return flags.put(job.settings.database_url, snapshot.name, source, version, found, is_there)


def _known(rows: Rows, hashes: npt.NDArray[np.uint64], names: Sequence[str]) -> npt.NDArray[np.bool_]:
    """Which texts the Champion was trained on under another label: its scores of those are of what it learned."""
    found = np.zeros(len(rows), bool)
    for place, text in enumerate(rows.texts):
        found[place] = _in(hashes, np.array([_begins("train", text, name) for name in names], np.uint64)).any()
    return found


def _begins(split: str, text: str, label: str) -> int:
    return int.from_bytes(row_hash(split, text, label)[:8], "big")


def _in(ordered: npt.NDArray[np.uint64], sought: npt.NDArray[np.uint64]) -> npt.NDArray[np.bool_]:
    if not len(ordered):
        return np.zeros(len(sought), bool)
    at = np.minimum(np.searchsorted(ordered, sought), len(ordered) - 1)
    return np.asarray(ordered[at] == sought)


def _drawn(places: npt.NDArray[np.int64], most: int) -> npt.NDArray[np.int64]:
    """At most so many of them, evenly: the order of rows is by their hashes, as good as shuffled."""
    if len(places) <= most:
        return places
    return places[np.linspace(0, len(places) - 1, most).round().astype(np.int64)]
