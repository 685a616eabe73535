"""Starts one replica: gunicorn with one process of threads, so that a switch is one assignment."""

import math
import os
import sys
from typing import Any

from gunicorn.app.base import BaseApplication  # type: ignore[import-untyped] # it has no types

from mlops_contract.env import SettingError
from model_endpoint.api import create_app
from model_endpoint.server import Server
from model_endpoint.settings import Settings
from model_endpoint.worker import Worker

# Beyond the predictions, and as many threads that stay with a connection: the switch's calls, health checks and
# metrics get a thread even at full load.
SPARE_THREADS = 16
# A replica that cannot serve after so long opens its door all the same, to say why.
JOIN_SECONDS = 60
# Two arenas instead of eight a core keep the freed memory of an old model from being spread and kept. Whatever a
# replica calls is a neighbour, to which no proxy leads.
PROCESS = {"MALLOC_ARENA_MAX": "2", "TOKENIZERS_PARALLELISM": "false", "NO_PROXY": "*", "no_proxy": "*"}


class Replica(BaseApplication):  # type: ignore[misc] # as above
    """Gunicorn with our settings instead of its command line."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.served: Server | None = None
        super().__init__()

    def load_config(self) -> None:
        threads = 2 * self.settings.max_requests + SPARE_THREADS
        options: dict[str, Any] = {
            "bind": [],  # the worker opens the door, when it can answer
            "workers": 1,
            "worker_class": Worker,
            "threads": threads,
            # Beside those in work, connections that nginx keeps open.
            "worker_connections": threads + 1000,
            "keepalive": 75,
            "limit_request_line": 8190,
            "timeout": 0,
            "graceful_timeout": math.ceil(self.settings.answer_seconds) + 2,
            "worker_tmp_dir": "/dev/shm",  # noqa: S108 - memory, so that a slow disk cannot make it look hung
            "control_socket_disable": True,
            "worker_exit": lambda _, worker: worker.app.served.log.stop() if worker.app.served else None,
        }
        for name, value in options.items():
            if name in self.cfg.settings:
                self.cfg.set(name, value)

    def server(self) -> Server:
        """The parts that it serves with."""
        return Server(self.settings)

    def load(self) -> Any:
        server = self.served = self.server()
        app = create_app(self.settings, server)
        server.log.start()
        server.joiner.start()
        app.extensions["classifiers"].start()
        server.joiner.settled(JOIN_SECONDS)
        return app

    @property
    def address(self) -> tuple[str, int]:
        """Host and port of the door."""
        return self.settings.host, self.settings.port


def main() -> None:
    """Runs until SIGTERM; then the requests in work are answered first."""
    if any(os.environ.get(name) != value for name, value in PROCESS.items()):
        # The C library reads them at the start of a process only.
        os.environ.update(PROCESS)
        os.execv(sys.executable, [sys.executable, "-m", "model_endpoint"])  # noqa: S606
    try:
        settings = Settings.from_env(os.environ)
    except SettingError as error:
        sys.exit(f"model endpoint: {error}")
    Replica(settings).run()


if __name__ == "__main__":
    main()
