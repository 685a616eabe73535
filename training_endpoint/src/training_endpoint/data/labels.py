"""What the labels column of classifiers means, whoever wrote it: importer, job, or a person by SQL."""

import json
import re
from collections import defaultdict
from collections.abc import Mapping
from typing import Any

from training_endpoint.data.sources.names import same_label
from training_endpoint.errors import DataError

DECIMAL = re.compile(r"-?[0-9]+\.[0-9]+")


def label_names(labels: Any) -> list[str]:
    """The labels as text, as PostgreSQL prints a column's values, without nulls, blanks around them and repetitions.

    `labels` is what the jsonb column holds; raises `DataError` when that is no list of texts or numbers.
    """
    if not isinstance(labels, list) or any(isinstance(label, list | dict) for label in labels):
        raise DataError(
            f"The labels of the classifier are {json.dumps(labels)[:80]}: set the column labels of "
            'classifiers to a list of texts, such as ["bad", "good"].'
        )
    names = (label.strip() if isinstance(label, str) else _printed(label) for label in labels if label is not None)
    return list(dict.fromkeys(name for name in names if name))


def alike(counts: Mapping[str, int]) -> list[str]:
    """Sentences on labels that differ by case or blanks alone, or as 1 and 1.0 do, with the rows of each.

    `counts`: rows by label.
    """
    groups: dict[str, list[str]] = defaultdict(list)
    for name, rows in counts.items():
        number = re.sub(r"\.?0+$", "", name) if DECIMAL.fullmatch(name) else name
        groups[same_label(number)].append(f"{name!r} ({rows:,} rows)")
    return [
        f"Labels {' and '.join(several)} count as different classes: correct them if they are one."
        for several in groups.values()
        if len(several) > 1
    ]


def trimmed(counts: Mapping[str, int]) -> list[str]:
    """Sentences on labels that some rows write with blanks around them; `counts`: how many rows, by label."""
    return [
        f"{rows:,} rows are labelled {name!r} with blanks around it, and count as that."
        for name, rows in counts.items()
    ]


def _printed(label: bool | float) -> str:
    if isinstance(label, float) and label.is_integer():
        return str(int(label))
    return json.dumps(label)
