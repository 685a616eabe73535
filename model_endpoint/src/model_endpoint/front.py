"""What stands in front of Flask: every answer's headers and numbers, and a short way for the one busy route."""

import io
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from werkzeug.wsgi import ClosingIterator

from model_endpoint.metrics import Metrics
from model_endpoint.replica import Replica
from model_endpoint.slot import Loaded

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

EXCHANGE = "model_endpoint.exchange"


@dataclass
class Exchange:
    """What is known of one request: who answered it, and what to call once the answer has been sent."""

    leases: list[Callable[[], None]] = field(default_factory=list)
    loaded: Loaded | None = None
    endpoint: str = ""
    error: Exception | None = None


class Answers:
    """Around the application: every answer says which replica and model gave it, and is counted.

    It calls each request's leases when its answer has been sent, and not before.
    """

    def __init__(self, application: "WSGIApplication", replica: Replica, metrics: Metrics) -> None:
        self.application = application
        self.replica = replica
        self.metrics = metrics

    def __call__(self, environ: "WSGIEnvironment", start_response: "StartResponse") -> Iterable[bytes]:
        start = time.perf_counter()
        exchange = environ[EXCHANGE] = Exchange()

        def begin(status: str, headers: list[tuple[str, str]], error: Any = None) -> Callable[[bytes], object]:
            headers += self._headers(exchange.loaded or self.replica.slot.current, status)
            endpoint = exchange.endpoint or environ["werkzeug.request"].endpoint or "unknown"
            self.metrics.answered(endpoint, status[:3], time.perf_counter() - start)
            return start_response(status, headers, error)

        return ClosingIterator(self.application(environ, begin), exchange.leases)

    def _headers(self, loaded: Loaded | None, status: str) -> list[tuple[str, str]]:
        headers = [("X-Replica", self.replica.settings.replica)]
        if loaded:
            headers.append(("X-Model-Version", str(loaded.version.version)))
            headers.append(("X-Model-Run-Id", loaded.version.run_id))
        if status.startswith("503"):
            headers.append(("Retry-After", "1"))
        return headers


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
        if not plain or not length.isdecimal() or int(length) > self.max_body:
            return None
        body = environ["wsgi.input"].read(int(length))
        environ["wsgi.input"] = io.BytesIO(body)
        try:
            return self.answer(body, environ[EXCHANGE])
        except Exception as error:
            environ[EXCHANGE].error = error
            return None
