"""Connections to the training database and the queries in sql/, each file one query."""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from importlib.resources import files
from typing import Any

import psycopg
from psycopg import sql
from psycopg.rows import dict_row

from training_endpoint.errors import DatabaseUnavailable

Connection = psycopg.Connection[dict[str, Any]]


@cache
def query(name: str) -> sql.SQL:
    """The query in sql/`name`.sql."""
    text = (files(__package__) / "sql" / f"{name}.sql").read_text()
    return sql.SQL(text)


@contextmanager
def connect(url: str) -> Iterator[Connection]:
    """One transaction on a connection of its own; raises `DatabaseUnavailable` when there is no working database."""
    try:
        with psycopg.connect(url, connect_timeout=5, row_factory=dict_row) as connection:
            yield connection
    except psycopg.OperationalError as error:
        raise DatabaseUnavailable(
            f"The training database does not answer ({_first_line(error)}): start it, then try again."
        ) from error
    except psycopg.errors.UndefinedTable as error:
        raise DatabaseUnavailable(
            f"The training database has no schema yet ({_first_line(error)}): training-database-schema applies it."
        ) from error


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or ["no detail"])[0]
