"""A label that a person found wrong is written over in its table; nothing else there is changed, nothing deleted."""

from psycopg import sql

from training_endpoint import database
from training_endpoint.data.additions import writing
from training_endpoint.data.classifiers import Classifier
from training_endpoint.data.table import check_columns
from training_endpoint.errors import DataError, MissingColumn, MissingTable, NotReadable, NotWritable, RowRefused
from training_endpoint.labelling.items import Item


def write(connection: database.Connection, classifier: Classifier, item: Item) -> None:
    """The item's label into all rows of its text that have the label that was found wrong, in the open transaction.

    Tables need no key for that, and rows of equal text and label are one to training. The trigger sees an UPDATE.
    Raises `NotWritable` for what may pass, `RowRefused` where the row is gone, has another label by now, or its table
    does not take the new one; either leaves the transaction as it was.
    """
    table = (classifier.test_table if item.source == "test" else None) or classifier.train_table
    label = sql.Identifier(classifier.label_column)
    grant = f"GRANT UPDATE ({label.as_string(connection)}) ON {table} TO platform"
    try:
        with writing(connection, table, "training may not correct labels", grant):
            name = check_columns(connection, table, classifier.text_column, classifier.label_column)
            columns = {"text": classifier.text_column, "label": classifier.label_column}
            parts = {"table": database.table(name)} | {key: database.column(one) for key, one in columns.items()}
            found = connection.execute(database.query("correct_labels").format(**parts), {"text": item.text})
            written = [row["label"] for row in found]
            wrong = [one for one in written if one is not None and one.strip() == item.given_label]
            if not wrong:
                raise RowRefused(_gone(table, item, written))
            asked = {"text": item.text, "wrong": wrong, "right": item.label}
            if not connection.execute(database.query("correct_write").format(**parts), asked).rowcount:
                raise NotWritable(
                    f"{table} kept its rows as they are: row security or a trigger of it lets training change none"
                )
    except (NotReadable, MissingTable, MissingColumn) as error:
        raise NotWritable(error.message) from error
    except DataError as error:
        raise RowRefused(error.message) from error


def _gone(table: str, item: Item, written: list[str | None]) -> str:
    others = ", ".join(repr(one) for one in written)
    now = f"it is labelled {others} by now" if others else "it is gone"
    return f"No row of {table} has that text and the label {item.given_label!r} any more: {now}."
