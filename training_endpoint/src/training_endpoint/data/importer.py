"""Imports a dataset into the training database: two tables of its own columns, then the trigger that watches them.

python -m training_endpoint.data.importer [--dataset …] [--text-column …] [--label-column …] [--encoding …] [--replace]
"""

import argparse
import os
import sys
from collections import defaultdict
from dataclasses import replace
from typing import Any

from psycopg import errors as pg
from psycopg.types.json import Jsonb

from mlops_contract.env import SettingError
from mlops_contract.errors import PlatformError
from training_endpoint import database
from training_endpoint.data import counts, sources, tables
from training_endpoint.data.labels import label_names
from training_endpoint.data.sources import columns as kinds
from training_endpoint.data.sources import words
from training_endpoint.data.sources.cells import is_no_number
from training_endpoint.data.sources.choose import choose, part_column
from training_endpoint.data.sources.columns import Column
from training_endpoint.data.sources.names import same
from training_endpoint.data.sources.part import Part, having, split, where
from training_endpoint.data.sources.problems import Problems
from training_endpoint.data.tables import Progress
from training_endpoint.errors import DataError, ImportBusy, ImportConflict, ImportFailed
from training_endpoint.settings import Settings


def import_dataset(
    settings: Settings,
    dataset: str | None = None,
    text_column: str | None = None,
    label_column: str | None = None,
    encoding: str | None = None,
    *,
    anew: bool = False,
    anywhere: bool = True,
    progress: Progress = print,
) -> dict[str, Any]:
    """Makes `dataset` (None: the settings') the one that is trained on, and returns it as `current` does.

    The first time it creates NAME_train and NAME_test, fills and registers them, and then attaches the trigger, all in
    one transaction. Later it changes no row: the tables are the user's by then; `anew` puts them aside under another
    name and imports again. `anywhere`: whether it may lie outside of what the setting DATASET names. `progress` takes
    lines for people; those about what was assumed, repaired and left out are in the result too, as "notes".
    Raises `ImportFailed`, `ImportRefused`, `ImportConflict`, `MissingColumn`, `OneClass`, `EmptyTable`, a `HubError` or
    `DatabaseUnavailable`.
    """
    source = sources.find(dataset or settings.dataset, None if anywhere else settings.dataset)
    wanted = replace(
        settings,
        text_column=text_column or settings.text_column,
        label_column=label_column or settings.label_column,
        encoding=encoding or settings.encoding,
    )
    notes: list[str] = []

    def say(line: str) -> None:
        notes.append(line)
        progress(line)

    with database.connect(settings.database_url) as connection:
        try:
            connection.execute(database.query("dataset_lock"))
        except pg.LockNotAvailable:
            raise ImportBusy("Another import is going on: wait for its end, then try again.") from None
        known = connection.execute(database.query("dataset_named"), {"name": source.name}).fetchone()
        try:
            if known and anew:
                tables.put_aside(connection, known, say)
                known = None
            if known is None:
                _create(connection, source, wanted, progress, say)
            else:
                _check_same(known, source, text_column, label_column)
                progress(f"Dataset {source.name} is already imported: no row changes.")
        except pg.InsufficientPrivilege as error:
            raise ImportFailed(
                f"The training endpoint's role may not do this: {error.diag.message_primary}."
            ) from error
        connection.execute(database.query("dataset_retire"), {"name": source.name})
        connection.execute(database.query("dataset_select"), {"name": source.name})
        return {**(_describe(connection) or {}), "notes": notes}


