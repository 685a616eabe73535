"""The HTTP server of one replica."""

import json
from pathlib import Path
from typing import Any

from flask import Flask, Response, jsonify, request, send_file

from mlops_contract.hosts import Hosts
from mlops_contract.voucher import DIGEST, Voucher
from mlops_contract.web import OwnNames, install_errors, require_token
from model_endpoint.compression import plain
from model_endpoint.cores import Cores
from model_endpoint.errors import InvalidInput, NoSuchFile, WrongContentType
from model_endpoint.front import EXCHANGE, Answers, Exchange, Shortcut
from model_endpoint.joiner import Joiner
from model_endpoint.metrics import Metrics
from model_endpoint.predict import Answer, Predictor, parse_object, parse_top_k
from model_endpoint.replica import Replica
from model_endpoint.settings import Settings

HERE = Path(__file__).parent
# The page is one file: it loads nothing, asks only its own server, and nobody may frame it.
PAGE_POLICY = "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; connect-src 'self'; \
img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
# What everybody may read of what training wrote down about a version.
PUBLIC_TAGS = ("verdict", "verdict_text", "train_rows", "precision")
# Compact, keys in the order in which they stand.
JSON = json.JSONEncoder(separators=(",", ":"))


class Server:
    """The parts of a replica, joined together."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.metrics = Metrics()
        self.replica = Replica(settings, self.metrics)
        self.joiner = Joiner(self.replica)
        self.cores = Cores(settings.cores, self.replica.slot.check)
        self.predictor = Predictor(self.replica.slot, self.cores, settings)
        self.metrics.in_work.set_function(lambda: self.replica.slot.requests)
        self.metrics.queue.set_function(lambda: self.cores.waiting)

    def classify(self, texts: Any, exchange: Exchange) -> Answer:
        """The request's texts, classified; the answer's model goes into the headers."""
        answer = self.predictor.classify(texts, exchange.leases, exchange.wanted)
        self.metrics.texts.observe(len(texts))
        exchange.loaded = answer.loaded
        return answer

    def predict(self, body: bytes, exchange: Exchange) -> str:
        """What `POST /predict` answers to a body."""
        asked = parse_object(body, {"input", "top_k"})
        if "input" not in asked:
            raise InvalidInput('The field "input" is missing: a text or a list of texts.')
        top_k = parse_top_k(asked.get("top_k"))
        texts = asked["input"]
        answer = self.classify([texts] if isinstance(texts, str) else texts, exchange)
        predictions = [
            {"label": row[0][0], "score": row[0][1], "scores": dict(row)} | ({"truncated": True} if cut else {})
            for row, cut in zip(answer.ranked(top_k), answer.truncated, strict=True)
        ]
        return JSON.encode({"predictions": predictions, "model": model_of(answer.loaded.version)}) + "\n"

    def model(self) -> dict[str, Any] | None:
        """Who is served now, as answers name it."""
        loaded = self.replica.slot.current
        return model_of(loaded.version) if loaded else None


def model_of(version: Any) -> dict[str, Any]:
    """The part of an answer that names the model."""
    return {"name": version.name, "version": str(version.version), "run_id": version.run_id}


def payload() -> bytes:
    """The request's body, expanded where it is compressed."""
    most = request.max_content_length or 0
    return plain(request.get_data(), request.headers.get("Content-Encoding", ""), most)


def body() -> bytes:
    """The request's body, which must be said to be JSON."""
    if request.mimetype != "application/json":
        raise WrongContentType("Send JSON, with the header 'Content-Type: application/json'.")
    return payload()


def exchange() -> Exchange:
    """The current request's."""
    found: Exchange = request.environ[EXCHANGE]
    return found


def create_app(settings: Settings, server: Server | None = None) -> Flask:
    """The Flask application of a replica; nothing is loaded until `server.joiner` starts."""
    from model_endpoint import protocols  # noqa: PLC0415 - it needs what stands above

    app = Flask("model_endpoint")
    app.config["MAX_CONTENT_LENGTH"] = settings.max_body_bytes
    app.json.sort_keys = False  # type: ignore[attr-defined] # Flask's default provider has it
    app.json.compact = True  # type: ignore[attr-defined]
    server = server or Server(settings)
    install_errors(app)
    public(app, server)
    inside(app, server)
    protocols.install(app, server)
    short = Shortcut(app.wsgi_app, "/predict", settings.max_body_bytes, server.predict)
    answers = Answers(short, server.replica, server.metrics)
    hosts = Hosts(("nginx", "model-endpoint"), settings.extra_hosts)  # nginx hands the name on that it was asked by
    app.wsgi_app = OwnNames(answers, hosts, "NGINX_EXTRA_HOSTS")  # type: ignore[method-assign]
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
        return jsonify({"status": "up", "replica": server.settings.replica})

    @app.get("/ready")
    def ready() -> Response:
        told: dict[str, Any] = {"ready": replica.version is not None, "model": server.model()}
        if not told["ready"]:
            told["message"] = "No model is loaded yet: run the pipeline once, its first model becomes the Champion."
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


def inside(app: Flask, server: Server) -> None:
    """What only the platform may call: all but the metrics with its token."""
    replica = server.replica

    def asked(*numbers: str) -> tuple[list[int], str]:
        require_token(server.settings.token)
        found = parse_object(body(), {"version", "epoch", "leader"})
        for name in numbers:
            if not isinstance(found.get(name), int) or isinstance(found[name], bool) or found[name] < 1:
                raise InvalidInput(f'The field "{name}" must be a whole number from 1.')
        return [found[name] for name in numbers], str(found.get("leader", ""))

    @app.post("/models/prepare")
    def prepare() -> Response:
        require_token(server.settings.token)
        found = parse_object(body(), {"voucher"})
        serving = replica.prepare(Voucher.from_dict(found.get("voucher")))
        return jsonify({**replica.describe(), "serving": serving})

    @app.get("/models/files/<digest>")
    def file(digest: str) -> Response:
        require_token(server.settings.token)
        found = replica.store.blob(digest) if DIGEST.fullmatch(digest) else None
        if found is None:
            raise NoSuchFile("No file with this sha256 is here.")
        return send_file(found.resolve(), mimetype="application/octet-stream")

    @app.post("/models/withdraw")
    def withdraw() -> Response:
        (number,), _ = asked("version")
        replica.slot.withdraw(number)
        return jsonify(replica.describe())

    @app.post("/models/hold")
    def hold() -> Response:
        (number, epoch), leader = asked("version", "epoch")
        replica.slot.hold(number, epoch, leader)
        return jsonify(replica.describe())

    @app.post("/models/release")
    def release() -> Response:
        _, leader = asked("version", "epoch")
        replica.slot.release(leader)
        return jsonify(replica.describe())

    @app.post("/models/commit")
    def commit() -> Response:
        (number, epoch), leader = asked("version", "epoch")
        replica.commit(number, epoch, leader)
        return jsonify(replica.describe())

    @app.get("/models")
    def models() -> Response:
        require_token(server.settings.token)
        return jsonify({**replica.describe(), "trouble": server.joiner.trouble})

    @app.get("/metrics")
    def metrics() -> Response:
        return Response(server.metrics.text(), mimetype="text/plain; version=0.0.4")
