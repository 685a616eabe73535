"""How the service's process is run."""

from pathlib import Path

from tests import training
from training_endpoint.__main__ import Server


def test_a_running_job_has_its_promised_time_before_gunicorn_kills_all(tmp_path: Path) -> None:
    settings = training.settings("", tmp_path, CANCEL_GRACE_S="33")
    assert Server(settings).cfg.graceful_timeout > 5 + 33
