"""Imports a dataset into the training database: two tables of its own columns, then the classifier over them.

python -m training_endpoint.data.importer [--dataset …] [--text-column …] [--label-column …] [--encoding …] [--replace]
"""

import argparse
import os
import sys
from dataclasses import replace
from typing import Any

from psycopg import errors as pg
from psycopg.types.json import Jsonb

from mlops_contract.env import SettingError
from mlops_contract.errors import PlatformError
from training_endpoint import database
from training_endpoint.data import classifiers, counts, sources, tables
from training_endpoint.data.labels import alike, label_names
from training_endpoint.data.sources import columns as kinds
from training_endpoint.data.sources import words
from training_endpoint.data.sources.cells import is_no_number
from training_endpoint.data.sources.choose import choose, part_column
from training_endpoint.data.sources.columns import Column
from training_endpoint.data.sources.part import Part, having, split, where
from training_endpoint.data.sources.problems import Problems
from training_endpoint.data.table import check_columns
from training_endpoint.data.tables import Progress
from training_endpoint.errors import DataError, ImportBusy, ImportConflict, ImportFailed, NoDataset
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
    """Makes `dataset` (None: the settings') the default classifier, and returns it as `current` does.

    The first time it creates NAME_train and NAME_test, fills them, and then makes a classifier of that name, all in
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
        known = connection.execute(database.query("classifier_named"), {"name": source.name}).fetchone()
        before = known or {}
        try:
            if known and anew:
                tables.put_aside(connection, known, say)
                known = None
            if known is None:
                _create(connection, source, wanted, before, progress, say)
            else:
                _check_same(known, source, text_column, label_column)
                connection.execute(database.query("classifier_create"), known)  # takes up again what was retired
                progress(f"Dataset {source.name} is already imported: no row changes.")
        except pg.InsufficientPrivilege as error:
            raise ImportFailed(
                f"The training endpoint's role may not do this: {error.diag.message_primary}."
            ) from error
        except (pg.AmbiguousAlias, pg.UniqueViolation) as error:
            raise ImportConflict(f"{error.diag.message_primary}.") from error
        except (pg.UndefinedTable, pg.InvalidSchemaName, pg.UndefinedColumn, pg.WrongObjectType) as error:
            raise ImportConflict(
                f"Somebody changed the tables of {source.name} ({error.diag.message_primary}): call create_classifier "
                "with their names of today, or import it anew with --replace."
            ) from error
        except pg.LockNotAvailable as error:
            raise ImportBusy(f"{error.diag.message_primary}: try again when that has ended.") from error
        connection.execute(database.query("classifier_make_default"), {"name": source.name})
        return {**_describe(connection, None), "notes": notes}


def current(database_url: str, name: str | None = None) -> dict[str, Any] | None:
    """What the classifier `name` learns from, the default one where there is no name; None before the first import.

    {"name", "train_table", "test_table", "text_column", "label_column", "labels", "source",
    "train": {"rows", "classes": {label: rows}}, "test": {…}, "pending_events": n}; rows without a label are in "rows"
    alone. Without a test table "test" is empty: its rows are among the others. A table of more than counts.EXACT_ROWS
    rows is sampled and says "estimated": true. Raises `UnknownClassifier`, `DatabaseUnavailable`, or a `DataError` for
    tables that are not there any more as it needs them.
    """
    with database.connect(database_url) as connection:
        try:
            return _describe(connection, name)
        except NoDataset:
            return None


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
    connection: database.Connection,
    source: sources.Source,
    wanted: Settings,
    before: dict[str, Any],
    progress: Progress,
    say: Progress,
) -> None:
    """Creates and fills the tables, then makes the classifier. `say` takes the lines that are notes too.

    `before`: the classifier of that name whose tables were put aside, if there was one; it stays the same one.
    """
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
    rows = counts.of_table(connection, names["train"], label, exact=True)["classes"]
    labels = _ordered(list(rows), train.classes.get(label, []))
    # Last, so that the import itself is no event.
    tables_and_columns = {f"{part}_table": table for part, table in names.items()}
    tables_and_columns |= {"text_column": text, "label_column": label}
    connection.execute(database.query("classifier_create"), {"name": source.name, **tables_and_columns})
    own = {name: before.get(name) for name in ("model_name", "base_model", "policy")}
    described = {"name": source.name, "labels": Jsonb(labels), "source": source.place, **own}
    connection.execute(database.query("classifier_describe"), described)
    progress(f"Watching {names['train']} and {names['test']}; labels: {', '.join(labels[:10])}.")
    _doubt(rows, say)


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


def _ordered(labels: list[str], declared: list[str]) -> list[str]:
    """The labels in the order that the source declares, else in their own."""
    return sorted(labels, key=declared.index) if set(labels) <= set(declared) else labels


def _doubt(rows: dict[str, int], say: Progress) -> None:
    """Tells of labels that are perhaps none, or one; `rows` by label."""
    for name in rows:
        if is_no_number(name):
            say(f"Label {name!r} counts as a class: where it means that there is none, leave the cell empty.")
    for sentence in alike(rows):
        say(sentence)


def _describe(connection: database.Connection, name: str | None) -> dict[str, Any]:
    found = classifiers.find(connection, name)
    for table in filter(None, (found.train_table, found.test_table)):
        check_columns(connection, table, found.text_column, found.label_column)
    pending = connection.execute(database.query("dataset_pending"), {"name": found.name}).fetchone()
    train = counts.of_table(connection, found.train_table, found.label_column)
    test = counts.of_table(connection, found.test_table, found.label_column) if found.test_table else counts.NONE
    shown = ("name", "train_table", "test_table", "text_column", "label_column", "source")
    return {
        **{field: getattr(found, field) for field in shown},
        "labels": label_names(found.labels),
        "train": train,
        "test": test,
        "pending_events": pending["events"] if pending else 0,
    }


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
