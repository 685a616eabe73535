#!/usr/bin/env python3
"""Inserts rows as any application would, by plain SQL; the database's trigger does the rest.

python3 database_trigger.py [--rows N | --text T --label L | --file F.csv] [--classifier NAME] [--wait]

Standard library only, Python 3.9 or newer. The SQL goes through psql: in the database's container, or, where
launch.sh runs without containers, the one that it left in .platform/psql.
"""

from __future__ import annotations

import argparse
import codecs
import csv
import io
import json
import subprocess
import sys
import time
from collections import Counter
from functools import partial
from pathlib import Path
from typing import Any, Optional

from manually_trigger import POLL_S, ROOT, Airflow, Platform, Problem, Screen, follow, guarded, report, served_version

POOL = ROOT / "training_endpoint/src/training_endpoint/data/sample/new.csv"
COMPOSE = ["docker", "compose", "--env-file", ".env", "-f", "db/compose.yaml"]
IN_CONTAINER = [*COMPOSE, "exec", "-T", "training-database", "psql", "--username=platform", "--dbname=training"]
POOL_ROWS = 400  # enough to teach the sample's model something that can be measured
PENDING_S = 60  # after which a pending event earns a hint

Row = tuple[str, str]
"""A text and its label."""

DATASET = """
SELECT row_to_json(d) FROM (
    SELECT name, coalesce(nullif(:'table', ''), train_table)::regclass::text AS "table", labels,
           text_column, label_column, quote_ident(text_column) AS text, quote_ident(label_column) AS label
    FROM classifiers
    WHERE retired_at IS NULL AND CASE WHEN :'classifier' = '' THEN is_default ELSE name = :'classifier' END
) d"""
# The trigger writes its event in the transaction that inserts.
EVENT = """SELECT id FROM training_event_queue WHERE xmin = pg_current_xact_id()::xid
ORDER BY id DESC LIMIT 1"""
# A table may belong to several classifiers.
COVERAGE = """
SELECT row_to_json(c) FROM (
    SELECT run, state, version, classifier FROM training_data_coverage WHERE event = :event
    ORDER BY classifier = :'name' DESC NULLS LAST LIMIT 1
) c"""


def psql(*arguments: str, given: str, **variables: str) -> str:
    """Runs psql as the role platform with `given` as its standard input; returns its output."""
    mode = ROOT / ".platform/mode"
    native = mode.exists() and "native" in mode.read_text(encoding="utf-8")
    command = [str(ROOT / ".platform/psql")] if native else IN_CONTAINER
    options = ["--no-psqlrc", "--quiet", "--tuples-only", "--no-align", "--set=ON_ERROR_STOP=1"]
    options += [f"--set={name}={value}" for name, value in variables.items()]
    try:
        done = subprocess.run(
            [*command, *options, *arguments], cwd=ROOT, input=given.encode(), capture_output=True, check=False
        )
    except OSError as error:
        raise Problem(f"{command[0]} cannot be run ({error}): run `sh launch.sh` first.") from error
    if done.returncode != 0:
        raise Problem(
            f"The training database refuses or does not answer: {done.stderr.decode(errors='replace').strip()}\n"
            "`sh launch.sh status` says whether it runs."
        )
    return done.stdout.decode().strip()


def query(sql: str, **variables: str) -> Any:
    """The one JSON value that `sql` gives, with `variables` quoted by psql where it says :'name'; None for no row."""
    text = psql(given=sql, **variables)
    return json.loads(text) if text else None


def current_dataset(table: str, classifier: str) -> dict[str, Any]:
    """What a classifier, '' for the default one, learns from, quoted by the database; `table` instead of its own."""
    dataset = query(DATASET, table=table, classifier=classifier)
    if dataset is None and classifier:
        raise Problem(f"There is no classifier {classifier}; the table classifiers has their names.")
    if dataset is None:
        raise Problem("No dataset has been imported yet: run `sh launch.sh`, or `python3 manually_trigger.py --wait`.")
    return dict(dataset)


def names(dataset: dict[str, Any]) -> dict[str, str]:
    """The dataset's table and columns as they stand in SQL, already quoted by the database."""
    return {name: dataset[name] for name in ("table", "text", "label")}


