"""The HTTP side: takes requests, writes them into the queue, reads it back. Training itself happens elsewhere."""

from collections.abc import Callable
from pathlib import Path

from flask import Flask, Response, jsonify, request
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from werkzeug.exceptions import MethodNotAllowed

from mlops_contract.web import install_errors, require_token
from training_endpoint.console import door
from training_endpoint.console import routes as console
from training_endpoint.console.traffic import Traffic
from training_endpoint.console.tries import Tries
from training_endpoint.data import classifiers, importer
from training_endpoint.errors import InvalidOverride
from training_endpoint.http import classifiers as described
from training_endpoint.http import feedback, fields, labelling, metrics, monitor, release, shadow, storage
from training_endpoint.http.classifiers import named
from training_endpoint.jobs.queue import Jobs, view
from training_endpoint.learn.hyperparameters import Hyperparameters
from training_endpoint.monitor.watch import Watch
from training_endpoint.release import peers
from training_endpoint.release.desk import Desk
from training_endpoint.release.followers import Followers
from training_endpoint.settings import Settings
from training_endpoint.upkeep.janitor import Janitor

MAX_RUN_ID = 250
MAX_LISTED = 1_000
MAX_BODY_BYTES = 64 * 1024


def create_app(
    settings: Settings,
    desk: Desk | None = None,
    janitor: Janitor | None = None,
    watch: Watch | None = None,
    traffic: Traffic | None = None,
    wake: Callable[[], object] = lambda: None,
) -> Flask:
    """The application; it connects to nothing before the first request needs it, and calls `wake` for a new job."""
    desk = desk or Desk(settings, Followers(settings))
    janitor, watch = janitor or Janitor(settings), watch or Watch(settings)
    tries = Tries()
    app = Flask(__name__, static_folder=None)
    app.config["MAX_CONTENT_LENGTH"] = MAX_BODY_BYTES
    install_errors(app)
    app.wsgi_app = door.Names(app.wsgi_app, settings)  # type: ignore[method-assign]
    description = (Path(__file__).parent / "openapi.json").read_text()
    jobs = Jobs(settings.database_url)
    registry = metrics.registry(jobs, janitor)

    @app.before_request
    def only_the_platform_changes_anything() -> None:
        nothing_to_do = isinstance(request.routing_exception, MethodNotAllowed)
        if request.blueprint is not None:  # the console asks by itself
            return
        if request.method not in ("GET", "HEAD", "OPTIONS") and not nothing_to_do:
            require_token(settings.platform_token)
        else:
            door.let_read(settings, tries)

    @app.get("/health")
    def health() -> Response:
        return jsonify(status="ok")

    @app.get("/ready")
    def ready() -> Response:
        jobs.counts()
        peers.check_mlflow(settings)
        return jsonify(status="ready", trouble=desk.reconciler.trouble)

    @app.get("/metrics")
    def prometheus() -> Response:
        return Response(generate_latest(registry), content_type=CONTENT_TYPE_LATEST)

    @app.get("/openapi.json")
    def openapi() -> Response:
        return Response(description, mimetype="application/json")

    @app.post("/datasets")
    def import_dataset() -> tuple[Response, int]:
        asked = fields.only("dataset", "text_column", "label_column", "encoding", "replace")
        anew = asked.pop("replace", False)
        if not isinstance(anew, bool):
            raise InvalidOverride("replace must be true or false.")
        wanted = {name: fields.text(asked, name, 1_000) for name in asked if asked[name] is not None}
        known = {one.name for one in classifiers.all_of_them(settings.database_url)}
        dataset = importer.import_dataset(settings, **wanted, anew=anew, anywhere=False, progress=app.logger.info)
        return jsonify(dataset), 200 if dataset["name"] in known and not anew else 201

    @app.post("/train")
    def train() -> tuple[Response, int, dict[str, str]]:
        asked = fields.body()
        run_id = fields.text(asked, "run_id", MAX_RUN_ID)
        overrides = {name: value for name, value in asked.items() if name not in ("run_id", "classifier")}
        Hyperparameters.from_request(overrides, Hyperparameters.defaults(settings))
        name = getattr(named(settings, asked), "name", None)  # None: the job says that there is none
        job, created = jobs.submit(run_id, overrides, settings.max_queued_jobs, name)
        wake()
        return jsonify(view(job)), 202 if created else 200, {"Location": f"/train/{job['job_id']}"}

    @app.get("/train")
    def list_jobs() -> Response:
        return jsonify(jobs=[view(job) for job in jobs.newest(fields.limit("limit", 100, MAX_LISTED))])

    @app.get("/train/<job_id>")
    def get_job(job_id: str) -> Response:
        return jsonify(view(jobs.get(fields.job_id(job_id))))

    @app.delete("/train/<job_id>")
    def cancel_job(job_id: str) -> Response:
        return jsonify(view(jobs.cancel(fields.job_id(job_id))))

    described.install(app, desk)
    release.install(app, desk)
    storage.install(app, janitor)
    for notes in (feedback, labelling):
        notes.install(app, settings)
    monitor.install(app, watch, registry)
    shadow.install(app, settings, registry)
    console.install(app, desk, janitor, watch, traffic or Traffic(settings), tries)
    return app
