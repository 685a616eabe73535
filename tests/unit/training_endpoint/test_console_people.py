"""Logging in to the console: the password, its tries, the cookie, and the token that changes want."""

import threading
import time
from pathlib import Path
from typing import Any

import pytest
from flask.testing import FlaskClient

from mlops_contract.errors import PlatformError
from tests import training
from training_endpoint.console import sessions, tries
from training_endpoint.console.sessions import Sessions
from training_endpoint.console.tries import Tries
from training_endpoint.http.api import create_app

PASSWORD = "for people alone: ä"
WRITES = ("logout", "rollback", "label/next", "label/submit", "label/skip", "label/undo")


@pytest.fixture
def client(tmp_path: Path) -> FlaskClient:
    """A browser that has been nowhere, and no database."""
    return create_app(training.settings("", tmp_path, CONSOLE_PASSWORD=PASSWORD)).test_client()


def told(client: FlaskClient) -> Any:
    """Who is logged in."""
    return client.get("/console/session").get_json()["person"]


def log_in(client: FlaskClient, password: str = PASSWORD, name: str = "anna", **headers: str) -> Any:
    return client.post("/console/login", json={"name": name, "password": password}, headers=headers)


def test_the_cookie_is_the_servers_alone(client: FlaskClient) -> None:
    cookie = log_in(client).headers["Set-Cookie"]
    assert {"HttpOnly", "SameSite=Strict", "Path=/console"} <= set(cookie.split("; ")) and "Secure" not in cookie
    assert "Secure" in log_in(client, **{"X-Forwarded-Proto": "https"}).headers["Set-Cookie"].split("; ")


def test_who_is_logged_in_is_known_until_he_leaves(client: FlaskClient) -> None:
    assert told(client) is None
    person = log_in(client).json["person"]
    assert told(client) == person and person["name"] == "anna"
    kept = client.get_cookie("console_session", path="/console")
    assert client.post("/console/logout", json={"csrf": person["csrf"]}).status_code == 200
    assert told(client) is None
    assert kept is not None
    client.set_cookie("console_session", kept.value, path="/console")
    assert told(client) is None, "a copy of the cookie is worth nothing"


@pytest.mark.parametrize("path", WRITES)
def test_nothing_changes_without_login_and_token(client: FlaskClient, path: str) -> None:
    """On this machine too, and whatever else is sent."""
    for headers in ({}, {"Authorization": "Bearer secret"}, {"Cookie": "console_session=x"}):
        answer = client.post(f"/console/{path}", json={"csrf": "x"}, headers=headers)
        assert (answer.status_code, answer.get_json()["error"]["code"]) == (401, "login_wanted")
        assert "WWW-Authenticate" not in answer.headers, "the page asks, not the browser"
    log_in(client)
    for body in ({}, {"csrf": ""}, {"csrf": 1}, {"csrf": "ä"}, {"csrf": None}):
        answer = client.post(f"/console/{path}", json=body)
        assert (answer.status_code, answer.get_json()["error"]["code"]) == (403, "wrong_token")
    token = told(client)["csrf"]
    as_a_form = client.post(f"/console/{path}", data=f'{{"csrf": "{token}"}}', content_type="text/plain")
    assert as_a_form.status_code == 415, "as a form of another page would send it"
    log_in(other := create_app(training.settings("", Path("/tmp"), CONSOLE_PASSWORD=PASSWORD)).test_client())
    assert other.post(f"/console/{path}", json={"csrf": token}).status_code == 403, "another's token"


def test_a_wrong_password_is_refused_and_not_tried_for_ever(client: FlaskClient) -> None:
    for _ in range(tries.MOST):
        answer = log_in(client, "wrong")
        assert (answer.status_code, answer.get_json()["error"]["code"]) == (401, "wrong_password")
        assert "Set-Cookie" not in answer.headers
    answer = log_in(client)
    assert (answer.status_code, answer.get_json()["error"]["code"]) == (429, "too_many_tries"), "not even the right one"


@pytest.mark.parametrize("path", ["/console/", "/train"])
def test_nor_is_it_where_the_browser_asks(tmp_path: Path, path: str) -> None:
    both = {"BIND_ADDRESS": "0.0.0.0", "TRAINING_BIND_ADDRESS": "0.0.0.0", "CONSOLE_PASSWORD": PASSWORD}
    client = create_app(training.settings("", tmp_path, **both)).test_client()
    for _ in range(5):
        assert client.get(path).status_code == 401, "who has not tried has not tried wrong"
    for number in range(tries.MOST):
        assert client.get(path, auth=("admin", f"wrong {number}")).status_code == 401
    assert client.get(path, auth=("admin", PASSWORD)).status_code == 429
    assert log_in(client).status_code == 429, "the same account by another way"
    assert client.get(path, headers={"Authorization": "Bearer secret"}).status_code == (401 if path[1] == "c" else 503)


