"""Rows that the platform adds to a classifier's tables, as anybody would: by INSERT, which the trigger sees."""

from collections.abc import Sequence

import psycopg
from psycopg import sql

from training_endpoint import database
from training_endpoint.errors import NotWritable, RowRefused


def add(connection: database.Connection, table: str, columns: tuple[str, str], rows: Sequence[tuple[str, str]]) -> None:
    """Texts and labels into `table`, all or none, in the transaction that is open.

    `table` is as regclass prints it, quoted where it must be; `columns` are those of the text and of the label. Raises
    `NotWritable` or `RowRefused`, after which the transaction goes on as if nothing had been tried.
    """
    names = [sql.Identifier(name) for name in columns]
    # Values without a type: the columns' own is taken.
    values = sql.SQL(", ").join([sql.SQL("(%s, %s)")] * len(rows))
    insert = sql.SQL("INSERT INTO {} ({}) VALUES {}").format(sql.SQL(table), sql.SQL(", ").join(names), values)
    try:
        with connection.transaction():
            connection.execute(insert, [value for row in rows for value in row])
    except psycopg.errors.InsufficientPrivilege as error:
        granted = ", ".join(name.as_string(connection) for name in names)
        raise NotWritable(f"training may not write: GRANT INSERT ({granted}) ON {table} TO platform") from error
    except psycopg.OperationalError:
        raise
    except psycopg.Error as error:
        raise RowRefused(f"{table} refused it: {str(error).splitlines()[0]}") from error
