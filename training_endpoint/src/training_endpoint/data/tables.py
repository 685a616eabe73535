"""A dataset's two tables: made and filled at an import, put aside when it is imported anew."""

import re
import time
from collections.abc import Callable
from typing import Any

import psycopg
from psycopg import errors as pg
from psycopg import sql

from training_endpoint import database
from training_endpoint.data.sources import cells
from training_endpoint.data.sources.part import Part
from training_endpoint.data.sources.problems import Problems
from training_endpoint.errors import EmptyTable, ImportConflict, ImportFailed

Progress = Callable[[str], object]

REPORT_ROWS = 10_000
MOST_COLUMNS = 1_000
LONGEST_STEM = 40  # leaves room for _train_ and a moment within PostgreSQL's 63 bytes


def fill(
    connection: database.Connection,
    part: Part,
    table: str,
    types: dict[str, str],
    text: str,
    label: str,
    progress: Progress,
    say: Progress,
) -> None:
    """Creates `table` with the columns of `part` and copies its rows into it; raises `ImportFailed` or `EmptyTable`.

    `say` takes what was left out and repaired, and which rows have no text or label.
    """
    own_types = [types[name] for name in part.columns]
    _create(connection, table, part.columns, own_types)
    problems = Problems()
    counts = {"rows": 0, "text": 0, "label": 0}
    text_at, label_at = part.columns.index(text), part.columns.index(label)
    kinds = [(kind, place == label_at) for place, kind in enumerate(own_types)]
    copy = sql.SQL("COPY {} ({}) FROM STDIN").format(
        sql.Identifier(table), sql.SQL(", ").join(map(sql.Identifier, part.columns))
    )
    try:
        with connection.cursor().copy(copy) as target:
            for row in part.rows(problems):
                values = [cells.cell(value, kind, problems, is_label)
                          for value, (kind, is_label) in zip(row, kinds, strict=True)]  # fmt: skip
                target.write_row(values)
                counts["rows"] += 1
                counts["text"] += values[text_at] is None
                counts["label"] += values[label_at] is None
                if counts["rows"] % REPORT_ROWS == 0:
                    progress(f"{table}: {counts['rows']:,} rows …")
    except pg.OperationalError as error:
        if not isinstance(error, pg.ProgramLimitExceeded):
            raise  # the database is gone, or full
        raise _refused(error, part, problems) from error
    except psycopg.Error as error:
        raise _refused(error, part, problems) from error
    progress(f"{table}: {counts['rows']:,} rows.")
    for line in problems.lines():
        say(f"{line}.")
    for column, what in ((text, "text"), (label, "label")):
        if counts[what]:
            say(f"{table}: {counts[what]:,} rows have no {what} in {column!r}: no run trains on them.")
    if not counts["rows"]:
        reasons = "; ".join(problems.lines()) or "equal texts stay on one side"
        raise EmptyTable(f"No row was left for {table} ({reasons}): add rows with other texts.")


def put_aside(connection: database.Connection, known: dict[str, Any], progress: Progress) -> None:
    """Renames the tables of a dataset, which is then no longer known; no row of them changes."""
    moment = time.strftime("%Y%m%d_%H%M%S", time.gmtime())
    for role in ("train", "test"):
        table = known[f"{role}_table"]
        if table is None:
            continue
        found = connection.execute("SELECT to_regclass(%s) IS NOT NULL AS there", [table]).fetchone()
        if not (found and found["there"]):
            progress(f"Table {table} is gone already.")
            continue
        connection.execute("SELECT unwatch_training_table(%s::regclass)", [table])
        _where_it_may_be_renamed(connection, table)
        aside = _free(connection, f"{known['name'][:LONGEST_STEM]}_{role}_{moment}")
        # regclass printed the old name, quoted where it must be
        connection.execute(sql.SQL("ALTER TABLE {} RENAME TO {}").format(sql.SQL(table), sql.Identifier(aside)))
        progress(f"Table {table} is kept as {aside}.")
    connection.execute(database.query("classifier_forget"), {"name": known["name"]})


def _free(connection: database.Connection, name: str) -> str:
    """`name`, with a number where there is such a table: two imports may end within one second."""
    number, found = 1, name
    while connection.execute("SELECT 1 FROM pg_class WHERE relname = %s", [found]).fetchone():
        number += 1
        found = f"{name}_{number}"
    return found


def _where_it_may_be_renamed(connection: database.Connection, table: str) -> None:
    """Moves a table of an earlier version out of `public`, where the services' role creates and renames nothing."""
    may = connection.execute(
        "SELECT has_schema_privilege(relnamespace, 'CREATE') AS rename FROM pg_class WHERE oid = %s::regclass", [table]
    ).fetchone()
    if may and not may["rename"]:
        connection.execute(sql.SQL("ALTER TABLE {} SET SCHEMA datasets").format(sql.SQL(table)))


def _create(connection: database.Connection, table: str, columns: list[str], types: list[str]) -> None:
    definitions = [sql.SQL("{} {}").format(sql.Identifier(name), sql.SQL(kind))
                   for name, kind in zip(columns, types, strict=True)]  # fmt: skip
    try:
        connection.execute(
            sql.SQL("CREATE TABLE {} ({})").format(sql.Identifier(table), sql.SQL(", ").join(definitions))
        )
    except pg.DuplicateTable:
        raise ImportConflict(f"There is a table {table} already: rename it, or the file or folder.") from None


def _refused(error: psycopg.Error, part: Part, problems: Problems) -> ImportFailed:
    """What PostgreSQL refused, and where it stands: COPY tells which row, and reading again where that is."""
    reason = (error.diag.message_primary or str(error).strip() or type(error).__name__).splitlines()[0]
    context = re.match(r'COPY [^,]+, line (\d+)(?:, column ([^:]+): "(.*)")?', error.diag.context or "", re.DOTALL)
    place, about = problems.place, ""
    if context:
        again = Problems()
        for number, _ in enumerate(part.rows(again), 1):
            if number == int(context[1]):
                place = again.place
                break
        about = f", column {context[2]!r}, value {context[3][:80]!r}" if context[2] else ""
    return ImportFailed(f"{place}{about}: PostgreSQL cannot hold this ({reason}). Change it, or leave it out.")
