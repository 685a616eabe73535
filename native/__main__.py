"""Commands of a platform without containers; `sh native/platform.sh` calls them.

up | status | logs [SERVICE] [-f] | down [--volumes] | python ARGUMENTS...
databases                   PostgreSQL alone, for a restore
backup SCRIPT ARGUMENTS...  one of launch/backup, told where all is
watch                       starts again what hangs; the supervisor runs it
"""

import hashlib
import os
import shutil
import subprocess
import sys
import time
from collections import deque
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from native import account, database, upgrade
from native.health import answers
from native.layout import AIRFLOW_PYTHON, DATA, HOME, LOG, ROOT, RUN, Layout, known_settings, write
from native.processes import Process, backup_environment, processes
from native.supervision import Supervisor, holder, memory, owner, stop_strays, wait_until
from native.watch import watch

PATIENCE_S = 240
PORTS = ("NGINX_PORT", "AIRFLOW_PORT", "MLFLOW_PORT", "TRAINING_PORT", "DATABASE_PORT")


class Failure(Exception):
    """What went wrong, and what helps."""

    def __init__(self, what: str, *advice: str) -> None:
        super().__init__("\n".join([what, *[f"  → {line}" for line in advice]]))


def step(name: str, words: str) -> None:
    """One line of progress."""
    print(f"  {name:<22} {words}", flush=True)


def up(databases_alone: bool = False) -> None:
    """Starts what does not run, starts again what changed, and returns when all is healthy.

    `databases_alone`: PostgreSQL, where there are no data with empty databases, and nothing else.
    """
    began = time.monotonic()
    user = known_settings()["NATIVE_USER"]
    if account.ensure(user):
        step("user", f"{user}, made: the services do not run as root")
    supervisor = Supervisor()
    old = running_replicas(supervisor)
    wide = Layout.load(least=len(old))  # those that are to go answer until the others do
    wide.save()
    layout = Layout.load()
    if layout.account:
        account.let_in(layout.account, needed(layout))
        account.check_entry(layout.account, [Path(sys.executable), AIRFLOW_PYTHON])
    check_ports(layout)
    wanted = processes(wide)
    make_folders(wanted, layout)
    stale = supervisor.configure(wanted)
    if stale and len(wide.model_endpoints) == 1:  # it gets company while it is replaced
        wide = Layout.load(least=2)
        wide.save()
        wanted = processes(wide)
        make_folders(wanted, layout)
        supervisor.configure(wanted)
    prepare_data(layout, supervisor)

    by_name = {process.name: process for process in wanted}
    supervisor.start("postgres")
    wait_healthy(supervisor, [by_name["postgres"]], began)
    database.provision(layout, schema=not databases_alone)
    if databases_alone:
        return
    airflow = [process for process in wanted if process.name.startswith("airflow-") and not process.once]
    others = [process for process in wanted if not process.name.startswith("airflow-")]
    for process in others:
        supervisor.start(process.name)
    initialise_airflow(supervisor, by_name["airflow-init"])
    for process in airflow:
        supervisor.start(process.name)
    wait_healthy(supervisor, [process for process in others if process.name != "postgres"], began)
    ready = {name: answers(f"http://127.0.0.1:{port}/ready") for name, port in wide.model_endpoints.items()}
    served = any(check() for check in ready.values())  # else there is no Champion yet
    for name in stale:
        if name in layout.model_endpoints:
            supervisor.start_again(name)
            wait_healthy(supervisor, [replace(by_name[name], health=ready[name]) if served else by_name[name]], began)
    layout.save()
    supervisor.configure(processes(layout))
    wait_healthy(supervisor, airflow, began)


def make_folders(wanted: list[Process], layout: Layout) -> None:
    """Each process has one, which is its own."""
    for process in wanted:
        process.folder.mkdir(parents=True, exist_ok=True)
        if layout.account:
            layout.account.own(process.folder)
    DATA.chmod(0o700)
    if layout.account:
        layout.account.own(DATA)


def running_replicas(supervisor: Supervisor) -> list[str]:
    """The names of the replicas that answer now."""
    states = supervisor.states() if supervisor.runs() else {}
    return [name for name, entry in states.items() if name.startswith("model-endpoint-") and entry["pid"]]


def prepare_data(layout: Layout, supervisor: Supervisor) -> None:
    """Sees to a data folder of the version that this release runs."""
    database.admit(layout)
    if upgrade.needed():
        supervisor.stop(["postgres"])
        began = time.monotonic()
        step("postgres", f"its data is PostgreSQL {upgrade.OLD}'s: copying it to the version of this release")
        kept = upgrade.upgrade(layout)
        step("postgres", f"copied ({time.monotonic() - began:.0f} s); the old data is kept in {kept}")
    elif not (database.FOLDER / "PG_VERSION").exists():
        step("postgres", "making its data folder")
        database.initialise(layout)


