"""The HTTP side: takes requests, writes them into the queue, reads it back. Training itself happens elsewhere."""

from typing import Any

from flask import Flask, Response, jsonify, request
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from mlops_contract.web import install_errors, require_token
from training_endpoint import database
from training_endpoint.data import importer
from training_endpoint.errors import InvalidOverride, InvalidRequest, NoDataset, WrongContentType
from training_endpoint.http import metrics
from training_endpoint.jobs.queue import Jobs, view
from training_endpoint.learn.hyperparameters import Hyperparameters
from training_endpoint.release import peers, promote
from training_endpoint.settings import Settings

MAX_RUN_ID = 250
MAX_REASON = 1_000
MAX_LISTED = 1_000
MAX_BODY_BYTES = 64 * 1024


def create_app(settings: Settings) -> Flask:
    """The application; it connects to nothing before the first request needs it."""
    app = Flask(__name__)
    app.config["MAX_CONTENT_LENGTH"] = MAX_BODY_BYTES
    install_errors(app)
    jobs = Jobs(settings.database_url)
    registry = metrics.registry(jobs)

    @app.get("/health")
    def health() -> Response:
        return jsonify(status="ok")

    @app.get("/ready")
    def ready() -> Response:
        jobs.counts()
        peers.check_mlflow(settings)
        return jsonify(status="ready")

    @app.get("/metrics")
    def prometheus() -> Response:
        return Response(generate_latest(registry), content_type=CONTENT_TYPE_LATEST)

    @app.post("/datasets")
    def import_dataset() -> tuple[Response, int]:
        fields = _fields("dataset", "text_column", "label_column")
        wanted = {name: _text(fields, name, 1_000) for name in fields if fields[name] is not None}
        with database.connect(settings.database_url) as connection:
            known = {row["name"] for row in connection.execute(database.query("dataset_names"))}
        dataset = importer.import_dataset(settings, progress=app.logger.info, **wanted)
        return jsonify(dataset), 200 if dataset["name"] in known else 201

    @app.get("/datasets/current")
    def current_dataset() -> Response:
        dataset = importer.current(settings.database_url)
        if dataset is None:
            raise NoDataset("No dataset has been imported: POST /datasets imports the one that DATASET names.")
        return jsonify(dataset)

    @app.post("/train")
    def train() -> tuple[Response, int, dict[str, str]]:
        fields = _body()
        run_id = _text(fields, "run_id", MAX_RUN_ID)
        overrides = {name: value for name, value in fields.items() if name != "run_id"}
        Hyperparameters.from_request(overrides, Hyperparameters.defaults(settings))
        job, created = jobs.submit(run_id, overrides)
        return jsonify(view(job)), 202 if created else 200, {"Location": f"/train/{job['job_id']}"}

    @app.get("/train")
    def list_jobs() -> Response:
        text = request.args.get("limit", "100")
        if not (text.isascii() and text.isdigit() and 1 <= int(text) <= MAX_LISTED):
            raise InvalidOverride(f"limit is {text[:20]!r}: it must be a whole number from 1 to {MAX_LISTED}.")
        return jsonify(jobs=[view(job) for job in jobs.newest(int(text))])

    @app.get("/train/<job_id>")
    def get_job(job_id: str) -> Response:
        return jsonify(view(jobs.get(job_id)))

    @app.delete("/train/<job_id>")
    def cancel_job(job_id: str) -> Response:
        return jsonify(view(jobs.cancel(job_id)))

    @app.post("/promote")
    def promote_version() -> Response:
        require_token(settings.platform_token)
        fields = _fields("version", "reason", "who")
        version = fields.get("version")
        if isinstance(version, str) and version.isascii() and version.isdigit():
            version = int(version[:10])
        if type(version) is not int or not 1 <= version < 2**31:
            raise InvalidOverride("version must be the whole number of a registered model version, from 1.")
        reason = _text(fields, "reason", MAX_REASON)
        who = _text(fields, "who", 200) if fields.get("who") is not None else "operator"
        return jsonify(promote.override(settings, version, reason, who))

    return app


def _body() -> dict[str, Any]:
    """The request's JSON object; {} for an empty body."""
    if request.mimetype != "application/json":
        raise WrongContentType("Send JSON with the header 'Content-Type: application/json'.")
    if not request.get_data():
        return {}
    body = request.get_json()
    if not isinstance(body, dict):
        raise InvalidRequest("The body must be a JSON object, such as {}.")
    return body


def _fields(*names: str) -> dict[str, Any]:
    """The body, with no other fields than `names`."""
    body = _body()
    for name in body:
        if name not in names:
            raise InvalidOverride(f"{name[:50]!r} is not a field of this request; it takes {', '.join(names)}.")
    return body


def _text(fields: dict[str, Any], name: str, longest: int) -> str:
    """The printable text of a field."""
    value = fields.get(name)
    if not isinstance(value, str) or not value.strip() or len(value) > longest or not value.isprintable():
        raise InvalidOverride(f"{name} must be text of 1 to {longest} printable characters.")
    return value.strip()
