"""nginx in front of real replicas."""

import gzip
import os
import signal
import socket
import ssl
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import requests

from tests import training
from tests.integration.model_endpoint.conftest import Registered
from tests.integration.model_endpoint.stack import TOKEN, Serving
from tests.listening import listening
from tests.services import wait_until
from training_endpoint.console.traffic import Traffic, quantile
from training_endpoint.console.tries import MOST
from training_endpoint.http.api import create_app

Fleet = Callable[..., Serving]
TEXT = {"input": "A film to love."}


@pytest.fixture
def two(fleet: Fleet, registered: Registered, exported: list[Path]) -> Iterator[Serving]:
    serving = fleet(2)
    serving.start()
    serving.switch(registered.add(exported[1]))
    yield serving


def test_what_is_public_and_what_is_not(two: Serving) -> None:
    door = two.door()
    replicas = {requests.post(f"{door}/predict", json=TEXT, timeout=5).headers["X-Replica"] for _ in range(8)}
    assert len(replicas) == 2
    for path in (
        "/",
        "/ready",
        "/health",
        "/openapi.json",
        "/champion",
        "/ping",
        "/version",
        "/v2",
        "/v2/health/ready",
    ):
        assert requests.get(f"{door}{path}", timeout=5).ok, path
    token = {"Authorization": f"Bearer {TOKEN}"}
    hidden = ("/change_model", "/models", "/models/commit", "/metrics", "//models", "/%6dodels", "/v2/../models", "/x")
    for path in hidden:
        for method in ("GET", "POST"):
            request = requests.Request(method, door, headers=token).prepare()
            request.url = f"{door}{path}"
            with requests.Session() as session:
                answer = session.send(request, timeout=5)
            assert answer.status_code == 404 and "not_found" in answer.text, path


def test_every_answer_says_its_requests_id(two: Serving) -> None:
    door = two.door(NGINX_RATE="1r/m", NGINX_BURST="9")
    asked = [("/predict", 200), ("/predict?", 200), ("/champion", 405), ("/metrics", 404), ("/v2/models/no/infer", 404)]
    for path, status in asked:
        answer = requests.post(f"{door}{path}", json=TEXT, headers={"X-Request-Id": "mine:1"}, timeout=5)
        assert (answer.status_code, answer.headers["X-Request-Id"]) == (status, "mine:1"), path
    answer = requests.post(f"{door}/feedback", json={"request_id": "mine:1", "label": "x"}, timeout=5)
    assert (answer.status_code, answer.json()["error"]["code"]) == (401, "not_authorised"), "it got to a replica"
    large = requests.post(f"{door}/predict", data="a" * 100_000, headers={"X-Request-Id": "mine:2"}, timeout=5)
    assert (large.status_code, large.headers["X-Request-Id"]) == (413, "mine:2")
    for given in ("a b", "a" * 129):
        answer = requests.post(f"{door}/predict", json=TEXT, headers={"X-Request-Id": given}, timeout=5)
        assert len(answer.headers["X-Request-Id"]) == 32
    made = {requests.post(f"{door}/predict", json=TEXT, timeout=5).headers["X-Request-Id"] for _ in range(8)}
    assert len(made) == 8, "those that were refused for coming too often too"


def test_the_doors_own_errors_are_json(two: Serving) -> None:
    door = two.door(NGINX_RATE="1r/m", NGINX_BURST="3")
    large = requests.post(f"{door}/predict", json={"input": "a" * 100_000}, timeout=5)
    assert large.status_code == 413 and "64k" in large.json()["error"]["message"]
    with socket.create_connection(("127.0.0.1", int(door.rpartition(":")[2])), 5) as raw:
        raw.sendall(b"nonsense\r\n\r\n")
        assert b'"bad_request"' in raw.recv(4096)
    answers = [requests.get(f"{door}/health", timeout=5) for _ in range(6)]
    refused = [answer for answer in answers if answer.status_code == 429]
    assert refused and refused[0].json()["error"]["code"] == "too_many_requests"
    assert refused[0].headers["Retry-After"] == "1"


def refuses(port: int) -> bool:
    """Whether nothing listens there."""
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) != 0


