"""The one PostgreSQL server of a platform without containers."""

import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from native import database
from native.account import Account
from native.layout import Layout
from tests.services import free_port, process, wait_until

PASSWORDS = {
    "TRAINING_DATABASE_PASSWORD": "one",
    "TRAINING_SUPERUSER_PASSWORD": "three",
    "SERVING_DATABASE_PASSWORD": "four",
    "BACKEND_STORE_PASSWORD": "two",
    "AIRFLOW_DATABASE_PASSWORD": "it's",
}


@pytest.fixture
def home() -> Iterator[Path]:
    """A folder that everybody may enter, for the user whom root starts the server as."""
    with tempfile.TemporaryDirectory(prefix="a folder ") as folder:
        Path(folder).chmod(0o755)
        yield Path(folder)


def test_server_has_every_database_and_the_services_psql(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(database, "FOLDER", home / "data/cluster")
    monkeypatch.setattr(database, "HOME", home)
    port = str(free_port())
    account = Account.named("nobody")
    here = Layout({**PASSWORDS, "DATABASE_PORT": port}, {}, None, account)
    monkeypatch.chdir(home)
    database.initialise(here)
    drop = ["setpriv", "--reuid=nobody", f"--regid={account.gid}", "--clear-groups", "--"] if account else []
    with process([*drop, *database.server(here)], home / "log"):
        asked = database.ready(here)
        wait_until("PostgreSQL answers", lambda: subprocess.run(asked, check=False).returncode == 0)
        for _ in range(2):
            database.provision(here)
        for name, password in (("mlflow", "two"), ("airflow", "it's")):
            address = f"host=127.0.0.1 port={port} dbname={name} user={name}"
            with psycopg.connect(address, password=password) as connection:
                connection.execute("CREATE TABLE mine (n int)")
        with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
            psycopg.connect(f"host=127.0.0.1 port={port} dbname=mlflow user=mlflow", password="another")
        for user, wrong in (("postgres", "one"), ("platform", "three")):
            with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
                psycopg.connect(f"host=127.0.0.1 port={port} dbname=training user={user}", password=wrong)
        for changed in ("four", "five"):
            new = {"TRAINING_SUPERUSER_PASSWORD": changed, "TRAINING_DATABASE_PASSWORD": changed + "!"}
            database.provision(Layout({**PASSWORDS, **new, "DATABASE_PORT": port}, {}, None))
            psycopg.connect(f"host=127.0.0.1 port={port} dbname=training user=postgres", password=changed).close()
        command = [str(home / "psql"), "-Atc", "SELECT current_user || ' ' || count(*) FROM training_events"]
        assert subprocess.check_output(command, text=True) == "platform 0\n"
        assert (home / "psql").stat().st_mode & 0o077 == 0