def test_one_address_locks_no_other_out(client: FlaskClient) -> None:
    """nginx names whom it has before it, last; what stands before is anybody's."""
    for number in range(tries.MOST):
        log_in(client, "wrong", **{"X-Forwarded-For": f"198.51.100.{number}, 203.0.113.9"})
    assert log_in(client, **{"X-Forwarded-For": "10.1.1.1, 203.0.113.9"}).status_code == 429
    assert log_in(client, **{"X-Forwarded-For": "203.0.113.10"}).status_code == 200


def test_whoever_makes_addresses_up_is_stopped_too(client: FlaskClient) -> None:
    answers = [log_in(client, "wrong", **{"X-Forwarded-For": f"10.0.{n // 250}.{n % 250}"}) for n in range(201)]
    assert [one.status_code for one in answers] == [401] * 200 + [429]


def test_tries_are_forgotten_and_sessions_end(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [0.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    found = Sessions(PASSWORD, Tries())
    for _ in range(tries.MOST):
        with pytest.raises(PlatformError, match="is CONSOLE_PASSWORD"):
            found.log_in("anna", "wrong", (("here", tries.MOST),))
    with pytest.raises(PlatformError, match="in 10 minutes"):
        found.log_in("anna", PASSWORD, (("here", tries.MOST),))
    now[0] = tries.WITHIN_S + 1
    value, made = found.log_in("anna", PASSWORD, (("here", tries.MOST),))
    now[0] += sessions.LASTS_S - 1
    assert found.find(value) is made
    now[0] += 2
    assert found.find(value) is None, "a session that is used all the time ends too"


def test_without_a_password_nobody_can_log_in(tmp_path: Path) -> None:
    client = create_app(training.settings("", tmp_path)).test_client()
    for password in ("", "admin"):
        answer = log_in(client, password)
        assert answer.status_code == 401 and "sh launch.sh" in answer.get_json()["error"]["message"]


@pytest.mark.parametrize(
    "body", [{}, {"name": "anna"}, {"name": " ", "password": "x"}, {"name": "a\n", "password": 1}, {"name": 1}, []]
)
def test_a_wrong_login_says_what_is_wrong(client: FlaskClient, body: Any) -> None:
    answer = client.post("/console/login", json=body)
    assert 400 <= answer.status_code < 500 and answer.get_json()["error"]["message"]


def test_the_form_is_there_for_everybody_and_nothing_else_is(tmp_path: Path) -> None:
    public = training.settings("", tmp_path, BIND_ADDRESS="0.0.0.0", CONSOLE_PASSWORD=PASSWORD)
    client = create_app(public).test_client()
    for path in ("label", "label/label.js", "label/label.css", "label/people.js", "label/console.css", "session"):
        answer = client.get(f"/console/{path}")
        assert answer.status_code == 200 and "unsafe" not in answer.headers["Content-Security-Policy"], path
        assert answer.headers["Cache-Control"] == "no-store"
    for path in ("label/classifiers", "label/hint?id=1"):
        assert client.get(f"/console/{path}").status_code == 401
    assert client.get("/console/").status_code == 401
    log_in(client)
    assert client.get("/console/").status_code == 200, "who may change something may look"


def test_the_pages_make_no_markup_of_what_they_are_told() -> None:
    import training_endpoint.console as room

    for name in ("label.js", "people.js"):
        script = (Path(str(room.__file__)).parent / name).read_text()
        for way in (
            "innerHTML",
            "outerHTML",
            "insertAdjacentHTML",
            "document.write",
            "eval(",
            "srcdoc",
            'setAttribute("on',
        ):
            assert way not in script
    page = (Path(str(room.__file__)).parent / "label.html").read_text()
    assert "style=" not in page and "<style" not in page and "://" not in page


def test_a_strangers_tries_through_nginx_leave_the_machines_own_alone(client: FlaskClient) -> None:
    """Without containers both come from 127.0.0.1."""
    assert log_in(client, "wrong").status_code == 401
    for number in range(30):
        assert log_in(client, "wrong", **{"X-Forwarded-For": f"10.0.0.{number}"}).status_code == 401
    assert log_in(client).status_code == 200


def test_a_network_of_ipv6_is_one_address(client: FlaskClient) -> None:
    seen = [log_in(client, "wrong", **{"X-Forwarded-For": f"2001:db8::{n:x}"}).status_code for n in range(1, 13)]
    assert seen == [401] * 10 + [429] * 2
    assert log_in(client, **{"X-Forwarded-For": "2001:db8:0:1::1"}).status_code == 200


def test_tries_that_come_together_are_counted_one_by_one() -> None:
    made = Sessions(PASSWORD, Tries())
    seen: list[str] = []

    def attempt() -> None:
        try:
            made.log_in("anna", "wrong", (("here", 10),))
        except PlatformError as error:
            seen.append(error.code)

    together = [threading.Thread(target=attempt) for _ in range(16)]
    for one in together:
        one.start()
    for one in together:
        one.join()
    assert sorted(seen) == ["too_many_tries"] * 6 + ["wrong_password"] * 10
