"""Labelling over HTTP, for whoever is logged in, and a person's word on feedback."""

from collections.abc import Callable, Mapping
from typing import Any

from flask import Blueprint, Response, jsonify, request

from training_endpoint.console import view
from training_endpoint.console.sessions import Session
from training_endpoint.data import classifiers
from training_endpoint.data.classifiers import Classifier
from training_endpoint.errors import InvalidOverride
from training_endpoint.http import feedback as reviews
from training_endpoint.http import fields
from training_endpoint.labelling import classes, items, pick
from training_endpoint.labelling.items import REASONS, Item, Reason
from training_endpoint.monitor import feedback
from training_endpoint.settings import Settings

MOST_NAME = 60
MOST_LABEL = 200
MOST_NOTES = 20
"""Of feedback that waits for a person, at a time."""
MOST_ID = (1 << 63) - 1


def install(people: Blueprint, settings: Settings, mine: Callable[[], Session]) -> None:
    """Adds the routes to those that want a session; `mine` is that of the request."""
    url = settings.database_url

    @people.get("/label/classifiers")
    def listed() -> Response:
        return jsonify(classifiers=[one.name for one in classifiers.live(url)][: view.MOST_CLASSIFIERS])

    @people.post("/label/next")
    def following() -> Response:
        asked = fields.only("csrf", "classifier", "kind")
        classifier, kind = classifiers.get(url, _named(asked)), asked.get("kind", "all")
        if kind not in ("all", *REASONS):
            raise InvalidOverride(f"kind must be all, {', '.join(REASONS)}.")
        shares: Mapping[Reason, float] = pick.shares(settings) if kind == "all" else {kind: 1}
        person = mine().person
        item = items.take(url, classifier.name, person, shares)
        counts = items.counts(url, classifier.name, person)
        note = None if item else pick.why_nothing(settings, classifier, counts)
        return jsonify(item=item and _shown(url, classifier, item), counts=counts, note=note)

    @people.post("/label/submit")
    def submit() -> Response:
        asked = fields.only("csrf", "id", "label", "new", "sure")
        item = items.get(url, _id(asked))
        names = classes.known(url, classifiers.get(url, item.classifier), item)
        label = asked.get("label")
        if label not in names:
            label = fields.text(asked, "label", MOST_LABEL)
            classes.check(label, names, new=_flag(asked, "new"), sure=_flag(asked, "sure"))
        assert isinstance(label, str)  # noqa: S101 - names are texts
        labelled = items.submit(url, item.id, label, mine().person)
        return jsonify(id=labelled.id, label=labelled.label)

    @people.post("/label/skip")
    def skip() -> Response:
        return jsonify(id=items.skip(url, _id(fields.only("csrf", "id")), mine().person).id)

    @people.post("/label/undo")
    def undo() -> Response:
        item = items.undo(url, _id(fields.only("csrf", "id")), mine().person)
        return jsonify(item=_shown(url, classifiers.get(url, item.classifier), item))

    @people.get("/label/hint")
    def hint() -> Response:
        item = items.get(url, fields.limit("id", 0, 999_999_999))
        return jsonify(
            label=item.champion_label,
            version=item.champion_version,
            scores=item.champion_scores,
            given=item.given_label,
        )

    @people.get("/label/notes")
    def notes() -> Response:
        if settings.feedback_at_once:
            return jsonify(notes=[])
        classifier = classifiers.get(url, request.args.get("classifier"))
        found = [row for name in classifier.names for row in feedback.newest(url, name, "waiting", MOST_NOTES)]
        return jsonify(notes=[reviews.shown(row) for row in found[:MOST_NOTES]])

    @people.post("/label/review")
    def review() -> Response:
        return jsonify(reviews.decided(settings, fields.only("csrf", "accept", "refuse")))


def _named(asked: dict[str, Any]) -> str | None:
    return None if asked.get("classifier") is None else fields.text(asked, "classifier", MOST_NAME)


def _shown(url: str, classifier: Classifier, item: Item) -> dict[str, Any]:
    """What the page has of a text: nothing that says why it was chosen, or what the model takes it for."""
    return {"id": item.id, "text": item.text, "labels": classes.known(url, classifier, item)}


def _id(asked: dict[str, Any]) -> int:
    return fields.whole(asked, "id", MOST_ID)


def _flag(asked: dict[str, Any], name: str) -> bool:
    value = asked.get(name, False)
    if not isinstance(value, bool):
        raise InvalidOverride(f"{name} must be true or false.")
    return value
