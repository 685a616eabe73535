"""The supervisor (supervisord): its configuration, what it is asked for, and the processes that it left behind."""

import contextlib
import json
import os
import shlex
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from xmlrpc.client import Fault, ServerProxy

import psutil
from supervisor.xmlrpc import SupervisorTransport

from native.layout import HOME, LOG, MARK, RUN, write
from native.processes import Process

# A socket's path may have 107 characters and a folder's more: supervisord and we meet in the working directory.
_SOCKET = "/proc/self/cwd/supervisor.sock"
_CONFIGURATION = HOME / "supervisord.conf"
_GONE = (psutil.NoSuchProcess, psutil.AccessDenied, psutil.ZombieProcess)


def _section(process: Process) -> str:
    restart = "false" if process.once else "true"
    python = shlex.quote(os.path.relpath(sys.executable, HOME)).replace("%", "%%")
    return f"""
[program:{process.name}]
command={python} ../native/start.py {process.name}
autostart=false
autorestart={restart}
startsecs={0 if process.once else 10}
startretries=5
stopsignal={process.stop_signal}
stopwaitsecs={process.stop_seconds}
stopasgroup={"false" if process.stop_signal == "INT" else "true"}
killasgroup=true
redirect_stderr=true
stdout_logfile=log/{process.name}.log
stdout_logfile_maxbytes=10MB
stdout_logfile_backups=1
"""


def _configuration(processes: list[Process]) -> str:
    user = "user=root\n" if os.geteuid() == 0 else ""
    head = f"""; Written by `sh launch.sh` from native/processes.py. Paths are relative to this folder.
[supervisord]
logfile=log/supervisord.log
logfile_maxbytes=10MB
logfile_backups=1
pidfile=supervisord.pid
{user}
[unix_http_server]
file={_SOCKET}
chmod=0600

[rpcinterface:supervisor]
supervisor.rpcinterface_factory = supervisor.rpcinterface:make_main_rpcinterface
"""
    return head + "".join(_section(process) for process in processes)


class Supervisor:
    """Talks to the supervisord of this folder. The working directory must be .platform."""

    def __init__(self) -> None:
        self._altered: list[str] = []

    @property
    def _calls(self) -> Any:
        # A new connection each time: one that failed once cannot be used again.
        transport = SupervisorTransport(None, None, f"unix://{_SOCKET}")
        return ServerProxy("http://127.0.0.1", transport=transport).supervisor

    def runs(self) -> bool:
        """Whether supervisord answers."""
        try:
            return bool(self._calls.getState()["statename"] == "RUNNING")
        except (OSError, Fault):
            return False

    def states(self) -> dict[str, dict[str, Any]]:
        """Process name to supervisord's view of it: statename, pid, start, now, exitstatus …"""
        return {entry["name"]: entry for entry in self._calls.getAllProcessInfo()}

    def configure(self, processes: list[Process]) -> list[str]:
        """Makes supervisord know `processes`, starting it where needed; stops those that changed or went.

        Of those that are to be started again one by one nothing is stopped, but the names of the changed returned.
        """
        LOG.mkdir(parents=True, exist_ok=True)
        LOG.chmod(0o700)  # texts and names of people's data may be in them
        news = {process.name: _describe(process) for process in processes}
        changed = [name for name, (start, files) in news.items() if start or files]
        write(_CONFIGURATION, _configuration(processes))
        if not self.runs():
            stop_strays()
            Path("supervisor.sock").unlink(missing_ok=True)
            module = [sys.executable, "-m", "supervisor.supervisord", "--configuration", str(_CONFIGURATION)]
            environment = {**os.environ, MARK: str(HOME)}
            subprocess.run(module, env=environment, check=True, stdin=subprocess.DEVNULL)
            wait_until(self.runs, 20, "the supervisor does not answer; its log is .platform/log/supervisord.log")
            return []
        added, altered, removed = self._calls.reloadConfig()[0]
        running = [name for name, entry in self.states().items() if entry["pid"]]
        for process in processes:
            start, files = news[process.name]
            if process.reload_signal and files and not start and process.name in running:
                self._calls.signalProcess(process.name, process.reload_signal)
                changed.remove(process.name)
        later = [process.name for process in processes if process.one_by_one and process.name in running]
        self.stop([name for name in running if name in {*changed, *altered, *removed} and name not in later])
        self._altered = [name for name in altered if name in later]
        for name in [*altered, *removed]:
            if name not in later:
                self._calls.removeProcessGroup(name)
        for name in [*added, *altered]:
            if name not in later:
                self._calls.addProcessGroup(name)
        return [name for name in later if name in altered or not _as_described(name)]

    def start_again(self, name: str) -> None:
        """Stops and starts it, as `configure` said that it is now."""
        self.stop([name])
        if name in self._altered:
            self._calls.removeProcessGroup(name)
            self._calls.addProcessGroup(name)
        self.start(name)

    def start(self, name: str) -> None:
        """Starts it where it does not run."""
        if self.states()[name]["statename"] not in ("RUNNING", "STARTING"):
            self._calls.startProcess(name, False)

    def stop(self, names: list[str]) -> None:
        """Stops them side by side and waits for the last."""
        for name in names:
            try:
                self._calls.stopProcess(name, False)
            except Fault as fault:
                if "NOT_RUNNING" not in fault.faultString:
                    raise

        def stopped() -> bool:
            return not any(entry["pid"] for name, entry in self.states().items() if name in names)

        wait_until(stopped, 90, f"not every one of these stopped: {', '.join(names)}")

    def shutdown(self) -> None:
        """Ends supervisord."""
        pid = self._calls.getPID()
        self._calls.shutdown()
        wait_until(lambda: not psutil.pid_exists(pid), 30, "the supervisor does not end")


