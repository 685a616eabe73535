"""Logging in to the console, and what wants it: to roll back, and to label (`labels`)."""

import logging
from collections.abc import Callable
from concurrent.futures import Future
from concurrent.futures import TimeoutError as NotYet
from contextlib import suppress
from functools import partial
from typing import Any

from flask import Blueprint, Flask, Response, jsonify, request

from training_endpoint import aside
from training_endpoint.console import door, labels
from training_endpoint.console.sessions import COOKIE, LASTS_S, Session, Sessions
from training_endpoint.console.tries import addresses
from training_endpoint.data import classifiers
from training_endpoint.errors import (
    ChampionChanged,
    DatabaseUnavailable,
    InvalidOverride,
    NotDecidedYet,
    NothingToDecide,
)
from training_endpoint.http import fields
from training_endpoint.labelling import items
from training_endpoint.release import ledger
from training_endpoint.release.desk import Desk

log = logging.getLogger(__name__)

MOST_NAME = 60
MOST_REASON = 1_000
MOST_ID = (1 << 31) - 1
OPEN = ("people.page", "people.session", "people.login")
"""What is seen before anybody has logged in."""
FILES = {
    "label.js": "text/javascript",
    "label.css": "text/css",
    "people.js": "text/javascript",
    "console.css": "text/css",
}
SWITCH_S = 8.0
"""So long a roll-back waits for the replicas; nginx gives an answer up after NGINX_REPLICA_TIMEOUT."""


def install(
    app: Flask, desk: Desk, sessions: Sessions, read: Callable[[str], str], guard: Callable[[Response], Response]
) -> None:
    """Adds the routes; `read` gives a file of this package, `guard` sets an answer's headers."""
    settings, url = desk.settings, desk.settings.database_url
    people = Blueprint("people", __name__, url_prefix=door.PATH)
    files = {name: read(name) for name in ("label.html", *FILES)}
    people.after_request(guard)
    seen_by_all = set(OPEN)

    def mine() -> Session:
        return sessions.get(request.cookies.get(COOKIE))

    @people.before_request
    def who() -> None:
        if request.endpoint in seen_by_all:
            return
        session = mine()
        if request.method not in ("GET", "HEAD", "OPTIONS"):
            session.check(fields.body().get("csrf"))

    @people.get("/label")
    def page() -> Response:
        return Response(files["label.html"], mimetype="text/html")

    def file(name: str) -> Response:
        return Response(files[name], mimetype=FILES[name])

    for name in FILES:
        endpoint = name.replace(".", "_")
        people.add_url_rule(f"/label/{name}", endpoint, partial(file, name))
        seen_by_all.add(f"people.{endpoint}")

    @people.get("/session")
    def session() -> Response:
        return jsonify(_told(sessions.find(request.cookies.get(COOKIE))))

    @people.post("/login")
    def login() -> Response:
        asked = fields.only("name", "password")
        name, password = fields.text(asked, "name", MOST_NAME), asked.get("password")
        if not isinstance(password, str) or len(password) > 1_000:
            raise InvalidOverride("password must be text: CONSOLE_PASSWORD of .env.")
        value, made = sessions.log_in(name, password, addresses())
        response = jsonify(_told(made))
        secure = request.headers.get("X-Forwarded-Proto") == "https"
        response.set_cookie(
            COOKIE, value, max_age=int(LASTS_S), path=door.PATH, httponly=True, samesite="Strict", secure=secure
        )
        return response

    @people.post("/logout")
    def logout() -> Response:
        fields.only("csrf")
        person = mine().person
        sessions.end(request.cookies.get(COOKIE))
        with suppress(DatabaseUnavailable):  # then the texts on the screen are free again when their time is over
            items.let_go(url, person)
        response = jsonify(_told(None))
        response.delete_cookie(COOKIE, path=door.PATH)
        return response

    _install_rollback(people, desk, mine)
    labels.install(people, settings, mine)
    app.register_blueprint(people)


def _install_rollback(people: Blueprint, desk: Desk, mine: Callable[[], Session]) -> None:
    url = desk.settings.database_url

    @people.post("/rollback")
    def rollback() -> tuple[Response, int]:
        asked = fields.only("csrf", "classifier", "version", "decision", "reason")
        own = desk.of(classifiers.get(url, fields.text(asked, "classifier", MOST_NAME)))
        version, decision = fields.whole(asked, "version", MOST_ID), fields.whole(asked, "decision", MOST_ID)
        reason, name = fields.text(asked, "reason", MOST_REASON), mine().name
        newest = ledger.newest(url, own.settings.model_name)
        if newest is None or newest.id != decision:
            raise ChampionChanged("Somebody has decided since you looked: look at the newest decision first.")
        if version not in ledger.champions(url, own.settings.model_name)[1:]:
            raise NothingToDecide(f"Version {version} was not the Champion before: choose one that was.")
        doing = aside.begun("rollback", partial(own.promote, version, name, reason, True, decision))
        try:
            return jsonify(doing.result(SWITCH_S)), 200
        except NotYet:
            doing.add_done_callback(_say_what_failed)
        state = own.state()
        if state["decision"]["id"] == decision:
            raise NotDecidedYet(
                f"Version {version} is not decided for yet: its files or the ledger keep that waiting. "
                "It may still be: look at the newest decision before you try again."
            )
        return jsonify(state), 202


def _say_what_failed(rollback: Future[dict[str, Any]]) -> None:
    """Nobody waits for it any more."""
    if not rollback.cancelled() and (error := rollback.exception()):
        log.error("a roll-back of the console failed: %s", error)


def _told(session: Session | None) -> dict[str, Any]:
    return {"person": session and {"name": session.name, "csrf": session.csrf}}
