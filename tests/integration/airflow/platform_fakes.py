"""Small HTTP servers that stand in for the training endpoint and the model endpoint."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from mlops_contract.errors import PlatformError
from training_endpoint.learn.hyperparameters import Hyperparameters

Answer = tuple[int, dict[str, Any]]


def error(status: int, code: str, message: str) -> Answer:
    return status, {"error": {"code": code, "message": message}}


class Fake:
    """Routes requests to `answer(method, path, body)` while it listens; remembers them in `calls`."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.calls: list[tuple[str, str, dict[str, Any]]] = []
        self.headers: list[dict[str, str]] = []
        self.answer_headers: dict[str, str] = {}

    def answer(self, method: str, path: str, body: dict[str, Any]) -> Answer:
        raise NotImplementedError

    def count(self, method: str, path: str) -> int:
        return sum(call[:2] == (method, path) for call in self.calls)

    @contextmanager
    def listening(self) -> Iterator[None]:
        fake = self

        class Handler(BaseHTTPRequestHandler):
            def handle_any(self) -> None:
                length = int(self.headers.get("Content-Length") or 0)
                body = json.loads(self.rfile.read(length) or b"{}")
                fake.headers.append(dict(self.headers))
                fake.calls.append((self.command, self.path, body))
                status, answer = fake.answer(self.command, self.path, body)
                data = json.dumps(answer).encode()
                self.send_response(status)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(data)))
                for name, value in fake.answer_headers.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(data)

            do_GET = do_POST = do_DELETE = handle_any  # noqa: N815 - names that http.server looks for

            def log_message(self, format: str, *args: object) -> None:
                pass

        server = ThreadingHTTPServer(("127.0.0.1", self.port), Handler)
        server.daemon_threads = True
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        try:
            yield
        finally:
            server.shutdown()
            server.server_close()
            thread.join()


class FakeTraining(Fake):
    """Jobs end as `end` says once `finish` is set; each is the same job for the same run."""

    def __init__(self, port: int) -> None:
        super().__init__(port)
        self.imported = True
        self.finish = threading.Event()
        self.finish.set()
        self.refusal: Answer | None = None
        self.served, self.trouble, self.champion, self.previous = True, "", 4, 3
        self.jobs: dict[str, dict[str, Any]] = {}
        self.end: dict[str, Any] = {
            "status": "succeeded",
            "phase": "done",
            "progress": 1.0,
            "message": "registered version 4",
            "metrics": {"accuracy": 0.93},
            "model_version": 4,
            "champion_version": 4,
            "mlflow_run_id": "abc123",
            "verdict": "promoted",
            "verdict_text": "version 4 is better than 3",
            "error": None,
        }

    def answer(self, method: str, path: str, body: dict[str, Any]) -> Answer:
        if path == "/datasets/current" or path.startswith("/classifiers/"):
            return (200, self.dataset()) if self.imported else error(404, "no_dataset", "import one first")
        if path.startswith("/release"):
            return 200, self.release()
        if (method, path) == ("POST", "/datasets"):
            self.imported = True
            return 201, self.dataset()
        if (method, path) == ("POST", "/train"):
            return self.start(body)
        if (method, path) == ("GET", "/train"):
            return 200, {"jobs": list(self.jobs.values())[::-1]}
        return self.one_job(method, path.removeprefix("/train/"))

    def start(self, body: dict[str, Any]) -> Answer:
        if self.refusal:
            return self.refusal
        overrides = {name: value for name, value in body.items() if name not in ("run_id", "classifier")}
        try:
            Hyperparameters.from_request(overrides, Hyperparameters())
        except PlatformError as refused:
            return error(refused.status, refused.code, refused.message)
        known = body["run_id"] in self.jobs
        job = {"job_id": f"job-{len(self.jobs)}", "run_id": body["run_id"], "status": "queued", "phase": "queued"}
        job |= {"progress": 0.0, "eta_s": None, "message": ""}
        return (200 if known else 202), self.jobs.setdefault(body["run_id"], job)

    def one_job(self, method: str, job_id: str) -> Answer:
        job = next((job for job in self.jobs.values() if job["job_id"] == job_id), None)
        if job is None:
            return error(404, "no_job", f"there is no job {job_id}")
        if method == "DELETE":
            job["status"] = "cancelled"
        elif job["status"] not in ("failed", "cancelled"):
            running = {"status": "running", "phase": "training", "progress": 0.4, "message": "step 4 of 10", "eta_s": 6}
            job.update(self.end if self.finish.is_set() else running)
        return 200, job

    def release(self) -> dict[str, Any]:
        """Two replicas that have switched from version `previous` to `champion`, unless `served` is False."""
        versions = {"version": self.champion, "previous_version": self.previous}
        replicas = [{"replica": f"r{n}", "address": f"10.0.0.{n}:9998", **versions} for n in (1, 2)]
        switch = {"version": self.champion, "replicas": replicas, "seconds": 0.5} if self.served else {}
        return {
            "champion": self.champion,
            "served": self.served,
            "alias": True,
            "switch": switch,
            "trouble": self.trouble,
        }

    def dataset(self) -> dict[str, Any]:
        part = {"rows": 10, "classes": {"negative": 4, "positive": 6}}
        names = {"name": "sample", "train_table": "sample_train", "test_table": "sample_test", "source": "sample"}
        columns = {"text_column": "text", "label_column": "label", "labels": ["negative", "positive"]}
        return {**names, **columns, "train": part, "test": part, "pending_events": 1}


class FakeModelEndpoint(Fake):
    """A replica that serves `version`."""

    def __init__(self, port: int) -> None:
        super().__init__(port)
        self.version = 4

    def answer(self, method: str, path: str, body: dict[str, Any]) -> Answer:
        self.answer_headers = {"X-Model-Version": str(self.version)}
        return 200, {"status": "ready"}
