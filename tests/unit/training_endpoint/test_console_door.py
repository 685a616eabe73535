"""Who may look at the console: this machine's people, and whoever has the account."""

from pathlib import Path
from typing import Any

import pytest
from werkzeug.datastructures import Headers

from tests import training
from training_endpoint.console.door import login_wanted
from training_endpoint.http.api import create_app

PUBLIC = {"BIND_ADDRESS": "0.0.0.0", "CONSOLE_PASSWORD": "a long password: ä"}
RIGHT = ("admin", "a long password: ä")


def ask(tmp_path: Path, path: str = "/console/", headers: Any = None, auth: Any = None, **variables: str) -> Any:
    client = create_app(training.settings("", tmp_path, **variables)).test_client()
    return client.get(path, headers={"Host": "localhost:8000", **(headers or {})}, auth=auth)


@pytest.mark.parametrize("host", ["localhost:8000", "LOCALHOST", "127.0.0.1:8000", "127.8.9.1", "[::1]:8000"])
def test_on_this_machine_nobody_logs_in(tmp_path: Path, host: str) -> None:
    assert not login_wanted(training.settings("", tmp_path), host, Headers({"X-Forwarded-For": "172.18.0.1"}))
    assert ask(tmp_path, headers={"Host": host}).status_code == 200


@pytest.mark.parametrize(
    ("variables", "host", "headers"),
    [
        ({"BIND_ADDRESS": "0.0.0.0"}, "localhost", {}),
        ({"TRAINING_BIND_ADDRESS": "10.0.0.3"}, "localhost", {}),
        ({"BIND_ADDRESS": "::"}, "localhost", {}),
        ({}, "ml.example.org", {}),
        ({}, "10.0.0.3:8000", {}),
        ({}, "127.0.0.1.example.org", {}),
        ({}, "localhost.example.org", {}),
        ({}, "[not an address]", {}),
        ({}, "", {}),
        ({}, "localhost", {"X-Forwarded-For": "203.0.113.9, 172.18.0.1"}),
        ({}, "localhost", {"X-Forwarded-Host": "ml.example.org"}),
        ({}, "localhost", {"Via": "1.1 proxy"}),
    ],
)
def test_everybody_else_does(tmp_path: Path, variables: dict[str, str], host: str, headers: dict[str, str]) -> None:
    assert login_wanted(training.settings("", tmp_path, **variables), host, Headers(headers))


@pytest.mark.parametrize(
    "path", ["", "/", "/console.js", "/console.css", "/state", "/rows", "/ledger", "/plots", "/storage"]
)
def test_no_path_and_no_header_gets_around_the_login(tmp_path: Path, path: str) -> None:
    for given in (
        {},
        {"X-Forwarded-For": "127.0.0.1"},
        {"X-Forwarded-Host": "localhost", "Forwarded": "for=127.0.0.1;host=localhost"},
        {"X-Real-IP": "127.0.0.1", "X-Original-URL": "/health"},
        {"Authorization": "Bearer secret"},
        {"Authorization": "Basic !"},
    ):
        answer = ask(tmp_path, f"/console{path}", given, **PUBLIC)
        assert answer.status_code == 401 and answer.headers["WWW-Authenticate"].startswith("Basic"), given
        assert "CONSOLE_PASSWORD" in answer.json["error"]["message"]


def test_the_account_opens_it_and_no_other_does(tmp_path: Path) -> None:
    assert ask(tmp_path, auth=RIGHT, **PUBLIC).status_code == 200
    for wrong in (("admin", ""), ("admin", RIGHT[1] + "x"), ("root", RIGHT[1]), ("", RIGHT[1])):
        assert ask(tmp_path, auth=wrong, **PUBLIC).status_code == 401
    for nobody in (("admin", ""), ("", "")):
        assert ask(tmp_path, auth=nobody, BIND_ADDRESS="0.0.0.0").status_code == 401, "there is no password"


READ = [
    "/train",
    "/history",
    "/release",
    "/storage",
    "/metrics",
    "/classifiers",
    "/datasets/current",
    "/monitor",
    "/ready",
]


@pytest.mark.parametrize("path", READ)
def test_a_training_endpoint_that_others_reach_tells_them_nothing(tmp_path: Path, path: str) -> None:
    opened = {**PUBLIC, "BIND_ADDRESS": "127.0.0.1", "TRAINING_BIND_ADDRESS": "0.0.0.0"}
    for given in ({}, {"Host": "127.0.0.1"}, {"X-Forwarded-For": "127.0.0.1"}, {"Authorization": "Bearer other"}):
        answer = ask(tmp_path, path, given, **opened)
        assert answer.status_code == 401 and "CONSOLE_PASSWORD" in answer.json["error"]["message"]
    assert ask(tmp_path, path, auth=RIGHT, **opened).status_code != 401
    assert ask(tmp_path, path, {"Authorization": "Bearer secret"}, **opened).status_code != 401
    assert ask(tmp_path, path, **PUBLIC).status_code != 401, "the public door leads to the console alone"
    for known in ("/health", "/openapi.json"):
        assert ask(tmp_path, known, **opened).status_code == 200


def test_the_doors_names_are_the_consoles_and_nothing_elses(tmp_path: Path) -> None:
    named = {"NGINX_EXTRA_HOSTS": "ml.example.org", **PUBLIC}
    host = {"Host": "ml.example.org"}
    assert ask(tmp_path, headers=host, auth=RIGHT, **named).status_code == 200
    for path in ("/health", "/train", "/consoles", "/history"):
        assert ask(tmp_path, path, host, **named).status_code == 403
    other = ask(tmp_path, headers={"Host": "evil.example"}, auth=RIGHT, **named)
    assert other.status_code == 403 and "NGINX_EXTRA_HOSTS" in other.json["error"]["message"]


def test_no_other_page_may_use_what_it_answers(tmp_path: Path) -> None:
    for path in ("/console/", "/console/console.js", "/console/state"):
        answer = ask(tmp_path, path, {"Origin": "https://evil.example"})
        policy = answer.headers["Content-Security-Policy"]
        assert "default-src 'none'" in policy and "frame-ancestors 'none'" in policy and "unsafe" not in policy
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
        assert answer.headers["Cross-Origin-Resource-Policy"] == "same-origin"
        assert answer.headers["Cache-Control"] == "no-store"
        assert "Access-Control-Allow-Origin" not in answer.headers


def test_the_page_makes_no_markup_of_what_it_is_told() -> None:
    import training_endpoint.console as room

    script = (Path(str(room.__file__)).parent / "console.js").read_text()
    for way in (
        "innerHTML =",
        "outerHTML",
        "insertAdjacentHTML",
        "document.write",
        "eval(",
        "srcdoc",
        'setAttribute("on',
    ):
        assert way not in script
    page = (Path(str(room.__file__)).parent / "page.html").read_text()
    assert "style=" not in page and "<style" not in page and "://" not in page
