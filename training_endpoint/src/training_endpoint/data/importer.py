"""Imports a dataset into the training database: two tables of its own columns, then the trigger that watches them.

python -m training_endpoint.data.importer [--dataset …] [--text-column …] [--label-column …]
"""

import argparse
import os
import sys
from collections import Counter
from collections.abc import Callable
from typing import Any

from psycopg import errors as pg
from psycopg import sql
from psycopg.types.json import Jsonb

from mlops_contract.env import SettingError
from mlops_contract.errors import PlatformError
from training_endpoint import database
from training_endpoint.data import sources
from training_endpoint.data.sources import columns as kinds
from training_endpoint.data.sources.part import Part, Problems, split
from training_endpoint.errors import EmptyTable, ImportBusy, ImportConflict, ImportFailed
from training_endpoint.settings import Settings

Progress = Callable[[str], object]

REPORT_ROWS = 10_000
EXACT_ROWS = 500_000
SAMPLED_ROWS = 100_000
MOST_COLUMNS = 1_000


def import_dataset(
    settings: Settings,
    dataset: str | None = None,
    text_column: str | None = None,
    label_column: str | None = None,
    progress: Progress = print,
) -> dict[str, Any]:
    """Makes `dataset` (None: the settings') the one that is trained on, and returns it as `current` does.

    The first time it creates NAME_train and NAME_test, fills and registers them, and then attaches the trigger, all in
    one transaction. Later it changes no row: the tables are the user's by then. `progress` takes lines for people.
    Raises `ImportFailed`, `ImportConflict`, `MissingColumn`, `OneClass`, `EmptyTable`, a `HubError` or
    `DatabaseUnavailable`.
    """
    source = sources.find(dataset or settings.dataset)
    with database.connect(settings.database_url) as connection:
        try:
            connection.execute(database.query("dataset_lock"))
        except pg.LockNotAvailable:
            raise ImportBusy("Another import is going on: wait for its end, then try again.") from None
        known = connection.execute(database.query("dataset_named"), {"name": source.name}).fetchone()
        if known is None:
            wanted = (text_column or settings.text_column, label_column or settings.label_column)
            _create(connection, source, wanted, settings, progress)
        else:
            _check_same(known, source, text_column, label_column)
            progress(f"Dataset {source.name} is already imported: no row changes.")
        connection.execute(database.query("dataset_retire"), {"name": source.name})
        connection.execute(database.query("dataset_select"), {"name": source.name})
        return _describe(connection) or {}


def current(database_url: str) -> dict[str, Any] | None:
    """The dataset that is trained on, None before the first import.

    {"name", "train_table", "test_table", "text_column", "label_column", "labels", "source",
    "train": {"rows", "classes": {label: rows}}, "test": {…}, "pending_events": n}; rows without a label
    are in "rows" alone. A table of more than EXACT_ROWS rows is sampled and says "estimated": true.
    Raises `DatabaseUnavailable`.
    """
    with database.connect(database_url) as connection:
        return _describe(connection)


def _check_same(known: dict[str, Any], source: sources.Source, text: str | None, label: str | None) -> None:
    if known["source"] != source.place:
        raise ImportConflict(
            f"A dataset {source.name} was imported from {known['source']}: rename the file or folder to import it too."
        )
    for wanted, column in ((text, known["text_column"]), (label, known["label_column"])):
        if wanted and wanted != column:
            raise ImportConflict(
                f"Dataset {source.name} was imported with text column {known['text_column']!r} and label column "
                f"{known['label_column']!r}: to choose others, delete its row of training_datasets and its tables."
            )


def _create(
    connection: database.Connection,
    source: sources.Source,
    columns: tuple[str, str],
    settings: Settings,
    progress: Progress,
) -> None:
    """Creates, fills and registers the tables, then attaches the trigger. `columns`: text and label, or ''."""
    progress(f"Reading {source.place} …")
    train, tests = source.open(settings.huggingface_token)
    scans = [kinds.scan(train)]
    text, label = kinds.choose(scans[0], train, *columns)
    for test in tests:
        scan = kinds.scan(test)
        if all(name in scan and scan[name].values for name in (text, label)):  # a contest's test part has no labels
            scans.append(scan)
            break
    else:
        progress("There is no test part: one row in five of each class becomes it.")
        train, test = split(train, text, label)
    types = kinds.sql_types(*scans) | {text: "text"}
    progress(f"Text column {text!r}, label column {label!r}; other columns: {len(types) - 2}.")
    tables = {"train": f"{source.name}_train", "test": f"{source.name}_test"}
    for part, table in ((train, tables["train"]), (test, tables["test"])):
        _fill(connection, part, table, types, progress)
    labels = _labels(connection, tables["train"], label, train.classes.get(label, []))
    connection.execute(
        database.query("dataset_register"),
        {
            "name": source.name,
            "train_table": tables["train"],
            "test_table": tables["test"],
            "text_column": text,
            "label_column": label,
            "labels": Jsonb(labels),
            "source": source.place,
        },
    )
    # Last, so that the import itself is no event.
    for table in tables.values():
        connection.execute("SELECT watch_training_table(%s::regclass)", [table])
    progress(f"Watching {tables['train']} and {tables['test']}; labels: {', '.join(labels[:10])}.")