def test_a_replica_that_dies_is_not_noticed(two: Serving) -> None:
    door = two.door()
    worker = two.replicas[0].worker
    two.replicas[0].process.kill()
    os.kill(worker, signal.SIGKILL)
    # What it was asked when it died is lost, and not repeated: it may be what killed it.
    wait_until("it is gone", lambda: refuses(two.replicas[0].port), 10, 0.02)
    answers = [requests.post(f"{door}/predict", json=TEXT, timeout=5) for _ in range(20)]
    assert {answer.status_code for answer in answers} == {200}
    assert {answer.headers["X-Replica"].rpartition(":")[2] for answer in answers} == {str(two.replicas[1].port)}


def test_a_replica_without_a_model_is_passed_over(two: Serving) -> None:
    two.add(1)
    door = two.door()
    two.variables["MODEL_NAME"] = "nobody-registered-this"
    two.variables["MODEL_ENDPOINTS"] = f"127.0.0.1:{two.replicas[2].port}"
    two.start(two.replicas[2])
    answers = [requests.post(f"{door}/predict", json=TEXT, timeout=5) for _ in range(20)]
    assert {answer.status_code for answer in answers} == {200}


def test_where_no_replica_has_a_model_each_answer_says_so(two: Serving) -> None:
    for replica in two.replicas:
        assert replica.ask("/models/classifiers", names=["new"], default="", notes={}).ok
    door = two.door()
    for _ in range(6):
        for method, path in (("POST", "predict"), ("GET", "ping")):
            answer = requests.request(method, f"{door}/classifiers/new/{path}", json=TEXT, timeout=10)
            assert (answer.status_code, answer.json()["error"]["code"]) == (503, "no_model"), answer.text
        assert requests.post(f"{door}/predict", json=TEXT, timeout=10).ok, "the others are not hurt"


def test_without_any_replica_the_answer_says_what_to_do(fleet: Fleet) -> None:
    door = fleet(1).door()
    answer = requests.post(f"{door}/predict", json=TEXT, timeout=5)
    assert answer.status_code == 503 and answer.headers["Retry-After"] == "1"
    assert "run the pipeline" in answer.json()["error"]["message"]


def test_the_console_is_reached_by_reading_alone(two: Serving, tmp_path: Path) -> None:
    variables = {
        "BIND_ADDRESS": "0.0.0.0",
        "CONSOLE_PASSWORD": "for people alone",
        "NGINX_EXTRA_HOSTS": "ml.example.org",
    }
    public, own = (create_app(training.settings("", tmp_path, **given)) for given in (variables, {}))
    with listening(public) as address:
        door = two.door(NGINX_CONSOLE=address, NGINX_CORS_ORIGINS="*")
        elsewhere = {"Origin": "https://evil.example"}
        for path in ("", "/", "/state", "/console.js"):
            asked = requests.get(f"{door}/console{path}", headers=elsewhere, timeout=5, allow_redirects=False)
            assert asked.status_code == 401 and "Access-Control-Allow-Origin" not in asked.headers, path
            assert asked.headers["X-Request-Id"] and asked.headers["WWW-Authenticate"].startswith("Basic ")
        account = ("admin", "for people alone")
        page = requests.get(f"{door}/console", headers={"Host": "ml.example.org"}, auth=account, timeout=5)
        assert page.status_code == 200 and "<h1>Console</h1>" in page.text and "unsafe" not in str(page.headers)
        assert requests.get(f"{door}/console/", headers={"Host": "evil.example"}, timeout=5).status_code == 403
        for method in ("POST", "PUT", "DELETE", "OPTIONS"):
            assert requests.request(method, f"{door}/console/state", auth=account, timeout=5).status_code == 405
        for hidden in (
            "/console/../train",
            "/console/%2e%2e/history",
            "/consoles",
            "//train",
            "/history/../console/",
            "/storage",
            "/release",
        ):
            request = requests.Request("GET", door, headers={"Authorization": f"Bearer {TOKEN}"}).prepare()
            request.url = f"{door}{hidden}"
            with requests.Session() as session:
                assert session.send(request, timeout=5).status_code == 404, hidden
        assert requests.post(f"{door}/predict", json=TEXT, timeout=5).ok, "predictions want no account"
    down = requests.get(f"{door}/console/", timeout=5)
    assert down.status_code == 503 and down.json()["error"]["code"] == "no_console"
    with listening(own) as address:
        door = two.door(NGINX_CONSOLE=address)
        assert requests.get(f"{door}/console/", timeout=5).status_code == 200, "on this machine"
        before = {"X-Forwarded-For": "203.0.113.9"}
        assert requests.get(f"{door}/console/", headers=before, timeout=5).status_code == 401, "a proxy before nginx"


