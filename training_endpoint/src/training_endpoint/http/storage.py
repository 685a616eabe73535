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
    settings = cleaner.settings

    @app.get("/storage")
    def storage() -> Response:
        upcoming, trouble = [], ""
        try:
            upcoming = [str(removal) for removal in islice(janitor.planned(settings), MOST_LISTED)]
        except PlatformError as error:
            trouble = error.message
        return jsonify(
            places=space.places(settings),
            next={"removals": upcoming, "trouble": trouble},
            last=_shown(cleaner.last) if cleaner.last else None,
        )

    @app.post("/clean")
    def clean() -> Response:
        fields.only()
        return jsonify(_shown(cleaner.clean()))


def _shown(done: Pass) -> dict[str, Any]:
    return {"at": done.at.isoformat(), "removed": done.removed, "trouble": done.trouble}
