"""What a version answered on its test rows, kept for as long as its answers are in the log."""

import logging
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from psycopg.types.json import Jsonb

from model_runner import CannotServe
from model_runner.artifact import TOKENIZER, Manifest
from model_runner.text import Encoder
from training_endpoint import database
from training_endpoint.monitor.estimate import Answered, Numbers, Reference, reference
from training_endpoint.monitor.spoiling import misspelt

log = logging.getLogger(__name__)

SPOILT_ROWS = 2000
"""Of the test rows so many are misspelt at most: an answer costs as much as any."""


def keep(
    url: str,
    model: str,
    version: int,
    answers: Numbers,
    labels: NDArray[np.int64],
    names: Sequence[str],
    texts: Sequence[str],
    folder: Path | None = None,
    answer: Callable[[Sequence[str]], Numbers] | None = None,
) -> None:
    """Stores it; again is the same. `answers` [rows, labels] are those of the form that is served, from `folder`, to
    the test rows; `answer` gives those to further texts.

    Of answers that are no numbers nothing can be told; the verdict says what is wrong with them.
    """
    if not np.isfinite(answers).all():
        return
    speller = folder if folder and (folder / TOKENIZER).exists() else None
    tested = Answered(np.asarray(answers, np.float64), labels, by_word(speller, texts) if speller else ())
    spoilt = None
    if speller and answer:
        try:
            spoilt = spoil(answer, speller, texts, labels)
        except CannotServe as why:  # the verdict says so, and replicas too
            log.warning("misspelt test rows were not answered: %s", why)
    found = reference(tested, names, texts, spoilt)
    with database.connect(url) as connection:
        asked = {"model": model, "version": version, "found": Jsonb(found.as_dict())}
        connection.execute(database.query("reference_keep"), asked)


def spoil(
    answer: Callable[[Sequence[str]], Numbers], folder: Path, texts: Sequence[str], labels: NDArray[np.int64]
) -> Answered:
    """Answers to misspelt copies of some of the test rows."""
    picked = np.unique(np.linspace(0, len(texts) - 1, min(SPOILT_ROWS, len(texts))).round().astype(int))
    copies = misspelt([texts[place] for place in picked])
    return Answered(np.asarray(answer(copies), np.float64), labels[picked], by_word(folder, copies))


def by_word(folder: Path, texts: Sequence[str]) -> list[float | None]:
    """Of each text the tokens by word, None for one that is cut."""
    encoder = Encoder.from_file(folder / TOKENIZER, Manifest.read(folder).max_length)
    return [
        None if one.truncated else len(one.ids) / max(1, len(text.split()))
        for text, one in zip(texts, encoder.encode(texts), strict=True)
    ]


def find(connection: database.Connection, model: str, version: int) -> Reference | None:
    """None for a version of before this was kept."""
    row = connection.execute(database.query("reference_get"), {"model": model, "version": version}).fetchone()
    return Reference.from_dict(row["found"]) if row else None