def _fill(connection: database.Connection, part: Part, table: str, types: dict[str, str], progress: Progress) -> None:
    """Creates `table` with the columns of `part` and copies its rows into it."""
    if len(part.columns) > MOST_COLUMNS:
        raise ImportFailed(f"The dataset has {len(part.columns)} columns, more than a table may have: leave some out.")
    names = [sql.Identifier(name) for name in part.columns]
    own_types = [types[name] for name in part.columns]
    definitions = [sql.SQL("{} {}").format(name, sql.SQL(kind)) for name, kind in zip(names, own_types, strict=True)]
    try:
        connection.execute(
            sql.SQL("CREATE TABLE {} ({})").format(sql.Identifier(table), sql.SQL(", ").join(definitions))
        )
    except pg.DuplicateTable:
        raise ImportConflict(f"There is a table {table} already: rename it, or the file or folder.") from None
    copy = sql.SQL("COPY {} ({}) FROM STDIN").format(sql.Identifier(table), sql.SQL(", ").join(names))
    problems: Problems = Counter()
    count = 0
    with connection.cursor().copy(copy) as target:
        for row in part.rows(problems):
            cells = zip(row, own_types, strict=True)
            target.write_row([kinds.cell(value, kind, problems) for value, kind in cells])
            count += 1
            if count % REPORT_ROWS == 0:
                progress(f"{table}: {count:,} rows …")
    progress(f"{table}: {count:,} rows.")
    for problem, times in problems.items():
        progress(f"{table}: {times:,} {problem}.")
    if not count:
        raise EmptyTable(f"No row was left for {table}: add rows to the dataset.")


def _labels(connection: database.Connection, table: str, label: str, declared: list[str]) -> list[str]:
    """The labels of the training rows as text, in the order that the source declares, else in their own."""
    found = list(_counts(connection, table, label, exact=True)["classes"])
    return sorted(found, key=declared.index) if set(found) <= set(declared) else found


def _describe(connection: database.Connection) -> dict[str, Any] | None:
    dataset = connection.execute(database.query("dataset_current")).fetchone()
    if dataset is None:
        return None
    tables = [dataset["train_table"], dataset["test_table"]]
    pending = connection.execute(database.query("dataset_pending"), {"tables": tables}).fetchone()
    counts = [_counts(connection, table, dataset["label_column"]) for table in tables]
    return {**dataset, "train": counts[0], "test": counts[1], "pending_events": pending["events"] if pending else 0}


def _counts(connection: database.Connection, table: str, label: str, exact: bool = False) -> dict[str, Any]:
    name = sql.SQL(table)  # regclass printed it, quoted where it must be
    names: dict[str, sql.Composable] = {"table": name, "label": sql.Identifier(label)}
    rows = 0 if exact else _estimate(connection, name)
    query = database.query("dataset_counts")
    if rows > EXACT_ROWS:
        share = SAMPLED_ROWS / rows
        query = database.query("dataset_sample")
        names |= {"percent": sql.Literal(100 * share), "times": sql.Literal(1 / share)}
    found = connection.execute(query.format(**names)).fetchall()
    classes = {row["label"]: row["rows"] for row in found if row["label"] is not None}
    counted = sum(row["rows"] for row in found)
    return (
        {"rows": rows, "classes": classes, "estimated": True}
        if rows > EXACT_ROWS
        else {"rows": counted, "classes": classes}
    )


def _estimate(connection: database.Connection, table: sql.SQL) -> int:
    """What the planner thinks of the number of rows: it knows the table's size on disk, analyzed or not."""
    plan = connection.execute(database.query("dataset_estimate").format(table=table)).fetchone()
    return int(plan["QUERY PLAN"][0]["Plan"]["Plan Rows"]) if plan else 0


def main(arguments: list[str] | None = None) -> int:
    """The command; its exit status."""
    parser = argparse.ArgumentParser(prog="python -m training_endpoint.data.importer", description="Imports a dataset.")
    parser.add_argument("--dataset", help="sample, a file, a folder or a hub id (default: DATASET)")
    parser.add_argument("--text-column", help="default: TEXT_COLUMN, else found")
    parser.add_argument("--label-column", help="default: LABEL_COLUMN, else found")
    options = parser.parse_args(arguments)
    try:
        settings = Settings.from_env(os.environ)
        done = import_dataset(settings, options.dataset, options.text_column, options.label_column)
    except (PlatformError, SettingError) as error:
        print(error, file=sys.stderr)
        return 1
    print(
        f"Current dataset: {done['name']}, {done['train']['rows']:,} training and {done['test']['rows']:,} test rows."
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
