"""The HTTP application of one replica, and what everybody may call of it."""

from pathlib import Path
from typing import Any

from flask import Flask, Response, jsonify

from mlops_contract.hosts import Hosts
from mlops_contract.web import OwnNames, install_errors
from model_endpoint import feedback, inside, protocols
from model_endpoint.classifiers import Classifiers
from model_endpoint.classifiers import install as install_classifiers
from model_endpoint.front import Answers, Shortcut, WholeRequests
from model_endpoint.incoming import body, exchange
from model_endpoint.joiner import NOTHING_YET
from model_endpoint.request_id import Numbered
from model_endpoint.server import Server
from model_endpoint.settings import Settings

HERE = Path(__file__).parent
# The page is one file: it loads nothing, asks only its own server, and nobody may frame it.
PAGE_POLICY = "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; connect-src 'self'; \
img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
# What everybody may read of what training wrote down about a version.
PUBLIC_TAGS = ("verdict", "verdict_text", "train_rows", "precision")


def create_app(settings: Settings, server: Server | None = None) -> Flask:
    """The application of a replica; nothing is loaded until `server.joiner` and its classifiers start."""
    server = server or Server(settings)
    app = _application(server)
    classifiers = Classifiers(server, app.wsgi_app, lambda one: _application(one).wsgi_app)
    install_classifiers(app, classifiers)
    app.extensions["classifiers"] = classifiers
    server.classifier_of = classifiers.of_model
    hosts = Hosts(("nginx", "model-endpoint"), settings.extra_hosts)  # nginx hands the name on that it was asked by
    named = OwnNames(classifiers, hosts, "NGINX_EXTRA_HOSTS")
    app.wsgi_app = Numbered(WholeRequests(named))  # type: ignore[method-assign]
    return app


def _application(server: Server) -> Flask:
    """What answers for one classifier."""
    settings = server.settings
    app = Flask("model_endpoint")
    app.config["MAX_CONTENT_LENGTH"] = settings.max_body_bytes
    app.json.sort_keys = False  # type: ignore[attr-defined] # Flask's default provider has it
    app.json.compact = True  # type: ignore[attr-defined]
    install_errors(app)
    public(app, server)
    inside.install(app, server)
    protocols.install(app, server)
    feedback.install(app, server)
    short = Shortcut(app.wsgi_app, "/predict", settings.max_body_bytes, server.predict)
    app.wsgi_app = Answers(short, server.replica, server.metrics)  # type: ignore[method-assign]
    return app


def public(app: Flask, server: Server) -> None:
    """What everybody may call."""
    replica = server.replica
    page = (HERE / "page.html").read_text()
    description = (HERE / "openapi.json").read_text()

    @app.get("/")
    def index() -> Response:
        return Response(page, mimetype="text/html", headers={"Content-Security-Policy": PAGE_POLICY})

    @app.get("/openapi.json")
    def openapi() -> Response:
        return Response(description, mimetype="application/json")

    @app.post("/predict")
    def predict() -> Response:
        here = exchange()
        if here.error:  # of the short way, to be answered as every other
            raise here.error
        return Response(server.predict(body(), here), mimetype="application/json")

    @app.get("/health")
    def health() -> Response:
        up = replica.ready or (replica.version is None and server.joiner.trouble in ("", NOTHING_YET))
        response = jsonify({"status": "up" if up else "joining", "replica": server.settings.replica})
        response.status_code = 200 if up else 503
        return response

    @app.get("/ready")
    def ready() -> Response:
        told: dict[str, Any] = {"ready": replica.ready, "model": server.model()}
        if replica.version is None:
            told["message"] = "No model is loaded yet: run the pipeline once, its first model becomes the Champion."
        elif not told["ready"]:
            told["message"] = "This replica has just come back and asks what is served; try again in a second."
        response = jsonify(told)
        response.status_code = 200 if told["ready"] else 503
        return response

    @app.get("/champion")
    def champion() -> Response:
        loaded = replica.slot.current
        metrics = loaded.version.metrics if loaded else {}
        tags = {name: text for name, text in loaded.version.tags.items() if name in PUBLIC_TAGS} if loaded else {}
        labels = loaded.model.labels if loaded else []
        told = {"model": server.model(), "labels": labels, "metrics": metrics, "tags": tags}
        return jsonify({**told, "switches": replica.switches})
