"""The release desk over HTTP: what is served and why, and a person's decisions."""

import threading
from collections.abc import Mapping
from typing import Any

from flask import Flask, Response, jsonify, request

from training_endpoint.errors import InvalidOverride
from training_endpoint.http import fields
from training_endpoint.http.classifiers import named
from training_endpoint.release import ledger
from training_endpoint.release.desk import Desk, shown

MAX_REASON = 1_000
MAX_WHO = 200
MAX_WAIT_S = 60
MAX_LISTED = 1_000
MAX_WAITING = 6
"""So many may wait for a switch at a time; others are told the state at once, and threads are left for everybody."""


def install(app: Flask, desk: Desk) -> None:
    """Adds the routes; each speaks of the classifier that the request names, else of the default one."""
    settings = desk.settings
    waiting = threading.Semaphore(MAX_WAITING)

    def of(asked: Mapping[str, Any]) -> Desk:
        found = named(settings, asked)
        # Before there is any, nothing can have been decided but by hand, for the settings' own model.
        return desk.of(found) if found else desk

    @app.get("/release")
    def release() -> Response:
        wait = fields.limit("wait", 1, MAX_WAIT_S) if "wait" in request.args else 0
        own = of(request.args)
        if not wait or not waiting.acquire(blocking=False):
            return jsonify(own.state())
        try:
            return jsonify(own.wait(wait))
        finally:
            waiting.release()

    @app.get("/history")
    def history() -> Response:
        found = named(settings, request.args, retired=True)  # which keeps its history
        model_name = found.model if found else settings.model_name
        decisions = ledger.history(settings.database_url, model_name, fields.limit("limit", 20, MAX_LISTED))
        head = ledger.head(settings.database_url)
        return jsonify(
            decisions=[shown(one) for one in decisions], breaks=ledger.breaks(settings.database_url)[:10], **head
        )

    @app.post("/promote")
    def promote() -> Response:
        asked = fields.only("version", "reason", "who", "pin", "classifier")
        version = asked.get("version")
        if isinstance(version, str) and version.isascii() and version.isdigit():
            version = int(version[:10])
        if type(version) is not int or not 1 <= version < 2**31:
            raise InvalidOverride("version must be the whole number of a registered model version, from 1.")
        return jsonify(of(asked).promote(version, *_by(asked), _pin(asked, False)))

    @app.post("/rollback")
    def rollback() -> Response:
        asked = fields.only("reason", "who", "pin", "classifier")
        return jsonify(of(asked).roll_back(*_by(asked), _pin(asked, True)))

    @app.post("/unpin")
    def unpin() -> Response:
        asked = fields.only("reason", "who", "classifier")
        return jsonify(of(asked).unpin(*_by(asked)))


def _by(asked: dict[str, Any]) -> tuple[str, str]:
    """Who decides, and why."""
    who = fields.text(asked, "who", MAX_WHO) if asked.get("who") is not None else "operator"
    return who, fields.text(asked, "reason", MAX_REASON)


def _pin(asked: dict[str, Any], usual: bool) -> bool:
    pin = asked.get("pin", usual)
    if not isinstance(pin, bool):
        raise InvalidOverride("pin must be true or false.")
    return pin
