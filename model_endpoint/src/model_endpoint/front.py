"""What stands in front of Flask: every answer's headers and numbers, and a short way for the one busy route."""

import io
import json
import logging
import re
import select
import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from werkzeug.wsgi import ClosingIterator

from mlops_contract.errors import PlatformError
from model_endpoint import request_id
from model_endpoint.errors import NobodyWaits, Overloaded, tame
from model_endpoint.metrics import Metrics
from model_endpoint.replica import Replica
from model_endpoint.slot import Loaded

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

log = logging.getLogger(__name__)

METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "CONNECT", "TRACE"})
PREDICTING = frozenset({"predict", "invocations", "infer", "text_classification"})
"""The endpoints that answer predictions."""
EXCHANGE = "model_endpoint.exchange"
# So many requests with large bodies are read at a time: what they hold of the memory is bounded, and others wait.
LARGE_BYTES = 256 * 1024
LARGE_AT_A_TIME = 8
# What is left of a request is read, a piece at a time, for so long.
READ_OUT_BYTES = 64 * 1024
READ_OUT_SECONDS = 5
# What nginx does with an answer that has it: it asks another replica.
ASK_ANOTHER = ("X-Accel-Redirect", "@another")
# What a page of another origin may read of an answer, and send.
READABLE = f"X-Model-Version, X-Model-Run-Id, X-Replica, {request_id.HEADER}, Retry-After"
SENDABLE = f"Content-Type, Content-Encoding, Inference-Header-Content-Length, {request_id.HEADER}"


@dataclass
class Exchange:
    """What is known of one request: who answered it, and what to call once the answer has been sent."""

    leases: list[Callable[[], None]] = field(default_factory=list)
    loaded: Loaded | None = None
    endpoint: str = ""
    error: Exception | None = None
    socket: Any = None
    request_id: str = ""
    inferred: tuple[float, float] | None = None
    """When the model began and ended, by time.perf_counter()."""
    met_model: bool = False
    """A request that a model has met is not sent to the next replica."""

    def wanted(self) -> None:
        """Raises NobodyWaits when the client has closed the connection."""
        if self.socket is not None:
            look = select.poll()
            look.register(self.socket, select.POLLRDHUP)
            if look.poll(0):
                raise NobodyWaits("The client has gone.")


class WholeRequests:
    """Around everything: no answer is sent before its request has been read to the end, however early it was clear.

    Else the connection ends while nginx is still sending. It takes such a replica for a broken one, and asks it no more
    for a while: large bodies in the wrong place would shut the door to everybody.
    """

    def __init__(self, application: "WSGIApplication") -> None:
        self.application = application

    def __call__(self, environ: "WSGIEnvironment", start_response: "StartResponse") -> Iterable[bytes]:
        body, deadline = environ["wsgi.input"], time.monotonic() + READ_OUT_SECONDS
        answer = self.application(environ, start_response)
        try:
            # Where the server does not say that it ends, as in tests, reading on would wait for the client to go.
            while environ.get("wsgi.input_terminated") and time.monotonic() < deadline and body.read(READ_OUT_BYTES):
                pass
        except Exception as error:  # no body that can be read: gunicorn closes the connection
            log.debug("the rest of a request: %s", error)
        return answer


