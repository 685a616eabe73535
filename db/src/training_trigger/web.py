"""GET /live, /health and /metrics, in a thread beside the loop."""

import json
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import psycopg

from mlops_contract.errors import PlatformError
from training_trigger.errors import DatabaseUnavailable
from training_trigger.events import Backlog, Events, connect
from training_trigger.settings import Settings
from training_trigger.status import Status


def backlog(database_url: str) -> Backlog | PlatformError:
    """Asks over a connection of its own, so that the answer holds while the loop waits or is stuck."""
    try:
        with connect(database_url) as connection:
            return Events(connection).backlog()
    except psycopg.Error as error:
        return DatabaseUnavailable.because(error)


def server(settings: Settings, status: Status) -> ThreadingHTTPServer:
    """A bound server; the caller runs serve_forever and shutdown."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            if self.path == "/live":
                self._answer(200, "application/json", b'{"status": "ok"}')
            elif self.path == "/health":
                code, body = status.health(backlog(settings.database_url))
                self._answer(code, "application/json", json.dumps(body).encode())
            elif self.path == "/metrics":
                text = status.metrics(backlog(settings.database_url))
                self._answer(200, "text/plain; version=0.0.4; charset=utf-8", text)
            else:
                self._answer(404, "application/json", b'{"error": {"code": "not_found", "message": "Try /health."}}')

        def _answer(self, code: int, kind: str, body: bytes) -> None:
            self.send_response(code)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Probes are not worth a line each."""

    return ThreadingHTTPServer((settings.host, settings.port), Handler)
