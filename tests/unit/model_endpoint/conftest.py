import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from flask.testing import FlaskClient
from werkzeug.serving import make_server

from model_endpoint.api import create_app
from tests.unit.model_endpoint import stub


@pytest.fixture
def client(tmp_path: Path) -> FlaskClient:
    """A client of a replica that serves version 7 and takes small requests only."""
    server = stub.server(tmp_path, MODEL_MAX_BODY_BYTES="20000", MODEL_MAX_TEXTS="20", MODEL_MAX_CHARACTERS="1000")
    return create_app(server.settings, server).test_client()


@pytest.fixture
def address(tmp_path: Path) -> Iterator[str]:
    """host:port of such a replica on a real socket, for clients that we did not write."""
    server = stub.server(tmp_path)
    listener = make_server("127.0.0.1", 0, create_app(server.settings, server), threaded=True)
    thread = threading.Thread(target=listener.serve_forever)
    thread.start()
    yield f"127.0.0.1:{listener.port}"
    listener.shutdown()
    thread.join()
    listener.server_close()
