"""What applications around MLflow's need of a request and for an answer."""

import base64
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

Scope = MutableMapping[str, Any]
Application = Callable[[Scope, Callable[[], Awaitable[Any]], Callable[[Any], Awaitable[None]]], Awaitable[None]]


def header(scope: Scope, name: bytes) -> bytes:
    """The first header of that name, in small letters; empty where there is none."""
    return next((bytes(value) for key, value in scope["headers"] if key == name), b"")


def credentials(scope: Scope) -> tuple[str, str]:
    """Name and password as the request gives them; both empty where it gives none."""
    kind, _, encoded = header(scope, b"authorization").partition(b" ")
    if kind.lower() != b"basic":
        return "", ""
    try:
        name, _, password = base64.b64decode(encoded).decode().partition(":")
    except ValueError:
        return "", ""
    return name, password


async def answer(send: Any, status: int, words: bytes, kind: bytes = b"text/plain") -> None:
    """A whole answer."""
    headers = [(b"content-type", kind), (b"content-length", str(len(words)).encode())]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": words})
