"""Connections to the training database, and the named queries in the .sql files beside the code that asks them."""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

import psycopg
from psycopg import sql
from psycopg.rows import dict_row

from training_endpoint.errors import DatabaseUnavailable

Connection = psycopg.Connection[dict[str, Any]]


def query(name: str) -> sql.SQL:
    """The query below the comment `-- name: NAME` in one of this package's .sql files."""
    return _queries()[name]


@cache
def _queries() -> dict[str, sql.SQL]:
    parts = [part for file in Path(__file__).parent.glob("*/*.sql") for part in file.read_text().split("-- name: ")[1:]]
    named = (part.partition("\n") for part in parts)
    return {name.strip(): sql.SQL(text.strip()) for name, _, text in named}


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
