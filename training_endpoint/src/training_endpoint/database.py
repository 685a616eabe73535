"""Connections to the training database, and the named queries in the .sql files beside the code that asks them."""

import atexit
import os
import threading
import time
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

MOST_IDLE = 4
IDLE_S = 60.0
TRUSTED_S = 1.0
"""A connection that was idle for longer is tried before it is used again."""

_lock = threading.Lock()
_idle: dict[tuple[int, str], list[tuple[Connection, float]]] = {}
"""By process, since a child must not use its parent's, and URL: the last given back at the end."""


def query(name: str) -> sql.SQL:
    """The query below the comment `-- name: NAME` in one of this package's .sql files."""
    return _queries()[name]


@cache
def _queries() -> dict[str, sql.SQL]:
    parts = [part for file in Path(__file__).parent.glob("*/*.sql") for part in file.read_text().split("-- name: ")[1:]]
    named = (part.partition("\n") for part in parts)
    return {name.strip(): sql.SQL(text.strip()) for name, _, text in named}


def column(name: str) -> sql.Identifier:
    """A user's column in a query that has parameters, of which a percent sign in its name would be one."""
    return sql.Identifier(name.replace("%", "%%"))


def table(name: str) -> sql.SQL:
    """As `column`, of a table's name as regclass prints it, quoted where it must be."""
    return sql.SQL(name.replace("%", "%%"))


@contextmanager
def connect(url: str) -> Iterator[Connection]:
    """One transaction on a connection of its own; raises `DatabaseUnavailable` when there is no working database."""
    try:
        connection = _take(url)
        try:
            yield connection
            connection.commit()
        finally:
            _give_back(url, connection)
    except psycopg.OperationalError as error:
        raise DatabaseUnavailable(
            f"The training database does not answer ({_first_line(error)}): start it, then try again."
        ) from error
    except psycopg.errors.UndefinedTable as error:
        raise DatabaseUnavailable(
            f"The training database has no schema yet ({_first_line(error)}): training-database-schema applies it."
        ) from error


def _take(url: str) -> Connection:
    """An idle connection that still works, else a new one. Either notices within seconds that its server is gone."""
    while (kept := _pop(url)) is not None:
        connection, since = kept
        idle = time.monotonic() - since
        if idle < IDLE_S:
            try:
                if idle > TRUSTED_S:
                    connection.execute("SELECT 1")
                    connection.rollback()
                return connection
            except psycopg.OperationalError:
                pass  # the server was started again meanwhile, or is gone: a new connection tells
        connection.close()
    return psycopg.connect(
        url,
        connect_timeout=5,
        row_factory=dict_row,
        keepalives_idle=10,
        keepalives_interval=5,
        keepalives_count=3,
        tcp_user_timeout=20_000,
    )


def _pop(url: str) -> tuple[Connection, float] | None:
    with _lock:
        kept = _idle.get((os.getpid(), url))
        return kept.pop() if kept else None


def _give_back(url: str, connection: Connection) -> None:
    """Keeps a connection that is whole for the next transaction, and takes back what this one left open."""
    try:
        connection.rollback()
        connection.isolation_level = connection.read_only = None
    except psycopg.Error:
        connection.close()
    if not connection.closed:
        with _lock:
            _idle.setdefault((os.getpid(), url), []).append((connection, time.monotonic()))
    _close_idle(IDLE_S)


def _close_idle(longer_than: float = 0) -> None:
    """Closes what this process has not used for so many seconds, and more than MOST_IDLE."""
    since = time.monotonic() - longer_than
    closing: list[Connection] = []
    with _lock:
        for (process, _), kept in _idle.items():
            if process == os.getpid():
                closing += [connection for connection, at in kept if at <= since]
                kept[:] = [(connection, at) for connection, at in kept if at > since]
                closing += [connection for connection, _ in kept[:-MOST_IDLE]]
                del kept[:-MOST_IDLE]
    for connection in closing:
        connection.close()


atexit.register(_close_idle)


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or ["no detail"])[0]
