"""A row's label that a person found wrong is written over; nothing else of a table is ever changed, nothing deleted."""

from training_endpoint import database
from training_endpoint.data.classifiers import Classifier
from training_endpoint.errors import RowRefused
from training_endpoint.labelling.items import Item


def write(connection: database.Connection, classifier: Classifier, item: Item) -> None:
    """The item's label into the row that `source` and `source_key` find, in the transaction that is open.

    Raises `NotWritable` where training lacks the right, `RowRefused` where the row is gone, has another label by now,
    or its table does not take the new one; either leaves the transaction as it was.
    """
    raise RowRefused(f"The label of a row of {classifier.name} cannot be corrected here yet.")