class Answers:
    """Around the application: every answer says which replica and model gave it, and is counted.

    It calls each request's leases when its answer has been sent, and not before. Nothing that the application raises
    ends the thread, but what asks it to end.
    """

    def __init__(self, application: "WSGIApplication", replica: Replica, metrics: Metrics) -> None:
        self.application = application
        self.replica = replica
        self.metrics = metrics
        self.origins = frozenset(replica.settings.cors_origins)
        self.large = threading.Semaphore(LARGE_AT_A_TIME)

    def __call__(self, environ: "WSGIEnvironment", start_response: "StartResponse") -> Iterable[bytes]:
        start = time.perf_counter()
        exchange = environ[EXCHANGE] = Exchange(
            socket=environ.get("gunicorn.socket"), request_id=environ.get(request_id.GIVEN, "")
        )

        def begin(status: str, headers: list[tuple[str, str]], error: Any = None) -> Callable[[bytes], object]:
            headers += self._headers(exchange.loaded or self.replica.slot.current, status, exchange.met_model)
            if self.origins:
                headers += self._sharing(environ)
            endpoint = exchange.endpoint or environ["werkzeug.request"].endpoint or "unknown"
            self._count(environ, exchange, endpoint, status[:3], start)
            return start_response(status, headers, error)

        try:
            self._admit(environ, exchange)
            return ClosingIterator(self.application(environ, begin), exchange.leases)
        except BaseException as error:
            for lease in exchange.leases:
                lease()
            known = tame(error)
            if not isinstance(known, PlatformError):
                raise
            log.error("%s %s: %s", environ["REQUEST_METHOD"], environ["PATH_INFO"], known.message)
            exchange.endpoint = exchange.endpoint or "unknown"
            sent = json.dumps({"error": {"code": known.code, "message": known.message}}).encode()
            begin(f"{known.status} ERROR", [("Content-Type", "application/json"), ("Content-Length", str(len(sent)))])
            return [sent]

    def _count(self, environ: "WSGIEnvironment", exchange: Exchange, endpoint: str, status: str, start: float) -> None:
        now = time.perf_counter()
        self.metrics.answered(endpoint, status, now - start)
        loaded = exchange.loaded or self.replica.slot.current
        model = (loaded.version.name, str(loaded.version.version)) if loaded else ("", "")
        rule = getattr(environ.get("werkzeug.request"), "url_rule", None)
        # Not the path, of which there are as many as callers think of; methods too are anybody's words.
        route = (
            f"/{exchange.endpoint}"
            if exchange.endpoint
            else re.sub(r"<(?:\w+:)?(\w+)>", r"{\1}", rule.rule if rule else "")
        )
        method = environ["REQUEST_METHOD"] if environ["REQUEST_METHOD"] in METHODS else "_OTHER"
        self.metrics.known.answered(method, route, status, model, now - start)
        if endpoint in PREDICTING and method == "POST":
            began = exchange.inferred
            good = began is not None and status < "400"
            self.metrics.known.inferred(
                model, (began[0] - start, began[1] - began[0], now - began[1]) if good and began else None
            )

    def _admit(self, environ: "WSGIEnvironment", exchange: Exchange) -> None:
        """Waits until a large body may be read; Overloaded when that takes too long."""
        length = environ.get("CONTENT_LENGTH") or "0"
        known = (
            length.isdecimal() and "HTTP_CONTENT_ENCODING" not in environ and "HTTP_TRANSFER_ENCODING" not in environ
        )
        if known and int(length) < LARGE_BYTES:
            return
        if not self.large.acquire(timeout=self.replica.settings.answer_seconds):
            raise Overloaded("Too many large requests are in work here; try again later.")
        exchange.leases.append(self.large.release)

    def _headers(self, loaded: Loaded | None, status: str, met_model: bool) -> list[tuple[str, str]]:
        headers = [("X-Replica", self.replica.settings.replica)]
        if loaded:
            headers.append(("X-Model-Version", str(loaded.version.version)))
            headers.append(("X-Model-Run-Id", loaded.version.run_id))
        if status.startswith("503") and not self.replica.ready and not met_model:
            headers.append(ASK_ANOTHER)
        if status.startswith("503"):
            headers.append(("Retry-After", "1"))
        return headers

    def _sharing(self, environ: "WSGIEnvironment") -> list[tuple[str, str]]:
        """What lets the pages of MODEL_CORS_ORIGINS read the answer."""
        origin = environ.get("HTTP_ORIGIN", "")
        if not origin or not self.origins & {origin, "*"}:
            return [("Vary", "Origin")]
        headers = [("Access-Control-Allow-Origin", "*" if "*" in self.origins else origin), ("Vary", "Origin")]
        if "HTTP_ACCESS_CONTROL_REQUEST_METHOD" in environ:
            headers += [
                ("Access-Control-Allow-Methods", "GET, POST"),
                ("Access-Control-Allow-Headers", SENDABLE),
                ("Access-Control-Max-Age", "600"),
            ]
        return [*headers, ("Access-Control-Expose-Headers", READABLE)]


class Shortcut:
    """Answers `POST path` with what `answer` makes of the body, without Flask, which takes longer than all the rest.

    Only the plain case: whatever is unusual is left to Flask, and so is the error of what goes wrong, to be worded.
    """

    def __init__(
        self, application: "WSGIApplication", path: str, max_body: int, answer: Callable[[bytes, Exchange], str]
    ) -> None:
        self.application = application
        self.path = path
        self.max_body = max_body
        self.answer = answer

    def __call__(self, environ: "WSGIEnvironment", start_response: "StartResponse") -> Iterable[bytes]:
        text = self._text(environ) if environ["PATH_INFO"] == self.path else None
        if text is None:
            return self.application(environ, start_response)
        environ[EXCHANGE].endpoint = self.path[1:]
        sent = text.encode()
        start_response("200 OK", [("Content-Type", "application/json"), ("Content-Length", str(len(sent)))])
        return [sent]

    def _text(self, environ: "WSGIEnvironment") -> str | None:
        length = environ.get("CONTENT_LENGTH", "")
        plain = environ["REQUEST_METHOD"] == "POST" and environ.get("CONTENT_TYPE") == "application/json"
        if not plain or not length.isdecimal() or int(length) > self.max_body or environ.get("HTTP_CONTENT_ENCODING"):
            return None
        body = environ["wsgi.input"].read(int(length))
        environ["wsgi.input"] = io.BytesIO(body)
        try:
            return self.answer(body, environ[EXCHANGE])
        except Exception as error:
            environ[EXCHANGE].error = error
            return None
