"""What a version answered on its test rows, kept for as long as its answers are in the log."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from psycopg.types.json import Jsonb

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
) -> None:
    """Stores it; again is the same. `answers` [rows, labels] are those of the form that is served."""
    found = reference(np.asarray(answers, np.float64), labels, names, texts)
    with database.connect(url) as connection:
        asked = {"model": model, "version": version, "found": Jsonb(found.as_dict())}
        connection.execute(database.query("reference_keep"), asked)


def find(connection: database.Connection, model: str, version: int) -> Reference | None:
    """None for a version of before this was kept."""
    row = connection.execute(database.query("reference_get"), {"model": model, "version": version}).fetchone()
    return Reference.from_dict(row["found"]) if row else None
