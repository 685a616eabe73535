"""Two replicas behind nginx, and the training endpoint on a real database: what the hostile tests are sent to."""

import os
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest
from werkzeug.serving import make_server

from tests import services, training
from tests.hostile import tally
from tests.integration.model_endpoint import models
from tests.integration.model_endpoint.stack import Serving, serving
from training_endpoint.http.api import create_app

TOKEN = "secret"


@pytest.fixture(scope="session")
def fleet(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Serving]:
    """Two replicas with a small real model, default settings."""
    home = tmp_path_factory.mktemp("hostile")
    folder = models.export(models.tiny(1), home / "model") / "serving"
    with serving("http://127.0.0.1:1", "text-classifier", home, 2, HOSTILE_MODEL=str(folder)) as fleet:
        fleet.module = "tests.hostile.served"
        fleet.start()
        yield fleet


@pytest.fixture(scope="session")
def door(fleet: Serving) -> str:
    """nginx in front of them, as it stands by default."""
    return fleet.door(NGINX_MAX_BODY="4m")


@pytest.fixture(scope="session")
def training_door(postgres_server: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The training endpoint with a dataset, and no runner: what is queued stays queued."""
    url = services.new_database(postgres_server, "hostile")
    services.apply_schema(url)
    training.dataset(url)
    settings = training.settings(url, tmp_path_factory.mktemp("state"), MAX_QUEUED_JOBS="1000")
    listener = make_server("127.0.0.1", 0, create_app(settings), threaded=True)
    thread = threading.Thread(target=listener.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{listener.port}"
    listener.shutdown()
    thread.join()
    listener.server_close()


def pytest_terminal_summary(terminalreporter: SimpleNamespace) -> None:
    if tally.kinds:
        terminalreporter.section("what was asked, and answered")
        for line in tally.table():
            terminalreporter.write_line(line)


def program(name: str) -> str:
    """A program of this environment."""
    return str(Path(sys.executable).parent / name)


ENVIRONMENT = {**os.environ, "NO_COLOR": "1", "HF_HUB_OFFLINE": "1"}