def pool_rows(dataset: dict[str, Any], wanted: int) -> list[Row]:
    """The next rows of the sample's pool: those that the table does not hold yet, then the others."""
    if dataset["name"] != "sample":
        raise Problem(
            f"Only the sample dataset has a pool of new rows, and {dataset['name']} is in use: "
            "give --file F.csv, or --text T --label L."
        )
    pool = file_rows(POOL, dataset)
    if not 1 <= wanted <= len(pool):
        raise Problem(f"--rows is {wanted}: it must be from 1 to {len(pool)}, the size of the sample's pool.")
    present = set(query("SELECT json_agg(:text) FROM :table", **names(dataset)) or [])
    return sorted(pool, key=lambda row: row[0] in present)[:wanted]


def file_rows(file: Path, dataset: dict[str, Any]) -> list[Row]:
    """The rows of a CSV file whose header names a text and a label column: "text" and "label", or as in the table.

    As the importer: cells are separated by , ; tab or |, and rows without a text or a label are left out, and told.
    """
    content = decoded(file).lstrip("\r\n")
    first, _, rest = content.partition("\n")
    told = first.strip().strip('"').lower() if len(first.strip()) < 8 else ""
    separators = ",;\t|"
    if told.startswith("sep="):  # Excel's way to say it
        separators, content = told[4:] or "\t", rest
    csv.field_size_limit(1 << 30)
    header: list[str] = []
    for separator in separators:
        reader = csv.reader(io.StringIO(content, newline=""), delimiter=separator, skipinitialspace=True)
        try:
            found = [name.strip() for name in next(reader, [])]
            text = place(found, dataset["text_column"], "text")
            label = place(found, dataset["label_column"], "label")
            header = max(header, found, key=len)
            if text is not None and label is not None:
                return whole(file, [line for line in reader if line], text, label)
        except csv.Error as error:
            raise Problem(f"{file} cannot be read as CSV, line {reader.line_num}: {error}") from error
    raise Problem(f"{file} needs the columns text and label; its header has {', '.join(header) or 'none'}.")


def decoded(file: Path) -> str:
    """The file's text: UTF-8, what a byte order mark says, else Windows' western encoding, which is told."""
    try:
        data = file.read_bytes()
    except OSError as error:
        raise Problem(f"{file} cannot be read: {error}") from error
    encodings = ["utf-8-sig", "cp1252", "latin-1"]
    if data.startswith((codecs.BOM_UTF32_LE, codecs.BOM_UTF32_BE)):
        encodings = ["utf-32"]
    elif data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        encodings = ["utf-16"]
    for encoding in encodings:
        try:
            content = data.decode(encoding)
        except UnicodeDecodeError:
            continue
        if encoding in ("cp1252", "latin-1"):
            print(f"{file} is not UTF-8: read as {encoding}.", file=sys.stderr)
        return content
    raise Problem(f"{file} cannot be read as {encodings[0]}: it is damaged.")


def place(header: list[str], *names: str) -> Optional[int]:
    """Where the first of `names` that the header has stands in it, in whatever case."""
    for wanted in names:
        for same in (str, str.lower):
            if same(wanted) in map(same, header):
                return [same(name) for name in header].index(same(wanted))
    return None


def whole(file: Path, lines: list[list[str]], text: int, label: int) -> list[Row]:
    """The text and the label of each line that has both."""
    most = max(text, label)
    cells = [(line[text], line[label].strip()) for line in lines if len(line) > most]
    rows = [row for row in cells if row[0].strip() and row[1]]
    if not lines or not rows:
        raise Problem(f"{file} has a header but no rows with a text and a label.")
    if len(rows) < len(lines):
        print(f"{file}: {len(lines) - len(rows)} rows without a text or a label were left out.", file=sys.stderr)
    return rows


def check(rows: list[Row], dataset: dict[str, Any]) -> None:
    """Raises Problem for rows that training could not use."""
    known = {str(label) for label in dataset["labels"]}
    unknown = {label for _, label in rows} - known
    if unknown and known:
        wrong, right = ", ".join(map(repr, sorted(unknown))), ", ".join(sorted(known))
        raise Problem(
            f"{dataset['name']} has no label {wrong}, it has {right}: nothing was inserted. "
            "A new class is taught by plain SQL, with NEW_CLASS_ROWS rows of it."
        )
    for number, (text, _) in enumerate(rows, 1):
        if not text.strip():
            raise Problem(f"Text {number} is empty: nothing was inserted.")
        if "\0" in text or any("\ud800" <= character <= "\udfff" for character in text):
            raise Problem(f"Text {number} has what no text in the database can hold: a zero or half a character.")


