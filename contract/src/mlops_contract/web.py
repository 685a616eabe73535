"""What the Flask services share: JSON errors without tracebacks, the door's names, the platform's token."""

import json
from collections.abc import Iterable
from typing import TYPE_CHECKING

from flask import Flask, Response, jsonify, request
from werkzeug.exceptions import HTTPException

from mlops_contract.errors import PlatformError, may_pass
from mlops_contract.hosts import Hosts
from mlops_contract.tokens import Tokens

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment


class NotAuthorised(PlatformError):
    """The platform's token is missing or wrong."""

    status = 401
    code = "not_authorised"


def error_response(status: int, code: str, message: str, passes: bool | None = None) -> Response:
    """The one shape that errors have; `passes`: the same call may succeed later; None: as the status says."""
    passes = may_pass(status) if passes is None else passes
    response = jsonify({"error": {"code": code, "message": message, "passes": passes}})
    response.status_code = status
    return response


def install_errors(app: Flask) -> None:
    """Answers every error of `app` as JSON; unexpected ones are logged and answered without detail."""

    def known(error: PlatformError) -> Response:
        return error_response(error.status, error.code, error.message, error.passes)

    def http(error: HTTPException) -> Response:
        code = (error.name or "error").lower().replace(" ", "_")
        response = error_response(error.code or 500, code, error.description or error.name)
        allowed = getattr(error, "valid_methods", None)
        if allowed:
            response.headers["Allow"] = ", ".join(sorted(allowed))
        return response

    def unexpected(error: Exception) -> Response:
        app.logger.exception("unexpected error in %s %s", request.method, request.path)
        return error_response(500, "internal", "Something went wrong here; the service's log has the details.")

    app.register_error_handler(PlatformError, known)
    app.register_error_handler(HTTPException, http)
    app.register_error_handler(Exception, unexpected)


def require_token(tokens: Tokens) -> None:
    """Refuses the current request unless it carries `Authorization: Bearer TOKEN`."""
    if not tokens.accept(request.headers.get("Authorization", "")):
        raise NotAuthorised("Send the header 'Authorization: Bearer …' with PLATFORM_TOKEN from .env.")


class OwnNames:
    """Around an application: refuses requests for names that are not this door's. `setting` is where more are named."""

    def __init__(self, application: "WSGIApplication", hosts: Hosts, setting: str) -> None:
        self.application = application
        self.hosts = hosts
        self.setting = setting

    def __call__(self, environ: "WSGIEnvironment", start_response: "StartResponse") -> Iterable[bytes]:
        if self.hosts.know(environ.get("HTTP_HOST", "")):
            return self.application(environ, start_response)
        message = f"This door does not go by the name of the Host header: {self.setting} in .env can add it."
        body = json.dumps({"error": {"code": "unknown_host", "message": message}}).encode()
        headers = [("Content-Type", "application/json"), ("Content-Length", str(len(body)))]
        start_response("403 Forbidden", headers)
        return [body]
