"""Every request has an id: the one that its X-Request-Id gives it, or a new one. Its answer says it."""

import re
import uuid
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

HEADER = "X-Request-Id"
GIVEN = "HTTP_X_REQUEST_ID"
# What UUIDs, ULIDs, trace ids and those of load balancers are made of; the door's template has the same.
USABLE = re.compile(r"[A-Za-z0-9._:/+=@~-]{1,128}", re.ASCII)


def make() -> str:
    """A new one."""
    return uuid.uuid4().hex


class Numbered:
    """Around everything: a request without an id, or with one that cannot be one, gets one here."""

    def __init__(self, application: "WSGIApplication") -> None:
        self.application = application

    def __call__(self, environ: "WSGIEnvironment", start_response: "StartResponse") -> Iterable[bytes]:
        known = environ.get(GIVEN, "")
        if not USABLE.fullmatch(known):
            known = environ[GIVEN] = make()

        def begin(status: str, headers: list[tuple[str, str]], error: Any = None) -> Callable[[bytes], object]:
            return start_response(status, [*headers, (HEADER, known)], error)

        return self.application(environ, begin)