def insert(rows: list[Row], dataset: dict[str, Any]) -> Optional[str]:
    """Inserts all rows in one transaction; returns the number of the event that the trigger wrote, None for none."""
    escapes = str.maketrans({"\\": "\\\\", "\t": "\\t", "\n": "\\n", "\r": "\\r"})
    lines = "".join("\t".join(value.translate(escapes) for value in row) + "\n" for row in rows)
    copy = "COPY {table} ({text}, {label}) FROM STDIN".format(**dataset)
    return psql("--single-transaction", f"--command={copy}", f"--command={EVENT}", given=lines) or None


def taken_over(event: str, name: str, run: str) -> bool:
    """Whether an event that waited for `run` has come to be trained on in an earlier one."""
    return bool(query(COVERAGE, event=event, name=name)["run"] != run)


def wait_for_version(event: str, name: str, asked: str, airflow: Airflow) -> None:
    """Follows what becomes of an event until the version that was trained on it, or the verdict, is known."""
    screen, before, started, hinted = Screen(), served_version(airflow.platform, asked), time.monotonic(), False
    while True:
        coverage = query(COVERAGE, event=event, name=name)
        if coverage is None:
            raise Problem(f"Event {event} is gone: somebody deleted it.")
        run = coverage["run"]
        if coverage["classifier"] is None:
            raise Problem(
                "The table belongs to no classifier, so no run follows: SELECT create_classifier(…) makes one."
            )
        if run is None or coverage["state"] == "claimed":
            screen.progress(f"  {coverage['state']:<22} the relay has not started a run yet", coverage["state"])
            if not hinted and time.monotonic() - started > PENDING_S:
                screen.news("  still no run: `sh launch.sh logs training-trigger` says why")
                hinted = True
            time.sleep(POLL_S)
            continue
        screen.news(f"Run {run} takes these rows: {airflow.page(run)}")
        state = follow(airflow, run, screen, partial(taken_over, event, name, run))
        if state in ("success", "failed"):
            report(airflow, run, state, before, asked)
            return


def main_action(arguments: argparse.Namespace) -> None:
    """Inserts the rows and, where asked, follows them."""
    airflow = Airflow(Platform.load())
    dataset = current_dataset(arguments.table, arguments.classifier)
    if arguments.text is not None:
        rows = [(arguments.text, arguments.label)]
    elif arguments.file is not None:
        rows = file_rows(arguments.file, dataset)
    else:
        rows = pool_rows(dataset, arguments.rows)
    check(rows, dataset)
    event = insert(rows, dataset)
    counts = ", ".join(f"{label} {count}" for label, count in sorted(Counter(label for _, label in rows).items()))
    print(f"Inserted {len(rows)} rows into {dataset['table']} ({counts}).", flush=True)
    if event is None:
        raise Problem(f"{dataset['table']} is not watched, so no run follows: SELECT create_classifier(…) does that.")
    if arguments.wait:
        wait_for_version(event, dataset["name"], arguments.classifier, airflow)


def main() -> int:
    """The command line."""
    parser = argparse.ArgumentParser(description="Inserts training rows; the database's trigger starts the pipeline.")
    what = parser.add_mutually_exclusive_group()
    help_rows = "the next N rows of the sample's pool (400)"
    what.add_argument("--rows", type=int, default=POOL_ROWS, metavar="N", help=help_rows)
    what.add_argument("--text", metavar="T", help="one row of your own, with --label")
    what.add_argument("--file", type=Path, metavar="F.csv", help="a CSV file with the columns text and label")
    parser.add_argument("--label", metavar="L", help="the label of --text")
    parser.add_argument("--classifier", default="", metavar="NAME", help="for another than the default classifier")
    parser.add_argument("--table", default="", metavar="T", help="another table than the classifier's own")
    parser.add_argument("--wait", action="store_true", help="follow the run that trains on these rows")
    arguments = parser.parse_args()
    if (arguments.text is None) != (arguments.label is None):
        parser.error("--text and --label go together")
    return guarded(main_action, arguments)


if __name__ == "__main__":
    sys.exit(main())