def current(database_url: str) -> dict[str, Any] | None:
    """The dataset that is trained on, None before the first import.

    {"name", "train_table", "test_table", "text_column", "label_column", "labels", "source",
    "train": {"rows", "classes": {label: rows}}, "test": {…}, "pending_events": n}; rows without a label
    are in "rows" alone. A table of more than counts.EXACT_ROWS rows is sampled and says "estimated": true.
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
                f"{known['label_column']!r}: to choose others, import it anew with --replace."
            )


def _create(
    connection: database.Connection, source: sources.Source, wanted: Settings, progress: Progress, say: Progress
) -> None:
    """Creates, fills and registers the tables, then attaches the trigger. `say` takes the lines that are notes too."""
    progress(f"Reading {source.place} …")
    train, tests = source.open(wanted.huggingface_token, wanted.encoding)
    for note in train.notes:
        say(note)
    if len(train.columns) > tables.MOST_COLUMNS:
        raise ImportFailed(
            f"The dataset has {len(train.columns):,} columns, more than a table may have: leave some out."
        )
    problems = Problems()
    scan = kinds.scan(train, problems)
    try:
        text, label = choose(scan, train, wanted.text_column, wanted.label_column)
    except DataError as error:  # perhaps for what was left out
        raise type(error)(" ".join([error.message, *(f"{line}." for line in problems.lines())])) from error
    train, without = having(train, (text, label))
    if without:
        say(f"Passed over, for they have no column {text!r} or {label!r}: {', '.join(without[:10])}.")
    train, test, types = _with_test(train, tests, scan, text, label, say)
    types |= {text: "text"}
    say(f"Text column {text!r}, label column {label!r}; other columns: {len(train.columns) - 2}.")
    names = {"train": f"{source.name}_train", "test": f"{source.name}_test"}
    for part, table in ((train, names["train"]), (test, names["test"])):
        tables.fill(connection, part, table, types, text, label, progress, say)
    labels = _labels(connection, names["train"], label, train.classes.get(label, []))
    connection.execute(
        database.query("dataset_register"),
        {
            "name": source.name,
            "train_table": names["train"],
            "test_table": names["test"],
            "text_column": text,
            "label_column": label,
            "labels": Jsonb(labels),
            "source": source.place,
        },
    )
    # Last, so that the import itself is no event.
    for table in names.values():
        connection.execute("SELECT watch_training_table(%s::regclass)", [table])
    progress(f"Watching {names['train']} and {names['test']}; labels: {', '.join(labels[:10])}.")
    _doubt(labels, say)


def _with_test(
    train: Part, tests: list[Part], scan: dict[str, Column], text: str, label: str, say: Progress
) -> tuple[Part, Part, dict[str, str]]:
    """The training part, the test part and the types of all columns. A test part has labels that the training has."""
    for number, test in enumerate(tests):
        for note in test.notes:
            say(note)
        test_scan = kinds.scan(test)
        if text in test_scan and label in test_scan and scan[label].labels & test_scan[label].labels:
            chosen, without = having(test, (text, label))
            left = [*without, *(other.name for other in tests[number + 1 :])]
            if left:
                say(f"Passed over, for {chosen.name} is the test part: {', '.join(left)}.")
            return train, chosen, kinds.sql_types(scan, test_scan)
        say(f"Passed over as a test part: {test.name} has no label that the training rows have.")
    types = kinds.sql_types(scan)
    by_part = part_column(scan)
    if by_part and by_part in train.columns and by_part not in (text, label):
        ranks = {rank for value in scan[by_part].values if (rank := words.test_rank(value)) is not None}
        test = where(train, by_part, lambda value: words.test_rank(str(value)) == min(ranks), quiet=True)
        tested = kinds.scan(test)[label].labels
        if scan[label].labels & tested:
            say(f"Column {by_part!r} says which rows are for the test.")
            if len(ranks) > 1:
                left = [value for value in scan[by_part].values if (words.test_rank(value) or 0) > min(ranks)]
                say(f"Rows of {', '.join(sorted(left))} are left out, for there is a better test part.")
            return where(train, by_part, lambda value: words.test_rank(str(value)) is None), test, types
    say("There is no test part: one row in five of each class becomes it.")
    return *split(train, text, label), types


def _labels(connection: database.Connection, table: str, label: str, declared: list[str]) -> list[str]:
    """The labels of the training rows as text, in the order that the source declares, else in their own."""
    found = list(counts.of_table(connection, table, label, exact=True)["classes"])
    return sorted(found, key=declared.index) if set(found) <= set(declared) else found


def _doubt(labels: list[str], say: Progress) -> None:
    """Tells of labels that are perhaps one."""
    alike: dict[str, list[str]] = defaultdict(list)
    for name in labels:
        alike[" ".join(same(name).split())].append(name)
        if is_no_number(name):
            say(f"Label {name!r} counts as a class: where it means that there is none, leave the cell empty.")
    for several in alike.values():
        if len(several) > 1:
            say(f"Labels {' and '.join(map(repr, several))} count as different classes: correct them if they are one.")


def _describe(connection: database.Connection) -> dict[str, Any] | None:
    dataset = connection.execute(database.query("dataset_current")).fetchone()
    if dataset is None:
        return None
    both = [dataset["train_table"], dataset["test_table"]]
    pending = connection.execute(database.query("dataset_pending"), {"tables": both}).fetchone()
    train, test = (counts.of_table(connection, table, dataset["label_column"]) for table in both)
    dataset["labels"] = label_names(dataset["labels"])
    return {**dataset, "train": train, "test": test, "pending_events": pending["events"] if pending else 0}


def main(arguments: list[str] | None = None) -> int:
    """The command; its exit status."""
    parser = argparse.ArgumentParser(prog="python -m training_endpoint.data.importer", description="Imports a dataset.")
    parser.add_argument("--dataset", help="sample, a file, a folder or a hub id (default: DATASET)")
    parser.add_argument("--text-column", help="default: TEXT_COLUMN, else found")
    parser.add_argument("--label-column", help="default: LABEL_COLUMN, else found")
    parser.add_argument("--encoding", help="of text files, such as cp1251 (default: ENCODING, else found)")
    parser.add_argument("--replace", action="store_true", help="import anew; the old tables are kept under other names")
    given = parser.parse_args(arguments)
    try:
        done = import_dataset(
            Settings.from_env(os.environ),
            given.dataset,
            given.text_column,
            given.label_column,
            given.encoding,
            anew=given.replace,
        )
    except (PlatformError, SettingError) as error:
        print(error, file=sys.stderr)
        return 1
    print(
        f"Current dataset: {done['name']}, {done['train']['rows']:,} training and {done['test']['rows']:,} test rows."
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