def _describe(process: Process) -> tuple[bool, bool]:
    """Writes what native/start.py and the process read; whether it is to be started otherwise, and has other files."""
    account = process.account and [process.account.uid, process.account.gid]
    start = {"command": process.command, "environment": process.environment, "folder": str(process.folder)}
    started = write(RUN / f"{process.name}.json", json.dumps(start | {"account": account}, indent=1))
    # These hold no secrets, and the process reads them as its own user.
    written = [write(RUN / name, text, 0o644) for name, text in process.files.items()]
    return started, any(written)


def _as_described(name: str) -> bool:
    """Whether the process that runs was started as it is described now; an interrupted launch may have left it."""
    started = RUN / f"{name}.started"
    return started.exists() and started.read_text() == (RUN / f"{name}.json").read_text()


def wait_until(done: Any, seconds: float, otherwise: str) -> None:
    """Polls `done`; TimeoutError with `otherwise` at the deadline."""
    deadline = time.monotonic() + seconds
    while not done():
        if time.monotonic() > deadline:
            raise TimeoutError(otherwise)
        time.sleep(0.1)


def owner(process: Any) -> str:
    """The .platform folder that `process` belongs to; empty for strangers."""
    try:
        variables = process.environ()
        if "PATH" in variables:
            return str(variables.get(MARK, ""))
        # nginx writes its title over its environment; it still works in its folder, .platform/data/nginx.
        home = Path(process.cwd()).parent.parent
    except (*_GONE, OSError):
        return ""
    return str(home) if home.name == HOME.name else ""


def strays() -> Iterator[Any]:
    """Processes of this folder, whoever their parent is."""
    for process in psutil.process_iter():
        if process.pid != os.getpid() and owner(process) == str(HOME):
            yield process


def stop_strays() -> None:
    """Ends what a killed supervisor or a process of its own session left behind."""
    found = list(strays())
    for process in found:
        _quietly(process.terminate)
    _, alive = psutil.wait_procs(found, timeout=15)
    for process in alive:
        _quietly(process.kill)
    psutil.wait_procs(alive, timeout=5)


def _quietly(action: Any) -> None:
    with contextlib.suppress(*_GONE):
        action()


def memory(pid: int) -> int:
    """Bytes of a process and its children; pages that several share count once (PSS)."""
    total = 0
    try:
        family = [psutil.Process(pid), *psutil.Process(pid).children(recursive=True)]
    except _GONE:
        return 0
    for process in family:
        try:
            total += process.memory_full_info().pss
        except _GONE:
            continue
    return total


def holder(port: int) -> Any | None:
    """The process that listens on `port`; None where nobody does, and an unknown process is True."""
    for connection in psutil.net_connections("tcp"):
        if connection.status == psutil.CONN_LISTEN and connection.laddr.port == port:
            return psutil.Process(connection.pid) if connection.pid else True
    return None
