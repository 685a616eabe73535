"""What a version answered on its test rows, kept for as long as its answers are in the log."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from psycopg.types.json import Jsonb

from model_runner.artifact import TOKENIZER, Manifest
from model_runner.text import Encoder
from training_endpoint import database
from training_endpoint.monitor.estimate import Numbers, Reference, reference


def keep(
    url: str,
    model: str,
    version: int,
    answers: Numbers,
    labels: NDArray[np.int64],
    names: Sequence[str],
    texts: Sequence[str],
    folder: Path | None = None,
) -> None:
    """Stores it; again is the same. `answers` [rows, labels] are those of the form that is served, from `folder`.

    Of answers that are no numbers nothing can be told; the verdict says what is wrong with them.
    """
    if not np.isfinite(answers).all():
        return
    pieces = by_word(folder, texts) if folder and (folder / TOKENIZER).exists() else ()
    found = reference(np.asarray(answers, np.float64), labels, names, texts, pieces)
    with database.connect(url) as connection:
        asked = {"model": model, "version": version, "found": Jsonb(found.as_dict())}
        connection.execute(database.query("reference_keep"), asked)


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
