"""The console over HTTP: a page, its script and style, and what they show; what people do there is in `people`."""

from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path

from flask import Blueprint, Flask, Response, jsonify, redirect, request
from werkzeug.wrappers import Response as AnyResponse

from training_endpoint.console import door, people, picture, plots, view
from training_endpoint.console.sessions import COOKIE, Sessions
from training_endpoint.console.traffic import Traffic
from training_endpoint.console.tries import Tries
from training_endpoint.data import classifiers
from training_endpoint.data.classifiers import Classifier
from training_endpoint.http import fields, storage
from training_endpoint.monitor.watch import Watch
from training_endpoint.release.desk import Desk
from training_endpoint.upkeep.janitor import Janitor

HERE = Path(__file__).parent
FILES = {
    **{"page.html": "text/html", "console.css": "text/css", "console.js": "text/javascript"},
    "people.js": "text/javascript",
}
HEADERS = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    # No page of another origin, whatever it embeds, learns anything of it.
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-store",
}
MOST_HOURS = 168
MOST_ID = 999_999_999


def install(app: Flask, desk: Desk, janitor: Janitor, watch: Watch, traffic: Traffic, tries: Tries) -> None:
    """Adds the routes; each asks for the account where others than this machine's own people can come."""
    settings, url = desk.settings, desk.settings.database_url
    sessions = Sessions(settings.console_password, tries)
    files = {name: _read(name) for name in FILES}
    console = Blueprint("console", __name__, url_prefix=door.PATH)

    def file(name: str) -> Response:
        return Response(files[name], mimetype=FILES[name])

    def asked_for() -> Classifier:
        return classifiers.get(url, request.args.get("classifier"))

    @console.before_request
    def who() -> None:
        if sessions.find(request.cookies.get(COOKIE)) is None:
            door.log_in(settings, tries)

    @console.after_request
    def guarded(response: Response) -> Response:
        _guard(response)
        if response.status_code == 401:
            response.headers["WWW-Authenticate"] = 'Basic realm="console", charset="UTF-8"'
        return response

    @console.get("")
    def without_slash() -> AnyResponse:
        return redirect("console/", 308)

    @console.get("/")
    def page() -> Response:
        return file("page.html")

    @console.get("/console.css")
    def style() -> Response:
        return file("console.css")

    @console.get("/console.js")
    def script() -> Response:
        return file("console.js")

    @console.get("/people.js")
    def shared_script() -> Response:
        return file("people.js")

    @console.get("/state")
    def state() -> Response:
        return jsonify(
            now=datetime.now(UTC).isoformat(),
            classifiers=view.served(desk),
            alarms=[{"classifier": name, **asdict(alarm)} for (name, _), alarm in sorted(watch.alarms.items())],
            jobs=view.jobs(desk),
            # nginx alone says so, and it has the page to try a text too.
            door="X-Forwarded-Proto" in request.headers,
        )

    @console.get("/rows")
    def rows() -> Response:
        return jsonify(view.rows(url, asked_for()))

    @console.get("/ledger")
    def ledger() -> Response:
        before = fields.limit("before", 1, MOST_ID) if "before" in request.args else MOST_ID + 1
        return jsonify(view.ledger(url, asked_for(), before))

    @console.get("/plots")
    def drawn() -> Response:
        hours = fields.limit("hours", 24, MOST_HOURS)
        return jsonify(plots=plots.drawn(plots.Asked(settings, traffic, asked_for(), hours)))

    @console.get("/storage")
    def room() -> Response:
        return jsonify(storage.told(janitor))

    @console.get("/comparison/<name>/<version>")
    def comparison(name: str, version: str) -> Response:
        own = classifiers.get(url, name).settings(settings)
        response = Response(picture.comparison(own, version), mimetype="image/png")
        response.headers["Content-Disposition"] = "inline"
        return response

    app.register_blueprint(console)
    people.install(app, desk, sessions, _read, _guard)


def _read(name: str) -> str:
    return (HERE / name).read_text()


def _guard(response: Response) -> Response:
    response.headers.update(HEADERS)
    return response
