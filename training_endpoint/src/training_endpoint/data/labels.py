"""What the labels column of training_datasets means, whoever wrote it: importer, or a person by SQL."""

import json
from typing import Any

from training_endpoint.errors import DataError


def label_names(labels: Any) -> list[str]:
    """The labels as text, as PostgreSQL prints a column's values, without nulls, blanks around them and repetitions.

    `labels` is what the jsonb column holds; raises `DataError` when that is no list of texts or numbers.
    """
    if not isinstance(labels, list) or any(isinstance(label, list | dict) for label in labels):
        raise DataError(
            f"The labels of the current dataset are {json.dumps(labels)[:80]}: set the column labels of "
            'training_datasets to a list of texts, such as ["bad", "good"].'
        )
    names = (label.strip() if isinstance(label, str) else _printed(label) for label in labels if label is not None)
    return list(dict.fromkeys(name for name in names if name))


def _printed(label: bool | float) -> str:
    if isinstance(label, float) and label.is_integer():
        return str(int(label))
    return json.dumps(label)
