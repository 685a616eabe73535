"""Large tables in a real database, and what it costs to read one."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
from psycopg import sql

from benchmarks.growth import PACKAGES
from tests import services

# 100 characters, few of them alike; one row in 1,000 is for the test.
FILL = """
INSERT INTO {table}
SELECT left(md5(n::text || {name}) || ' ' || md5((-n)::text || {name}) || ' ' || md5(n::text || 'c'), 100),
       CASE WHEN n % 2 = 0 THEN 'even' ELSE 'odd' END
FROM generate_series(1, {rows}) n
"""


@contextmanager
def database(folder: Path, rows: int) -> Iterator[str]:
    """A training database whose default classifier, `many`, has so many rows of 100 characters."""
    folder.mkdir(parents=True, exist_ok=True)
    with services.postgres(folder / "postgres") as server:
        url = services.new_database(server, "training")
        services.apply_schema(url)
        with psycopg.connect(url) as connection:
            for name, number in (("many_train", rows), ("many_test", max(2, rows // 1000))):
                table = sql.Identifier(name)
                connection.execute(sql.SQL("CREATE UNLOGGED TABLE {} (text text, label text)").format(table))
                fill = sql.SQL(FILL).format(table=table, name=sql.Literal(name), rows=sql.Literal(number))
                connection.execute(fill)
            connection.execute("SELECT create_classifier('many', 'many_train', 'many_test')")
            connection.execute("SELECT make_default_classifier('many')")
        yield url


def read(url: str, folder: Path) -> dict[str, float]:
    """What `benchmarks.growth.reading` says, in a process of its own."""
    folder.mkdir(parents=True)
    command = [sys.executable, "-W", "ignore", "-m", "benchmarks.growth.reading", url, str(folder)]
    variables = {**os.environ, "PYTHONPATH": os.pathsep.join([*PACKAGES, str(services.ROOT)])}
    printed = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True, env=variables).stdout
    found: dict[str, float] = json.loads(printed.splitlines()[-1])
    return found
