"""What takes room, and what is removed of it, over HTTP."""

from itertools import islice
from typing import Any

from flask import Flask, Response, jsonify

from mlops_contract.errors import PlatformError
from training_endpoint.http import fields
from training_endpoint.upkeep import janitor, space
from training_endpoint.upkeep.janitor import Janitor, Pass

MOST_LISTED = 1_000


def install(app: Flask, cleaner: Janitor) -> None:
    """Adds the routes."""

    @app.get("/storage")
    def storage() -> Response:
        return jsonify(told(cleaner))

    @app.post("/clean")
    def clean() -> Response:
        fields.only()
        return jsonify(_shown(cleaner.clean()))


def told(cleaner: Janitor) -> dict[str, Any]:
    """{"places", "next": {"removals", "trouble"}, "last"}: room, what a clean-up removes now, what the last one did."""
    upcoming, trouble = [], ""
    try:
        upcoming = [str(removal) for removal in islice(janitor.planned(cleaner.settings), MOST_LISTED)]
    except PlatformError as error:
        trouble = error.message
    return {
        "places": space.places(cleaner.settings),
        "next": {"removals": upcoming, "trouble": trouble},
        "last": _shown(cleaner.last) if cleaner.last else None,
    }


def _shown(done: Pass) -> dict[str, Any]:
    return {"at": done.at.isoformat(), "removed": done.removed, "trouble": done.trouble}
