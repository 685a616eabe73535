"""Real replicas as processes, with nginx in front where the machine has one."""

import os
import re
import socket
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import requests

from mlops_contract.voucher import Voucher
from native.layout import nginx_program
from tests import services, training
from training_endpoint.release.fleet import Fleet

TOKEN = "a-token"
ROOT = services.ROOT
DOOR = {
    "NGINX_RESOLVER": "",
    "NGINX_RATE": "5000r/s",
    "NGINX_BURST": "5000",
    "NGINX_CORS_ORIGINS": "",
    "NGINX_CONSOLE": "127.0.0.1:9",
    "NGINX_MAX_BODY": "64k",
    "NGINX_REPLICA_TIMEOUT": "15s",
}


@dataclass
class Replica:
    """One process; `pid` is the process that serves."""

    port: int
    log: Path
    process: Any = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def worker(self) -> int:
        children = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text().split()
        return int(children[0])

    def up(self) -> bool:
        return requests.get(f"{self.url}/health", timeout=2).ok

    def serves(self, version: int) -> bool:
        return self.served() == str(version)

    def served(self) -> str | None:
        return requests.get(f"{self.url}/health", timeout=2).headers.get("X-Model-Version")

    def ask(self, path: str, **body: Any) -> requests.Response:
        method = "POST" if body else "GET"
        headers = {"Authorization": f"Bearer {TOKEN}"}
        return requests.request(method, f"{self.url}{path}", json=body or None, headers=headers, timeout=60)


@dataclass
class Serving:
    """A fleet of replicas of the model `name`, whose files are in the registry at `mlflow`."""

    mlflow: str
    name: str
    folder: Path
    variables: dict[str, str] = field(default_factory=dict)
    module: str = "model_endpoint"
    replicas: list[Replica] = field(default_factory=list)
    stack: ExitStack = field(default_factory=ExitStack)

    def add(self, count: int) -> None:
        """Reserves ports for `count` more replicas; `start` starts them."""
        for _ in range(count):
            port = services.free_port()
            self.replicas.append(Replica(port, self.folder / f"{port}.log"))

    def environment(self, replica: Replica) -> dict[str, str]:
        return {
            "PYTHONPATH": f"{ROOT}/contract/src:{ROOT}/runner/src:{ROOT}/model_endpoint/src:{ROOT}",
            "MLFLOW_TRACKING_URI": self.mlflow,
            "MODEL_NAME": self.name,
            "PLATFORM_TOKEN": TOKEN,
            "MODEL_ENDPOINTS": ",".join(f"127.0.0.1:{other.port}" for other in self.replicas),
            "MODEL_ENDPOINT_HOST": "127.0.0.1",
            "MODEL_ENDPOINT_PORT": str(replica.port),
            "MODEL_CACHE": str(self.folder / "cache"),
            "MODEL_REPLICAS": str(len(self.replicas)),
            **self.variables,
        }

    def start(self, *replicas: Replica) -> None:
        """Starts the replicas (all, without an argument); returns when each answers."""
        for replica in replicas or self.replicas:
            command = [sys.executable, "-m", self.module]
            running = services.process(command, replica.log, self.environment(replica))
            replica.process = self.stack.enter_context(running)
        for replica in replicas or self.replicas:
            services.wait_until("a replica answers", replica.up)

    def switch(self, voucher: Voucher) -> dict[str, Any]:
        """Has every replica serve a version, as the release desk does; returns the report."""
        endpoints = ",".join(f"127.0.0.1:{one.port}" for one in self.replicas)
        settings = training.settings("", self.folder, MODEL_ENDPOINTS=endpoints, PLATFORM_TOKEN=TOKEN)
        return Fleet(settings).change(lambda: voucher)

    def wait_for(self, version: int, seconds: float = 30) -> None:
        """Returns when every replica serves `version`."""
        for replica in self.replicas:
            services.wait_until(f"version {version} everywhere", partial(replica.serves, version), seconds, 0.05)

    def door(self, **variables: str) -> str:
        """Starts nginx in front of the replicas and returns its URL; the variables are the template's."""
        nginx = nginx_program()
        if nginx is None:
            pytest.skip("there is no nginx on this machine")
        port = services.free_port()
        most = variables.pop("MAX_CONNECTIONS", "64")
        servers = [
            " ".join(f"server 127.0.0.1:{one.port} max_conns={most} {options};" for one in self.replicas)
            for options in ("max_fails=1 fail_timeout=5s", "max_fails=0")
        ]
        values = {
            **DOOR,
            "NGINX_LISTEN": f"listen 127.0.0.1:{port};",
            "NGINX_UPSTREAM_SERVERS": servers[0],
            "NGINX_ALL_SERVERS": servers[1],
            **{name: value.replace("PORT", str(port)) for name, value in variables.items()},
        }
        template = (ROOT / "nginx/templates/default.conf.template").read_text()
        site = re.sub(r"\$\{(NGINX_\w+)\}", lambda found: values[found[1]], template)
        home = self.folder / f"nginx-{port}"
        home.mkdir()
        (home / "site.conf").write_text(site)
        kinds = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
        folders = " ".join(f"{kind}_temp_path {home}/tmp;" for kind in kinds)
        user = "user root; " if os.geteuid() == 0 else ""  # whose files large bodies go to
        (home / "nginx.conf").write_text(
            f"{user}daemon off; pid {home}/pid; error_log {home}/error.log; events {{ worker_connections 1024; }}"
            f"http {{ access_log {home}/access.log; {folders} include {home}/site.conf; }}"
        )
        command = [nginx, "-e", f"{home}/error.log", "-c", f"{home}/nginx.conf"]
        self.stack.enter_context(services.process(command, home / "log"))
        scheme = "https" if "ssl" in values["NGINX_LISTEN"] else "http"
        url = f"{scheme}://127.0.0.1:{port}"
        services.wait_until("nginx answers", lambda: _listens(port), 10)
        return url


def _listens(port: int) -> bool:
    with socket.create_connection(("127.0.0.1", port), 2):
        return True


@contextmanager
def serving(mlflow: str, name: str, folder: Path, replicas: int, **variables: str) -> Iterator[Serving]:
    """A fleet that is reserved and not started yet; all of it ends with the block."""
    fleet = Serving(mlflow, name, folder, variables)
    fleet.add(replicas)
    with fleet.stack:
        yield fleet
