"""Feedback over HTTP: what came, and a person's word on it. It shows what users asked: reading wants the token too."""

from typing import Any

from flask import Flask, Response, jsonify, request

from mlops_contract.web import require_token
from training_endpoint.errors import AcceptedAndRefused, InvalidOverride
from training_endpoint.http import fields
from training_endpoint.monitor import feedback
from training_endpoint.settings import Settings

MOST = 1_000


def install(app: Flask, settings: Settings) -> None:
    """Adds the routes."""

    @app.get("/feedback")
    def listed() -> Response:
        require_token(settings.platform_token)
        state = request.args.get("state")
        if state not in (None, *feedback.STATES):
            raise InvalidOverride(f"state is {state[:20]!r}: it must be one of {', '.join(feedback.STATES)}.")
        found = feedback.newest(
            settings.database_url, _classifier(request.args.get("classifier")), state, fields.limit("limit", 100, MOST)
        )
        return jsonify(feedback=[shown(row) for row in found])

    @app.post("/feedback")
    def decide() -> Response:
        return jsonify(decided(settings, fields.only("accept", "refuse")))


def decided(settings: Settings, asked: dict[str, Any]) -> dict[str, list[int]]:
    """Carries out a person's word; tells which notes it reached."""
    accepted, refused = _ids(asked, "accept"), _ids(asked, "refuse")
    if set(accepted) & set(refused):
        raise AcceptedAndRefused("The same id is to be accepted and refused: choose one.")
    url = settings.database_url
    return {
        "accepted": feedback.decide(url, accepted, accept=True),
        "refused": feedback.decide(url, refused, accept=False),
    }


def _classifier(name: str | None) -> str | None:
    return None if name is None else fields.text({"classifier": name}, "classifier", 60)


def _ids(asked: dict[str, Any], name: str) -> list[int]:
    found = asked.get(name, [])
    if not isinstance(found, list) or len(found) > MOST:
        raise InvalidOverride(f"{name} must be a list of at most {MOST} ids of GET /feedback.")
    # In JSON 2.0 is the same number as 2.
    found = [int(one) if isinstance(one, float) and one.is_integer() else one for one in found]
    for one in found:
        if not isinstance(one, int) or isinstance(one, bool) or not 0 < one < 1 << 63:
            raise InvalidOverride(f"{name} must be a list of ids of GET /feedback, which are whole numbers from 1.")
    return found


def shown(row: dict[str, Any]) -> dict[str, Any]:
    """A note as GET /feedback shows it; times are ISO 8601."""
    times = {name: row[name].isoformat() if row[name] else None for name in ("at", "decided_at")}
    return {**row, **times}
