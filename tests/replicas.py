"""Whole fleets in one process, on real sockets, with stubs for the models."""

import socket
import threading
from pathlib import Path
from typing import Any

from werkzeug.serving import BaseWSGIServer, make_server

from model_endpoint.api import create_app
from model_endpoint.server import Server
from model_endpoint.slot import Loaded
from tests import training
from tests.unit.model_endpoint import stub
from training_endpoint.release import fleet as fleets


def reserve(port: int = 0) -> socket.socket:
    """A socket that has its port, and refuses connections until it listens."""
    made = socket.socket()
    made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    made.bind(("127.0.0.1", port))
    return made


class Fleet:
    """Replicas that have an address; each listens when it is started."""

    def __init__(self, folder: Path, count: int, **variables: str) -> None:
        doors = [reserve() for _ in range(count)]
        ports = [door.getsockname()[1] for door in doors]
        endpoints = ",".join(f"127.0.0.1:{port}" for port in ports)
        self.servers = [self._server(folder / str(port), port, endpoints, variables) for port in ports]
        self.doors = dict(zip(self.servers, doors, strict=True))
        variables = {"MODEL_ENDPOINTS": endpoints, **variables, "PLATFORM_TOKEN": stub.TOKEN}
        self.leaders = [fleets.Fleet(training.settings("", folder, **variables)) for _ in range(2)]
        self.listeners: dict[Server, tuple[BaseWSGIServer, threading.Thread]] = {}

    def _server(self, folder: Path, port: int, endpoints: str, variables: dict[str, str]) -> Server:
        own = {"MODEL_ENDPOINTS": endpoints, "MODEL_ENDPOINT_PORT": str(port), "MODEL_HOLD_SECONDS": "2"}
        server = Server(stub.settings(folder, **{**own, **variables}))
        server.replica._load = lambda voucher: Loaded(voucher, stub.Stub())  # type: ignore[method-assign] # a stub
        return server

    def listen(self, server: Server) -> None:
        app, door = create_app(server.settings, server), self.doors[server]
        door.listen()
        listener = make_server("127.0.0.1", server.settings.port, app, threaded=True, fd=door.fileno())
        thread = threading.Thread(target=listener.serve_forever, args=(0.02,))
        thread.start()
        self.listeners[server] = listener, thread

    def die(self, server: Server) -> None:
        listener, thread = self.listeners.pop(server)
        listener.shutdown()
        thread.join()
        listener.server_close()
        self.doors[server].close()
        self.doors[server] = reserve(server.settings.port)

    def start(self, *servers: Server) -> None:
        """Starts `servers`, or all; each joins the others."""
        for server in servers or self.servers:
            self.listen(server)
            server.joiner.join()

    def change(self, number: int, leader: int = 0) -> dict[str, Any]:
        """Switches all to version `number`."""
        return self.leaders[leader].change(lambda: stub.voucher(number))

    def first(self) -> None:
        """Starts all and has version 1 served."""
        self.start()
        self.change(1)

    @property
    def versions(self) -> list[int | None]:
        return [server.replica.version for server in self.servers]
