"""What the right answer was: an application tells it, and the training database takes it from there.

A replica may do no more than call one function of the database, which finds the answer in the log of predictions.
"""

import hmac
import threading
import time
from typing import Any

import psycopg
from flask import Flask, Response, jsonify, request

from mlops_contract.web import NotAuthorised
from model_endpoint.errors import (
    AlreadyDecided,
    FeedbackOff,
    InvalidInput,
    LogAway,
    Overloaded,
    SeveralAnswers,
    UnknownLabel,
    UnknownRequest,
)
from model_endpoint.incoming import body
from model_endpoint.predict import DAMAGE, parse_object, whole_number
from model_endpoint.prediction_log import connect
from model_endpoint.request_id import USABLE
from model_endpoint.server import Server

AT_A_TIME = 4
# An answer comes into the log a moment after it was given.
PATIENCE_SECONDS = 3.0
LOOK_SECONDS = 0.3
MOST_LABEL_CHARACTERS = 1000
TAKE = "SELECT outcome, detail FROM prediction_log.take_feedback(%s, %s, %s, %s)"

_at_a_time = threading.Semaphore(AT_A_TIME)


def install(app: Flask, server: Server) -> None:
    """Adds the route; below /classifiers/NAME/ it takes what is said of that classifier alone."""
    settings = server.settings

    @app.post("/feedback")
    def feedback() -> tuple[Response, int]:
        given = request.headers.get("Authorization", "").encode()
        known = hmac.compare_digest(given, f"Bearer {settings.feedback_token}".encode())
        if not settings.feedback_token or not known:
            raise NotAuthorised("Send the header 'Authorization: Bearer …' with FEEDBACK_TOKEN from .env.")
        if not server.log.on:
            raise FeedbackOff("Nothing is logged here (PREDICTION_LOG is off), so there is no answer to speak of.")
        request_id, label, index = _asked(parse_object(body(), {"request_id", "label", "index"}))
        outcome, detail = _take(settings.database_url, request_id, index, label, server.classifier)
        if outcome == "unknown":
            share = ", or it is not in the share that is kept (PREDICTION_LOG_SHARE)"
            raise UnknownRequest(
                f"No answer with the id {request_id!r} is in the log of predictions: send an answer's X-Request-Id. "
                f"Perhaps it is older than PREDICTION_LOG_DAYS{share if settings.prediction_log_share < 1 else ''}."
            )
        if outcome == "several":
            raise SeveralAnswers(
                f"Different texts were asked under the id {request_id!r}: use an id for one request alone."
            )
        if outcome == "classifiers":
            raise SeveralAnswers(
                f"Several classifiers answered under the id {request_id!r} ({detail}): send it to "
                "/classifiers/NAME/feedback of the one that is meant."
            )
        if outcome == "no_place" and index is None:
            raise InvalidInput(f'That request had {detail} texts: say with "index" which is meant, from 0.')
        if outcome == "no_place":
            raise InvalidInput(f"That request had {detail} texts, counted from 0: there is no index {index}.")
        if outcome == "no_label":
            raise UnknownLabel(f"{label[:60]!r} is no label of that classifier: there are {detail}.")
        if outcome == "decided":
            raise AlreadyDecided(
                f"That answer was labelled {detail!r} before, which is decided: change its row by SQL."
            )
        return jsonify({"request_id": request_id, "label": label, "known": outcome == "known"}), 202


def _asked(found: dict[str, Any]) -> tuple[str, str, int | None]:
    request_id, label, index = found.get("request_id"), found.get("label"), found.get("index")
    if not isinstance(request_id, str) or not USABLE.fullmatch(request_id):
        raise InvalidInput('"request_id" must be the X-Request-Id of an answer.')
    usable = isinstance(label, str) and label.strip() and len(label) <= MOST_LABEL_CHARACTERS
    if not isinstance(label, str) or not usable or DAMAGE.search(label):
        raise InvalidInput('"label" must be a text: the right label.')
    place = whole_number(index, least=0)
    if index is not None and (place is None or place >= 1 << 31):
        raise InvalidInput('"index" must be a whole number from 0: which text of the request is meant.')
    return request_id, label.strip(), place


def _take(url: str, request_id: str, index: int | None, label: str, classifier: str | None) -> tuple[str, str]:
    """The database's word and its detail; waits a moment for an answer that is not in the log yet."""
    if not _at_a_time.acquire(timeout=PATIENCE_SECONDS):
        raise Overloaded("Too much feedback comes at a time; send it again later.")
    deadline = time.monotonic() + PATIENCE_SECONDS
    try:
        with connect(url) as connection:
            while True:
                outcome, detail = connection.execute(TAKE, [request_id, index, label, classifier]).fetchone() or (
                    "",
                    "",
                )
                if outcome != "unknown" or time.monotonic() > deadline:
                    return outcome, detail
                time.sleep(LOOK_SECONDS)
    except psycopg.Error as error:
        first = (str(error).strip().splitlines() or ["no detail"])[0]
        raise LogAway(f"The training database does not take it now ({first}): send it again later.") from error
    finally:
        _at_a_time.release()
