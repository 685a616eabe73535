"""How many rows of which class a table has; of large ones an estimate, so that asking costs nobody anything."""

import math
import re
from typing import Any

from psycopg import sql

from training_endpoint import database

EXACT_ROWS = 500_000
SAMPLED_ROWS = 100_000
NUMBER = re.compile(r"-?[0-9]+(\.[0-9]+)?")
NONE: dict[str, Any] = {"rows": 0, "classes": {}}


def of_table(connection: database.Connection, table: str, label: str, exact: bool = False) -> dict[str, Any]:
    """{"rows", "classes": {label: rows}}; a large table is sampled, unless `exact`, and says "estimated": true."""
    name = sql.SQL(table)  # regclass printed it, quoted where it must be
    names: dict[str, sql.Composable] = {"table": name, "label": sql.Identifier(label)}
    rows = 0 if exact else _estimate(connection, name)
    query = database.query("dataset_counts")
    if rows > EXACT_ROWS:
        share = SAMPLED_ROWS / rows
        query = database.query("dataset_sample")
        names |= {"percent": sql.Literal(100 * share), "times": sql.Literal(1 / share)}
    found = connection.execute(query.format(**names)).fetchall()
    known = sorted((row for row in found if row["label"] is not None), key=lambda row: _place(row["label"]))
    classes = {row["label"]: row["rows"] for row in known}
    said = {"rows": sum(row["rows"] for row in found), "classes": classes}
    return {**said, "estimated": True} if rows > EXACT_ROWS else said


def _place(label: str) -> float:
    """Numbers come in their order, what else there is after them, as it came."""
    return float(label) if NUMBER.fullmatch(label) else math.inf


def _estimate(connection: database.Connection, table: sql.SQL) -> int:
    """What the planner thinks of the number of rows: it knows the table's size on disk, analyzed or not."""
    plan = connection.execute(database.query("dataset_estimate").format(table=table)).fetchone()
    return int(plan["QUERY PLAN"][0]["Plan"]["Plan Rows"]) if plan else 0
