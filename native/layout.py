"""Where things are, on which ports they listen, and the settings of .env."""

import json
import os
import shutil
import socket
import tempfile
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from launch import dotenv
from native.account import Account

ROOT = Path(__file__).resolve().parent.parent
HOME = ROOT / ".platform"
DATA = HOME / "data"
RUN = HOME / "run"
LOG = HOME / "log"
REPLICAS = RUN / "replicas"
PYTHON = HOME / "envs/native/bin/python"
AIRFLOW_PYTHON = HOME / "envs/airflow/bin/python"

# Every process of this platform carries HOME in this variable: that is how strays are found.
MARK = "PLATFORM_HOME"

# Doors that containers keep inside their network. Another port is taken where one of these is in use.
INNER_PORTS = {"relay": 9997, "scheduler-health": 8974}


@dataclass(frozen=True)
class Layout:
    """The settings, and the address of every door."""

    settings: dict[str, str]
    inner: dict[str, int]
    nginx: str | None
    account: Account | None = None

    @classmethod
    def load(cls, least: int = 1) -> "Layout":
        """Reads .env (the environment wins, as in Compose) and keeps the inner ports of an earlier start.

        At `least` so many replicas, whatever is set: for the time in which others are replaced.
        """
        settings = known_settings()
        nginx = nginx_program()
        replicas = max(int(settings.get("MODEL_REPLICAS") or 2), least) if nginx else 1
        wanted = {f"model-endpoint-{n}": 9998 if n == 1 else 9998 - n for n in range(1, replicas + 1)}
        kept_file = RUN / "ports.json"
        kept = json.loads(kept_file.read_text()) if kept_file.exists() else {}
        ports = {name: kept.get(name) or usable(port) for name, port in (INNER_PORTS | wanted).items()}
        if nginx is None:
            ports["model-endpoint-1"] = int(settings["NGINX_PORT"])
        return cls(settings, ports, nginx, Account.named(settings["NATIVE_USER"]))

    def save(self) -> None:
        """Keeps the inner ports for the next command, and says where the replicas are to whoever asks them."""
        write(RUN / "ports.json", json.dumps(self.inner))
        write(REPLICAS, "".join(f"127.0.0.1:{port}\n" for port in self.model_endpoints.values()), 0o644)

    def port(self, name: str) -> int:
        """One of the doors on this machine, such as NGINX_PORT."""
        return int(self.settings[name])

    def bind(self, door: str = "") -> str:
        """Where a door listens: AIRFLOW, MLFLOW, TRAINING or DATABASE; by default the public one."""
        return self.settings.get(f"{door}_BIND_ADDRESS".lstrip("_")) or "127.0.0.1"

    def host(self, door: str = "") -> str:
        """Where the processes reach a door."""
        bind = self.bind(door)
        return "127.0.0.1" if bind in ("0.0.0.0", "127.0.0.1") else bind  # noqa: S104 - a comparison

    @property
    def certificate(self) -> tuple[Path, Path] | None:
        """The certificate and its key, with which the public door speaks HTTPS; None for HTTP."""
        given = [self.settings.get(name, "") for name in ("NGINX_CERTIFICATE", "NGINX_KEY")]
        if not any(given):
            return None
        if self.nginx is None:
            raise LookupError("NGINX_CERTIFICATE asks for HTTPS, and that needs nginx: install it")
        certificate, key = (ROOT / path for path in given)
        return certificate, key

    @property
    def door(self) -> str:
        """The URL of the public door."""
        return f"{'https' if self.certificate else 'http'}://{self.host()}:{self.port('NGINX_PORT')}"

    @property
    def model_endpoints(self) -> dict[str, int]:
        """Replica name to port."""
        return {name: port for name, port in self.inner.items() if name.startswith("model-endpoint-")}

    @cached_property
    def addresses(self) -> dict[str, str]:
        """The names that services have in the containers' network, and where the same is found here."""
        database = f"{self.host('DATABASE')}:{self.port('DATABASE_PORT')}"
        return {
            "backend-store:5432": database,
            "training-database:5432": database,
            "airflow-database:5432": database,
            "tracking-server:5001": f"{self.host('MLFLOW')}:{self.port('MLFLOW_PORT')}",
            "training-endpoint:9999": f"{self.host('TRAINING')}:{self.port('TRAINING_PORT')}",
            "airflow-apiserver:8080": f"{self.host('AIRFLOW')}:{self.port('AIRFLOW_PORT')}",
            "model-endpoint:9998": f"@{REPLICAS}",
            "training-trigger:9997": f"127.0.0.1:{self.inner['relay']}",
        }

    def localize(self, value: str) -> str:
        """`value` with every address of the containers' network replaced."""
        for name, address in self.addresses.items():
            value = value.replace(name, address)
        return value


def known_settings() -> dict[str, str]:
    """The settings of .env with the defaults of all others; the environment wins, as in Compose."""
    return dotenv.settings(ROOT) | {key: value for key, value in os.environ.items() if key != "PATH"}


def nginx_program() -> str | None:
    """The machine's nginx, else the one that native/nginx.sh unpacked, else None."""
    places = [f"/usr/{kind}/nginx" for kind in ("sbin", "bin", "local/sbin", "local/nginx/sbin")]
    for place in [shutil.which("nginx"), *places, str(HOME / "nginx/usr/sbin/nginx")]:
        if place and os.access(place, os.X_OK):
            return place
    return None


def usable(port: int) -> int:
    """`port` where it is free on the loopback address, else a free one."""
    for candidate in (port, 0):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", candidate))
            except OSError:
                continue
            return int(probe.getsockname()[1])
    raise OSError("no TCP port is free on 127.0.0.1")


def write(path: Path, text: str, mode: int = 0o600) -> bool:
    """Writes `path` as a whole, for its owner alone; False when it said that already."""
    if path.exists() and path.read_text() == text:
        return False
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile("w", dir=path.parent, delete=False) as file:
        file.write(text)
    Path(file.name).chmod(mode)
    Path(file.name).rename(path)
    return True
