"""What only the platform may call: all but the metrics with its token."""

from flask import Flask, Response, jsonify, send_file

from mlops_contract.voucher import DIGEST, Voucher
from mlops_contract.web import require_token
from model_endpoint.errors import InvalidInput, NoSuchFile
from model_endpoint.incoming import body
from model_endpoint.predict import parse_object
from model_endpoint.server import Server


def install(app: Flask, server: Server) -> None:
    """Adds the routes."""
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
        return jsonify({**replica.describe(), "trouble": server.joiner.trouble, "log": server.log.describe()})

    @app.get("/metrics")
    def metrics() -> Response:
        return Response(server.metrics.text(), mimetype="text/plain; version=0.0.4")
