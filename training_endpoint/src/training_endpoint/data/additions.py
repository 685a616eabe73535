"""Rows that the platform adds to a classifier's tables, as anybody would: by INSERT, which the trigger sees."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import psycopg
from psycopg import sql

from training_endpoint import database
from training_endpoint.errors import NotWritable, RowRefused

PATIENCE_S = 5
"""For so long somebody who locks the table, or a row of it, is waited for."""
PASSING = (
    psycopg.errors.LockNotAvailable,
    psycopg.errors.QueryCanceled,
    psycopg.errors.DeadlockDetected,
    psycopg.errors.SerializationFailure,
)
ABSENT = (psycopg.errors.UndefinedTable, psycopg.errors.UndefinedColumn, psycopg.errors.InvalidSchemaName)
"""Perhaps for a moment: a table is swapped for another by two renames."""
POLICIES = "ExecWithCheckOptions"
"""Where PostgreSQL refuses a single row for a policy, by the same code as a right that is missing."""
SERVER = ("08", "53", "57", "58", "25")
"""Classes of errors that are the server's, not the row's: no connection, no room, shut down, read only."""


def add(connection: database.Connection, table: str, columns: tuple[str, str], rows: Sequence[tuple[str, str]]) -> None:
    """Texts and labels into `table`, all or none, in the transaction that is open.

    `table` is as regclass prints it, quoted where it must be; `columns` are those of the text and of the label. Raises
    `NotWritable` or `RowRefused`, after which the transaction goes on as if nothing had been tried.
    """
    names = sql.SQL(", ").join(map(database.column, columns))
    # Values without a type: the columns' own is taken.
    values = sql.SQL(", ").join([sql.SQL("(%s, %s)")] * len(rows))
    insert = sql.SQL("INSERT INTO {} ({}) VALUES {}").format(database.table(table), names, values)
    granted = ", ".join(sql.Identifier(name).as_string(connection) for name in columns)
    grant = f"GRANT INSERT ({granted}) ON {table} TO platform"
    with writing(connection, table, "training may not write", grant):
        written = connection.execute(insert, [value for row in rows for value in row]).rowcount
        # A trigger may write rows elsewhere, as inheritance needs it, or nowhere.
        if written < len(rows) and not all(_is_there(connection, table, columns[0], text) for text, _ in rows):
            raise RowRefused(f"{table} did not keep it: a trigger of the table lets no such row in")


def _is_there(connection: database.Connection, table: str, column: str, text: str) -> bool:
    found = sql.SQL("SELECT FROM {} WHERE {} = %s LIMIT 1").format(database.table(table), database.column(column))
    return connection.execute(found, [text]).fetchone() is not None


@contextmanager
def writing(connection: database.Connection, table: str, what: str, grant: str) -> Iterator[None]:
    """What is done to a user's table: all of it or nothing, within the transaction that is open.

    Raises `NotWritable` for what may pass, with `what` and `grant` where a right is missing, and `RowRefused` for a row
    that the table will not take. A connection that is lost is raised as it is.
    """
    try:
        with connection.transaction():
            connection.execute(database.query("lock_patience"), {"timeout": f"{PATIENCE_S}s"})
            yield
            connection.execute(database.query("writing_ends"))
    except psycopg.errors.InsufficientPrivilege as error:
        said = str(error).splitlines()[0]
        if error.diag.source_function == POLICIES:
            raise RowRefused(f"{table} refused it: {said}") from error
        raise NotWritable(f"{what} ({said}): {grant}") from error
    except PASSING as error:
        raise NotWritable(f"somebody is changing {table}: it is tried again") from error
    except ABSENT as error:
        raise NotWritable(f"{str(error).splitlines()[0]}: it is tried again") from error
    except psycopg.Error as error:
        if connection.broken or error.sqlstate is None:
            raise
        if error.sqlstate[:2] in SERVER:
            raise NotWritable(f"{table}: {str(error).splitlines()[0]}: it is tried again") from error
        raise RowRefused(f"{table} refused it: {str(error).splitlines()[0]}") from error
