"""Writers: COPY from a file of the server's, and single-row INSERTs from pgbench."""

import re
import subprocess
import time
import uuid
from itertools import count, cycle, islice
from pathlib import Path

import psycopg
from psycopg import sql

from benchmarks.sentences import sentences
from tests import services

PGBENCH = services.PROGRAMS / "pgbench"
CLIENTS = 4
COPIED_ROWS = 100_000
WATCH = "SELECT create_classifier('{0}', '{0}')"


class Tables:
    """Tables of texts with labels in one database, a new one for each reading.

    Each method takes the SQL that attaches a trigger to the table, which is {} there; nothing for a plain table.
    """

    def __init__(self, database: str, folder: Path) -> None:
        self.database = database
        self._folder = folder
        self._numbers = count()
        self._texts = sentences()

    @classmethod
    def anew(cls, server: str, folder: Path) -> "Tables":
        """In a new database that has the platform's schema."""
        database = services.new_database(server, f"bench_{uuid.uuid4().hex}")
        services.apply_schema(database)
        return cls(database, folder)

    def new(self, trigger: str = "") -> str:
        """Creates an empty table, then a checkpoint, so that no reading pays for the one before."""
        name = f"reviews_{next(self._numbers)}"
        with psycopg.connect(self.database, autocommit=True) as connection:
            connection.execute(f"CREATE TABLE {name} (text text, label int)")
            connection.execute(trigger.format(name))
            connection.execute("CHECKPOINT")
        return name

    def copy(self, trigger: str = "") -> float:
        """Seconds of one COPY of COPIED_ROWS rows, in a session whose first event, of some 2 ms, is behind it."""
        name, file = self.new(trigger), self._rows()
        with psycopg.connect(self.database, autocommit=True) as connection:
            connection.execute(f"INSERT INTO {name} VALUES ('text', 1)")
            start = time.perf_counter()
            connection.execute(sql.SQL("COPY {} FROM {}").format(sql.Identifier(name), str(file)))
            seconds = time.perf_counter() - start
            connection.execute(f"DROP TABLE {name}")
        return seconds

    def insert(self, trigger: str = "", until: str = "--time=3") -> float:
        """Commits a second of CLIENTS clients with one INSERT of one row each; `until` is pgbench's option for the end.

        Raises an error when one of them fails.
        """
        script = self._folder / "insert.sql"
        insert = sql.SQL("INSERT INTO {} VALUES ({}, 1);\n").format(sql.Identifier(self.new(trigger)), self._texts[0])
        script.write_text(insert.as_string(None))
        command = [str(PGBENCH), "--no-vacuum", f"--file={script}", f"--client={CLIENTS}", until, self.database]
        printed = subprocess.run(command, check=True, capture_output=True, text=True).stdout
        found = re.search(r"^tps = ([\d.]+)", printed, re.MULTILINE)
        if not found or "number of failed transactions: 0 " not in printed:
            raise RuntimeError(f"pgbench printed no result, or failures: {printed}")
        return float(found[1])

    def _rows(self) -> Path:
        """A file for COPY that the server may read, also as another user."""
        file = self._folder / "rows.tsv"
        if not file.exists():
            texts = (text.replace("\\", "\\\\").replace("\t", " ") for text in cycle(self._texts))
            file.write_text("".join(f"{text}\t1\n" for text in islice(texts, COPIED_ROWS)))
            file.chmod(0o644)
        return file
