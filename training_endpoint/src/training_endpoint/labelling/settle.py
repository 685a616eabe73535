"""Labels become rows: each is a plain INSERT, once, in one transaction with the note that it was made.

Audited texts go to the test table, so that the test rows follow the traffic; all others to the training table; and
those that are rows of a table already are corrected there.
"""

import logging

from training_endpoint import database
from training_endpoint.data import additions, classifiers
from training_endpoint.data.classifiers import Classifier
from training_endpoint.errors import NotWritable, RowRefused, UnknownClassifier
from training_endpoint.labelling import correct
from training_endpoint.labelling.items import UNDO_S, Item
from training_endpoint.settings import Settings

LOOK_S = 1.0

log = logging.getLogger(__name__)


def apply(settings: Settings, undo_s: float = UNDO_S) -> int:
    """Settles all labels that can be taken back no more; returns how many. Raises `DatabaseUnavailable`."""
    return sum(_all(settings, query, undo_s) for query in ("items_settleable", "items_settleable_again"))


def _all(settings: Settings, query: str, undo_s: float) -> int:
    """Those that a query gives. A table that takes none now is not asked for more of them this time."""
    settled, closed = 0, list[str]()
    while True:
        with database.connect(settings.database_url) as connection:
            asked = {"seconds": undo_s, "but": closed}
            row = connection.execute(database.query(query), asked).fetchone()
            if row is None:
                return settled
            item = Item.of(row)
            try:
                _settle(connection, item)
            except NotWritable as error:
                closed.append(row["goes_to"])
                said = {"id": item.id, "because": error.message}
                if connection.execute(database.query("items_wait"), said).rowcount:
                    log.warning("labels wait: %s", error.message)
            except (RowRefused, UnknownClassifier) as error:
                log.warning("the label of text %d: %s", item.id, error.message)
                connection.execute(database.query("items_refuse"), {"id": item.id, "because": error.message})
            else:
                connection.execute(database.query("items_settled"), {"id": item.id})
                settled += 1


def _settle(connection: database.Connection, item: Item) -> None:
    assert item.label is not None and item.text is not None  # noqa: S101 - the query gives no others
    classifier = classifiers.find(connection, item.classifier)
    if classifier.retired_at is not None:
        raise UnknownClassifier(f"The classifier {classifier.name} was retired.")
    if item.reason != "error":
        columns = classifier.text_column, classifier.label_column
        additions.add(connection, table_of(classifier, item), columns, [(item.text, item.label)])
    elif item.label != item.given_label:
        correct.write(connection, classifier, item)


def table_of(classifier: Classifier, item: Item) -> str:
    """Where a label of this item goes."""
    if item.reason == "audit" or item.source == "test":
        return classifier.test_table or classifier.train_table
    return classifier.train_table