def test_people_log_in_through_the_door(two: Serving, tmp_path: Path) -> None:
    """On this machine too; nginx says whose tries they are, and hands on the cookie and no other call."""
    password = "for people alone"
    with listening(create_app(training.settings("", tmp_path, CONSOLE_PASSWORD=password))) as address:
        door = two.door(NGINX_CONSOLE=address)
        session = requests.Session()
        told = session.post(f"{door}/console/login", json={"name": "anna", "password": password}, timeout=5).json()
        assert session.get(f"{door}/console/session", timeout=5).json() == told and told["person"]["name"] == "anna"
        assert session.get(f"{door}/console/label", timeout=5).status_code == 200
        csrf = {"csrf": told["person"]["csrf"]}
        asked = session.post(f"{door}/console/label/next", json=csrf, timeout=10)
        assert asked.json()["error"]["code"] == "database_unavailable", "it came as far as that"
        for path in ("label", "label/", "state", "label/next/x", "label/NEXT", "logins", "label/label.js"):
            assert session.post(f"{door}/console/{path}", json=csrf, timeout=5).status_code == 405, path
        for method in ("PUT", "DELETE", "PATCH", "OPTIONS"):
            assert session.request(method, f"{door}/console/login", timeout=5).status_code == 405
        for number in range(MOST):
            made_up = {"X-Forwarded-For": f"198.51.100.{number}"}
            wrong = requests.post(
                f"{door}/console/login", json={"name": "x", "password": "x"}, headers=made_up, timeout=5
            )
            assert wrong.status_code == 401
        right = {"name": "anna", "password": password}
        assert requests.post(f"{door}/console/login", json=right, timeout=5).status_code == 429


def test_the_console_counts_what_replicas_answer(two: Serving, tmp_path: Path) -> None:
    door = two.door()
    endpoints = ",".join(f"127.0.0.1:{one.port}" for one in two.replicas)
    traffic = Traffic(training.settings("", tmp_path, MODEL_ENDPOINTS=endpoints))
    traffic.look()
    for body in (*[TEXT] * 9, {"input": "  "}):
        requests.post(f"{door}/predict", json=body, timeout=5)
    requests.get(f"{door}/champion", timeout=5)
    traffic.look()
    (point,) = traffic.points
    assert (point.model, point.requests, point.failed) == (two.name, 10, 1)
    assert sum(point.slots.values()) == 10 and (quantile(point.slots, 0.5) or 9) < 5


def test_large_answers_are_compressed(two: Serving) -> None:
    door = two.door()
    answer = requests.post(
        f"{door}/predict", json={"input": ["A film to love."] * 100}, headers={"Accept-Encoding": "gzip"},
        timeout=20, stream=True,
    )  # fmt: skip
    assert answer.headers["Content-Encoding"] == "gzip"
    assert gzip.decompress(answer.raw.read()).startswith(b'{"predictions"')


def test_https_with_the_users_certificate(two: Serving, tmp_path: Path) -> None:
    certificate, key = tmp_path / "certificate.pem", tmp_path / "key.pem"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=localhost",
         "-addext", "subjectAltName=IP:127.0.0.1", "-keyout", key, "-out", certificate],
        check=True, capture_output=True,
    )  # fmt: skip
    listen = f"listen 127.0.0.1:PORT ssl; ssl_certificate {certificate}; ssl_certificate_key {key};"
    door = two.door(NGINX_LISTEN=listen)
    answer = requests.post(f"{door}/predict", json=TEXT, timeout=5, verify=str(certificate))
    assert answer.ok and answer.json()["model"]["version"] == "1"
    plain = requests.get(door.replace("https", "http") + "/health", timeout=5)
    assert plain.status_code == 400 and plain.json()["error"]["code"] == "https_only"
    context = ssl.create_default_context(cafile=str(certificate))
    port = int(door.rpartition(":")[2])
    with (
        socket.create_connection(("127.0.0.1", port), 5) as raw,
        context.wrap_socket(raw, server_hostname="127.0.0.1") as secured,
    ):
        assert secured.version() in ("TLSv1.2", "TLSv1.3")


def test_a_replica_that_comes_back_is_used_again(two: Serving) -> None:
    door = two.door()
    first = two.replicas[0]
    first.process.terminate()
    first.process.wait(20)
    assert requests.post(f"{door}/predict", json=TEXT, timeout=5).ok
    two.start(first)
    wait_until(
        "both answer",
        lambda: requests.post(f"{door}/predict", json=TEXT, timeout=5).headers["X-Replica"].endswith(str(first.port)),
        20,
    )
