"""MLflow's application, without its assistant and with accounts that can only read."""

import base64
import os
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from tracking_server.settings import Settings

Scope = MutableMapping[str, Any]
Application = Callable[[Scope, Callable[[], Awaitable[Any]], Callable[[Any], Awaitable[None]]], Awaitable[None]]

# An agent that runs commands on the machine of the server is no part of this platform.
_ASSISTANT = "/mlflow/assistant"
_READING = ("GET", "HEAD", "OPTIONS")
_LOGIN_SECONDS = 60


def create() -> Application:
    """What uvicorn serves; the environment is that of `Settings`."""
    settings = Settings.from_env(os.environ)
    if not settings.auth:
        from mlflow.server.fastapi_app import app  # noqa: PLC0415 - importing it builds it

        return guarded(app, "")
    from mlflow.server import auth  # noqa: PLC0415 - importing it wants what only this case has

    from tracking_server import accounts  # noqa: PLC0415 - as above

    accounts.ensure(settings)
    auth.auth_config = auth.auth_config._replace(
        database_uri=settings.database_url,
        admin_username=settings.people[0],
        admin_password=settings.people[1],
        default_permission="READ",
        # A password is looked up once a minute: comparing its hash costs tens of milliseconds a request.
        auth_cache_ttl_seconds=_LOGIN_SECONDS,
    )
    return guarded(auth.create_app(), settings.serving[0])


def guarded(app: Application, reader: str) -> Application:
    """`app` without the assistant; the account `reader` may only read."""

    async def guard(scope: Scope, receive: Any, send: Any) -> None:
        if scope["type"] == "http":
            if _ASSISTANT in scope["path"]:
                return await _answer(send, 404, b"The assistant is switched off.")
            if reader and scope["method"] not in _READING and _user(scope) == reader:
                return await _answer(send, 403, b"This account may only read.")
        return await app(scope, receive, send)

    return guard


def _user(scope: Scope) -> str:
    for name, value in scope["headers"]:
        kind, _, credentials = value.partition(b" ")
        if name == b"authorization" and kind.lower() == b"basic":
            try:
                return base64.b64decode(credentials).partition(b":")[0].decode()
            except ValueError:
                return ""
    return ""


async def _answer(send: Any, status: int, words: bytes) -> None:
    headers = [(b"content-type", b"text/plain"), (b"content-length", str(len(words)).encode())]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": words})
