"""A whole platform of its own for the end-to-end tests: a copy of the tree, driven by `sh launch.sh`."""

import json
import os
import shutil
import subprocess
import urllib.error
import urllib.request
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from launch import dotenv
from tests.services import ROOT, free_port

PORTS = ("NGINX_PORT", "AIRFLOW_PORT", "MLFLOW_PORT", "TRAINING_PORT", "DATABASE_PORT")


def set_env(folder: Path, **settings: str) -> None:
    """Writes settings into .env, as a user's editor does."""
    file = folder / ".env"
    kept = [line for line in file.read_text().splitlines() if line.split("=")[0] not in settings]
    file.write_text("\n".join([*kept, *(f"{name}={value}" for name, value in settings.items())]) + "\n")


def engine_answers() -> bool:
    """Whether a Docker Engine answers on this machine."""
    if shutil.which("docker") is None:
        return False
    return subprocess.run(["docker", "info"], capture_output=True, check=False).returncode == 0


def docker_names(*what: str) -> list[str]:
    """The names that `docker WHAT` lists; none where no engine answers."""
    if not engine_answers():
        return []
    style = "{{.Names}}" if what[0] == "ps" else "{{.Name}}"
    return subprocess.run(
        ["docker", *what, "--format", style], capture_output=True, text=True, check=True
    ).stdout.split()


@dataclass
class Platform:
    """The product in `folder`, on ports and under names of its own, beside whatever else runs here."""

    folder: Path
    mode: str
    prefix: str = "e2e_"
    ports: dict[str, int] = field(default_factory=lambda: {name: free_port() for name in PORTS})
    settings: dict[str, str] = field(default_factory=dict)
    volumes_before: set[str] = field(init=False)

    def __post_init__(self) -> None:
        """Deletes what an earlier run has left under these names that was cut off: beside its data none is launched."""
        if self.mode == "docker":
            for listed, removed in (
                (["ps", "-a"], ["rm", "--force", "--volumes"]),
                (["volume", "ls"], ["volume", "rm"]),
                (["network", "ls"], ["network", "rm"]),
            ):
                left = [name for name in docker_names(*listed) if name.startswith(self.prefix)]
                if left:
                    subprocess.run(["docker", *removed, *left], stdout=subprocess.DEVNULL, check=True)
        self.volumes_before = set(docker_names("volume", "ls"))

    def copy_tree(self) -> None:
        """Copies what git would commit from this working tree: no build outputs, no .env."""
        listed = subprocess.run(
            ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
            cwd=ROOT,
            capture_output=True,
            check=True,
        )
        for name in filter(None, listed.stdout.decode().split("\0")):
            source, target = ROOT / name, self.folder / name
            if source.is_file():
                target.parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(source, target)

    def run(self, *command: str, timeout: float = 900) -> subprocess.CompletedProcess[str]:
        """Runs `command` in the folder as a user would; the output is kept together and also shown."""
        chosen = {name: str(port) for name, port in self.ports.items()} | self.settings
        environment = {k: v for k, v in os.environ.items() if k not in ("CI", "PYTHONPATH")}
        environment |= {"PROJECT_PREFIX": self.prefix, **chosen}
        done = subprocess.run(
            command,
            cwd=self.folder,
            env=environment,
            timeout=timeout,
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            check=False,
        )
        print(f"$ {' '.join(command)}\n{done.stdout}\n[exit {done.returncode}]")
        return done

    def launch(self, *arguments: str, timeout: float = 900) -> str:
        """`sh launch.sh …`, which must succeed; its output."""
        native = ["--native"] if self.mode == "native" else []
        done = self.run("sh", "launch.sh", *native, *arguments, timeout=timeout)
        assert done.returncode == 0, f"launch.sh {' '.join(arguments)} ended with {done.returncode}:\n{done.stdout}"
        return done.stdout

    def sql(self, statements: str) -> str:
        """What psql prints, as the role platform; the statements are one transaction."""
        run = f"import database_trigger; print(database_trigger.psql('--single-transaction', given={statements!r}))"
        done = self.run("python3", "-c", run)
        assert done.returncode == 0, done.stdout
        return done.stdout.strip()

    def url(self, port: str, path: str = "/") -> str:
        """The address of one of PORTS on this machine."""
        return f"http://127.0.0.1:{self.ports[port]}{path}"

    def setting(self, name: str) -> str:
        """What .env says of `name`."""
        return dotenv.settings(self.folder)[name]

    def ask(self, port: str, path: str, method: str = "GET", **headers: str) -> int:
        """The status of a request to one of PORTS."""
        body = b"{}" if method == "POST" else None
        headers = {name.replace("_", "-"): value for name, value in headers.items()}
        request = urllib.request.Request(
            self.url(port, path), body, {"Content-Type": "application/json", **headers}, method=method
        )
        try:
            with urllib.request.urlopen(request, timeout=30) as answer:
                return int(answer.status)
        except urllib.error.HTTPError as error:
            return error.code

    def predict(self, text: str, classifier: str = "") -> tuple[dict[str, Any], dict[str, str]]:
        """The body and the headers that POST /predict answers with."""
        request = urllib.request.Request(
            self.url("NGINX_PORT", f"/classifiers/{classifier}/predict" if classifier else "/predict"),
            json.dumps({"input": text}).encode(),
            {"Content-Type": "application/json"},
        )
        with urllib.request.urlopen(request, timeout=30) as answer:
            return json.load(answer), dict(answer.headers)

    def status_of(self, path: str, method: str = "GET", body: bytes | None = None) -> int:
        """The status of a request through nginx."""
        request = urllib.request.Request(self.url("NGINX_PORT", path), body, method=method)
        try:
            with urllib.request.urlopen(request, timeout=30) as answer:
                return int(answer.status)
        except urllib.error.HTTPError as error:
            return error.code

    def versions_by_replica(self, requests: int = 40) -> dict[str, set[str]]:
        """Which versions each replica answered with over some requests."""
        seen: Counter[tuple[str, str]] = Counter()
        for _ in range(requests):
            _, headers = self.predict("one more")
            seen[headers["X-Replica"], headers["X-Model-Version"]] += 1
        return {name: {version for other, version in seen if other == name} for name, _ in seen}

    def leftovers(self) -> list[str]:
        """Containers and networks of this platform, and volumes that were not there before it, named or not."""
        names = docker_names("ps", "-a") + docker_names("network", "ls")
        return [name for name in names if name.startswith(self.prefix)] + sorted(
            set(docker_names("volume", "ls")) - self.volumes_before
        )
