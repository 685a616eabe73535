import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest

from tests import training
from training_endpoint.jobs import slack

START = datetime(2026, 1, 1, tzinfo=UTC)


def job(**changes: Any) -> dict[str, Any]:
    return {
        "job_id": "j1",
        "run_id": "manual__1",
        "status": "succeeded",
        "verdict": "kept_no_difference",
        "model_version": 7,
        "mlflow_run_id": "abc",
        "error": None,
        "started_at": START,
        "finished_at": START + timedelta(seconds=84),
        "detail": {
            "verdict_text": "The difference is inside the noise.",
            "metrics": {"accuracy": 0.8912},
            "champion_metrics": {"accuracy": 0.89},
            "dataset": {"name": "films", "train_rows": 6920, "test_rows": 872},
        },
        **changes,
    }


@contextmanager
def receiver(status: int) -> Iterator[tuple[str, list[dict[str, Any]]]]:
    """A webhook that answers `status`; yields its URL and the messages that it got."""
    messages: list[dict[str, Any]] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            messages.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(status)
            self.end_headers()

        def log_message(self, format: str, *arguments: Any) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}/secret-path", messages
        finally:
            server.shutdown()
            thread.join()


def test_the_message_has_verdict_metrics_rows_duration_and_link(tmp_path: Path) -> None:
    with receiver(200) as (url, messages):
        slack.announce(training.settings("x", tmp_path, SLACK_URL=url, MLFLOW_PUBLIC_URL="http://mlflow:1/"), job())
    (message,) = messages
    for part in (
        "Champion kept: no real difference (version 7)",
        "The difference is inside the noise.",
        "accuracy: challenger 0.8912, Champion 0.8900",
        "6,920 train, 872 test",
        "Duration: 1 min 24 s",
        "<http://mlflow:1/#/runs/abc|",
    ):
        assert part in message["text"]


def test_a_failed_job_says_why(tmp_path: Path) -> None:
    with receiver(200) as (url, messages):
        failed = job(status="failed", verdict=None, error="No rows.", mlflow_run_id=None, detail={})
        slack.announce(training.settings("x", tmp_path, SLACK_URL=url), failed)
    assert "Training failed" in messages[0]["text"] and "No rows." in messages[0]["text"]


def test_a_failing_webhook_is_only_logged_and_its_secret_is_not(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with receiver(500) as (url, messages):
        slack.announce(training.settings("x", tmp_path, SLACK_URL=url), job())
    slack.announce(training.settings("x", tmp_path, SLACK_URL=url), job())
    assert len(messages) == 1
    assert caplog.text.count("was not delivered") == 2 and "secret-path" not in caplog.text


def test_no_webhook_no_message(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        "training_endpoint.release.peers.requests.post", lambda *arguments, **options: pytest.fail("something was sent")
    )
    slack.announce(training.settings("x", tmp_path), job())


def test_a_cancelled_job_is_no_news(tmp_path: Path) -> None:
    with receiver(200) as (url, messages):
        slack.announce(training.settings("x", tmp_path, SLACK_URL=url), job(status="cancelled", verdict=None))
    assert messages == []
