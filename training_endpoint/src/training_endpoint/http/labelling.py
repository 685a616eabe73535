"""The queue of what to label over HTTP, as files. It shows what users asked: reading wants the token too."""

from flask import Flask, Response, jsonify, request

from mlops_contract.web import require_token
from training_endpoint.data import classifiers
from training_endpoint.errors import InvalidOverride, WrongContentType
from training_endpoint.http import fields
from training_endpoint.http.classifiers import MAX_NAME
from training_endpoint.labelling import exchange, files
from training_endpoint.settings import Settings

MOST_BYTES = 16 << 20
MOST_ITEMS = 1_000_000
KINDS = {"text/csv": True, "application/json": False, "application/jsonl": False, "application/x-ndjson": False}
"""Content types of files: whether each is CSV."""
FORMATS = {
    "csv": (files.as_csv, "text/csv"),
    "jsonl": (files.as_jsonl, "application/jsonl"),
    "json": (files.as_json, "application/json"),
}


def install(app: Flask, settings: Settings) -> None:
    """Adds the routes."""

    @app.get("/labelling/export")
    def export() -> Response:
        require_token(settings.platform_token)
        written = request.args.get("format", "csv")
        if written not in FORMATS:
            raise InvalidOverride(f"format is {written[:20]!r}: it must be one of {', '.join(FORMATS)}.")
        most = fields.limit("limit", MOST_ITEMS, MOST_ITEMS) if "limit" in request.args else None
        classifier = classifiers.get(settings.database_url, _given("classifier", MAX_NAME) or None)
        write, kind = FORMATS[written]
        rows = exchange.waiting(settings.database_url, classifier.name, most)
        headers = {"Content-Disposition": f'attachment; filename="{classifier.name}-to-label.{written}"'}
        return Response(write(rows), content_type=f"{kind}; charset=utf-8", headers=headers)

    @app.post("/labelling/import")
    def imported() -> Response:
        kind = request.mimetype
        if kind not in KINDS:
            raise WrongContentType(f"Send the file with the header 'Content-Type: …', one of {', '.join(KINDS)}.")
        new = request.args.get("new", "false")
        if new not in ("true", "false"):
            raise InvalidOverride("new must be true or false.")
        column = _given("column", exchange.MOST_LABEL) or "label"
        who = _given("who", exchange.MOST_WHO) or "import"
        request.max_content_length = MOST_BYTES
        said = files.read(request.get_data(), column, of_csv=KINDS[kind])
        return jsonify(exchange.take(settings.database_url, said, who, new=new == "true"))


def _given(name: str, longest: int) -> str:
    """A field of the query string; empty where there is none."""
    return fields.text(dict(request.args), name, longest) if name in request.args else ""
