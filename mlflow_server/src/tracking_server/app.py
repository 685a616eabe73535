"""MLflow's application, without its assistant, with accounts that can only read, and with a word for a full disk."""

import os
from typing import Any

from cachetools import TTLCache

from tracking_server import purge
from tracking_server.asgi import Application, Scope, answer, credentials
from tracking_server.room import with_room
from tracking_server.settings import Settings

# An agent that runs commands on the machine of the server is no part of this platform.
_ASSISTANT = "/mlflow/assistant"
_READING = ("GET", "HEAD", "OPTIONS")
_LOGIN_SECONDS = 600


def create() -> Application:
    """What uvicorn serves; the environment is that of `Settings`."""
    settings = Settings.from_env(os.environ)
    purge.start(settings)
    if not settings.auth:
        from mlflow.server.fastapi_app import app  # noqa: PLC0415 - importing it builds it

        return guarded(with_room(app, settings), "")
    from mlflow.server import auth  # noqa: PLC0415 - importing it wants what only this case has

    from tracking_server import accounts  # noqa: PLC0415 - as above

    accounts.ensure(settings)
    auth.auth_config = auth.auth_config._replace(
        database_uri=settings.database_url,
        admin_username=settings.people[0],
        admin_password=settings.people[1],
        default_permission="READ",
    )
    # Comparing a password with its hash costs tens of milliseconds, twice a request: a busy machine would do nothing
    # else. MLflow makes this when it is imported, and forgets an account in it when its password changes.
    auth._USER_AUTH_CACHE = TTLCache(maxsize=1000, ttl=_LOGIN_SECONDS)
    return guarded(with_room(auth.create_app(), settings), settings.serving[0])


def guarded(app: Application, reader: str) -> Application:
    """`app` without the assistant; the account `reader` may only read."""

    async def guard(scope: Scope, receive: Any, send: Any) -> None:
        if scope["type"] == "http":
            if _ASSISTANT in scope["path"]:
                return await answer(send, 404, b"The assistant is switched off.")
            if reader and scope["method"] not in _READING and credentials(scope)[0] == reader:
                return await answer(send, 403, b"This account may only read.")
        return await app(scope, receive, send)

    return guard