def needed(layout: Layout) -> list[Path]:
    """What the services read: this folder, the environments with the Python that they are of, what settings name."""
    pythons = [python.resolve().parents[1] for python in (Path(sys.executable), AIRFLOW_PYTHON)]
    names = ("DATASET", "BASE_MODEL", "NGINX_CERTIFICATE", "NGINX_KEY", "BACKUP_FOLDER")
    given = [Path(layout.settings[name]) for name in names if layout.settings.get(name, "").startswith("/")]
    return [ROOT, (HOME / "envs/native").resolve(), (HOME / "envs/airflow").resolve(), *pythons, *given]


def check_ports(layout: Layout) -> None:
    """Refuses a port that something else holds, and says who."""
    lowest = int(Path("/proc/sys/net/ipv4/ip_unprivileged_port_start").read_text())
    for name in PORTS:
        port = layout.port(name)
        if port < lowest:
            raise Failure(
                f"{name} is {port}, and ports below {lowest} are for root alone, whom no service runs as",
                f"let everybody have them: sysctl net.ipv4.ip_unprivileged_port_start={port}",
                f"or set another {name} in .env",
            )
        process = holder(port)
        if process is None:
            continue
        home = "" if process is True else owner(process)
        if home == str(HOME):
            continue
        if home:
            folder = Path(home).parent
            raise Failure(
                f"port {port} is taken by the platform in {folder}",
                f"stop it: sh '{folder}/launch.sh' down",
                "or set other ports in .env to run a second one beside it",
            )
        who = "another program" if process is True else f"{process.name()} (pid {process.pid})"
        raise Failure(f"port {port} is taken by {who}", f"stop it, or set another {name} in .env and run sh launch.sh")


def initialise_airflow(supervisor: Supervisor, process: Process) -> None:
    """Runs airflow-init, unless nothing that it depends on changed since it last succeeded."""
    state = hashlib.sha256((RUN / f"{process.name}.json").read_bytes())
    for file in [ROOT / "requirements/airflow.lock", *sorted((ROOT / "airflow").rglob("*.py"))]:
        state.update(file.read_bytes())
    stamp = process.folder / "done"
    if stamp.exists() and stamp.read_text() == state.hexdigest():
        return
    began = time.monotonic()
    supervisor.start(process.name)
    wait_until(
        lambda: supervisor.states()[process.name]["statename"] in ("EXITED", "FATAL"), PATIENCE_S, "airflow-init"
    )
    if supervisor.states()[process.name]["exitstatus"]:
        raise Failure(f"airflow-init failed\n{last_lines(process.name, 25)}", "when mended: sh launch.sh")
    write(stamp, state.hexdigest())
    step(process.name, f"done ({time.monotonic() - began:.0f} s)")


def wait_healthy(supervisor: Supervisor, waiting: list[Process], began: float) -> None:
    """Prints each process as it becomes healthy; fails with the last lines of one that does not."""
    deadline = time.monotonic() + PATIENCE_S
    while waiting:
        states = supervisor.states()
        for process in list(waiting):
            late = time.monotonic() > deadline
            if states[process.name]["pid"] and process.health():
                step(process.name, f"healthy ({time.monotonic() - began:.0f} s)")
                waiting.remove(process)
            elif late or states[process.name]["statename"] == "FATAL":
                how = f"is not healthy after {PATIENCE_S} s" if late else "does not stay up"
                raise Failure(
                    f"{last_lines(process.name, 25)}\n{process.name} {how}; its last log lines stand above",
                    f"sh launch.sh logs {process.name}",
                    "when mended: sh launch.sh",
                )
        time.sleep(0.2)


def status() -> None:
    """Prints each process with its state, health, uptime and memory."""
    supervisor = Supervisor()
    wanted = processes(Layout.load())
    states = supervisor.states() if supervisor.runs() else {}
    total = 0
    print(f"{'SERVICE':<26} {'STATE':<10} {'HEALTH':<10} {'UPTIME':<10} MEMORY")
    for process in wanted:
        if process.once:
            continue
        entry = states.get(process.name, {"statename": "STOPPED", "pid": 0, "start": 0, "now": 0})
        runs = bool(entry["pid"])
        health = "-" if not runs else "healthy" if process.health() else "unhealthy"
        uptime = _duration(entry["now"] - entry["start"]) if runs else "-"
        used = memory(entry["pid"]) if runs else 0
        total += used
        print(f"{process.name:<26} {entry['statename'].lower():<10} {health:<10} {uptime:<10} {used / 2**20:.0f} MiB")
    print(f"{'total':<59} {total / 2**20:.0f} MiB")


