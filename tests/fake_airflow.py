"""Airflow's REST API as the relay uses it, answering what a test tells it to."""

import ast
import json
import re
import threading
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import unquote

USER = "admin"
PASSWORD = "secret"
DAG = "machine-learning-training-pipeline"
LOST = 0
"""A planned answer: the run is accepted, but the connection breaks before the relay hears of it."""
BROKEN = -1
"""A planned answer: the connection breaks and nothing was accepted."""


def known_names() -> set[str]:
    """What the product's own plugin lets through; it imports Airflow, so its text is read."""
    plugin = ast.parse((Path(__file__).parent.parent / "airflow/plugins/known_conf.py").read_text())
    values = [
        node.value
        for node in plugin.body
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name) and node.targets[0].id == "KNOWN"
    ]
    return set(ast.literal_eval(values[0]))


class FakeAirflow:
    """Accepts each dag_run_id once. `planned` holds what the next POSTs of runs are answered instead of the truth."""

    def __init__(self) -> None:
        self.url = ""
        self.reset()

    def reset(self) -> None:
        """As at the start, with no run."""
        self.runs: dict[str, dict[str, Any]] = {}
        self.queued: set[str] = set()
        self.states: dict[str, str] = {}
        """What runs have come to; running where nothing is said."""
        self.planned: deque[int] = deque()
        self.paused = False
        self.password = PASSWORD
        self.token = 0
        self.logins = 0
        self.posts = 0

    def answer(self, method: str, path: str, token: str, body: dict[str, Any]) -> tuple[int, dict[str, Any]]:
        if path == "/auth/token":
            self.logins += 1
            if body != {"username": USER, "password": self.password}:
                return 401, {"detail": "Invalid credentials"}
            return 201, {"access_token": f"token-{self.token}"}
        if token != f"Bearer token-{self.token}":
            return 403, {"detail": "Forbidden"}
        known: dict[tuple[str, str], Callable[[], tuple[int, dict[str, Any]]]] = {
            ("GET", f"/api/v2/dags/{DAG}"): lambda: (200, {"dag_id": DAG, "is_paused": self.paused}),
            ("GET", f"/api/v2/dags/{DAG}/dagRuns"): lambda: (200, self.waiting()),
            ("POST", f"/api/v2/dags/{DAG}/dagRuns"): lambda: self.start_run(body),
        }
        run = unquote(path.removeprefix(f"/api/v2/dags/{DAG}/dagRuns/"))
        if method == "GET" and run in self.runs:
            return 200, {"dag_run_id": run, "state": self.states.get(run, "running")}
        return known.get((method, path), lambda: (404, {"detail": f"not found: {path}"}))()

    def waiting(self) -> dict[str, Any]:
        """The runs in `queued`, with the conf that they were started with."""
        runs = [{"dag_run_id": run, "conf": self.runs.get(run, {})} for run in sorted(self.queued)]
        return {"dag_runs": runs, "total_entries": len(runs)}

    def start_run(self, body: dict[str, Any]) -> tuple[int, dict[str, Any]]:
        self.posts += 1
        assert "logical_date" in body, "Airflow 3 answers 422 without it"
        planned = self.planned.popleft() if self.planned else None
        if planned not in (None, LOST):
            return planned, {"detail": "planned"}
        if ".." in body["dag_run_id"] or not re.fullmatch(r"[A-Za-z0-9_.~:+-]+", body["dag_run_id"]):
            return 400, {"detail": f"The run_id '{body['dag_run_id']}' must not contain '..' to prevent path traversal"}
        unknown = set(body["conf"]) - known_names()
        if unknown:
            return 400, {"detail": f"conf has {unknown}"}
        if body["dag_run_id"] in self.runs:
            return (409, {"detail": "exists"}) if planned is None else (LOST, {})
        self.runs[body["dag_run_id"]] = body["conf"]
        return (200 if planned is None else LOST), {"dag_run_id": body["dag_run_id"], "state": "queued"}


@contextmanager
def serve() -> Iterator[FakeAirflow]:
    """A FakeAirflow that listens on the loopback address."""
    fake = FakeAirflow()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers.get("Content-Length") or 0)) or b"{}")
            path = self.path.partition("?")[0]
            code, answer = fake.answer(self.command, path, self.headers.get("Authorization", ""), body)
            if code <= 0:
                self.close_connection = True
                return
            text = json.dumps(answer).encode()
            self.send_response(code)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(text)))
            self.end_headers()
            with suppress(BrokenPipeError):  # a relay that was told to die does not wait
                self.wfile.write(text)

        do_GET = do_POST  # noqa: N815 - the name that the server looks for

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    fake.url = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield fake
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