def _duration(seconds: int) -> str:
    hours, minutes = seconds // 3600, seconds // 60 % 60
    return f"{hours} h {minutes} min" if hours else f"{minutes} min {seconds % 60} s" if minutes else f"{seconds} s"


def logs(*words: str) -> None:
    """Prints the last lines of all logs, or of one service; -f follows it."""
    follow = bool({"-f", "--follow"} & set(words))
    names = [word for word in words if not word.startswith("-")]
    found = sorted(LOG.glob("*.log")) if not names else sorted(LOG.glob(f"{names[0]}.log"))
    found = found or sorted(LOG.glob(f"{names[0]}-[0-9]*.log"))
    if not found:
        raise Failure(f"no service is called {names[0]}" if names else "there are no logs yet", "sh launch.sh status")
    if follow:
        os.execvp("tail", ["tail", "-n", "200", "-F", *map(str, found)])  # noqa: S606
    for file in found:
        if len(found) > 1:
            print(f"==> {file.stem}")
        print(last_lines(file.stem, 200 if names else 20))


def last_lines(name: str, count: int) -> str:
    """The end of a service's log."""
    file = LOG / f"{name}.log"
    if not file.exists():
        return ""
    with file.open(errors="replace") as lines:
        return "".join(deque(lines, maxlen=count)).rstrip()


def down(*words: str) -> None:
    """Stops every process; --volumes deletes the data too."""
    if set(words) - {"--volumes"}:
        raise Failure(f"down does not know {words[0]}", "sh launch.sh down [--volumes]")
    supervisor = Supervisor()
    if supervisor.runs():
        step("services", "stopping")
        supervisor.stop([name for name in supervisor.states() if name != "postgres"])
        supervisor.stop(["postgres"])
        supervisor.shutdown()
    stop_strays()
    for leftover in (RUN, HOME / "psql", HOME / "supervisord.conf", *([DATA] if words else [])):
        shutil.rmtree(leftover) if leftover.is_dir() else leftover.unlink(missing_ok=True)
    step("services", "stopped")
    print("All data is deleted." if words else "All data is kept: sh launch.sh brings it back.")


def python(*words: str) -> None:
    """Becomes a Python that finds every service by its variable, for scripts of launch.sh."""
    layout = Layout.load()
    addresses = {
        "AIRFLOW_URL": "airflow-apiserver:8080",
        "TRAINING_URL": "training-endpoint:9999",
        "MLFLOW_TRACKING_URI": "tracking-server:5001",
        "RELAY_URL": "training-trigger:9997",
    }
    found = {name: f"http://{layout.localize(address)}" for name, address in addresses.items()}
    found["NGINX_URL"] = layout.door
    found["MODEL_ENDPOINTS"] = layout.localize("model-endpoint:9998")
    found["PYTHONPATH"] = ":".join(str(ROOT / name / "src") for name in ("contract", "training_endpoint"))
    # The platform's own account, as in containers; people may change theirs.
    found |= {"AIRFLOW_USER": "relay", "AIRFLOW_PASSWORD": layout.settings["AIRFLOW_RELAY_PASSWORD"]}
    os.execve(sys.executable, [sys.executable, *words], {**layout.settings, **os.environ, **found})  # noqa: S606


def backup(script: str, *words: str) -> None:
    """Runs one of the scripts of launch/backup; what it writes is the services' own."""
    layout = Layout.load()
    artifacts = DATA / "tracking-server/artifacts"
    artifacts.mkdir(parents=True, exist_ok=True)
    command = ["sh", str(ROOT / f"launch/backup/{script}.sh"), *words]
    subprocess.run(command, env={**os.environ, **backup_environment(layout)}, check=True)
    if layout.account:
        layout.account.own(artifacts)


COMMANDS: dict[str, Callable[..., None]] = {
    "up": up,
    "status": status,
    "logs": logs,
    "down": down,
    "python": python,
    "databases": lambda: up(databases_alone=True),
    "backup": backup,
    "watch": lambda: watch(processes(Layout.load()), Supervisor()),
}


def main() -> int:
    """Runs one command; its exit status."""
    name, *words = sys.argv[1:] or [""]
    if name not in COMMANDS:
        print(__doc__, file=sys.stderr)
        return 2
    HOME.mkdir(exist_ok=True)
    if name not in ("python", "backup"):
        os.chdir(HOME)
    try:
        COMMANDS[name](*words)
    except KeyboardInterrupt:
        print("\nInterrupted: sh launch.sh goes on from here, sh launch.sh down stops what runs.", file=sys.stderr)
        return 130
    except (Failure, LookupError, RuntimeError, TimeoutError, subprocess.CalledProcessError) as error:
        print(f"\nlaunch.sh: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
