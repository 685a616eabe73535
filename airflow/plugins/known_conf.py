"""Refuses a run of the pipeline whose conf has a name that the pipeline does not know, before there is a run.

Airflow checks what stands under a declared name and passes over every other one: `{"epochs": 1}`, which belongs under
`training`, would train with the defaults.
"""

import json
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from airflow.plugins_manager import AirflowPlugin

PATH = "/api/v2/dags/machine-learning-training-pipeline/dagRuns"
# What a person may give, and what the relay says of the change that started the run.
KNOWN = ("training", "classifier", "tables", "events", "rows", "newest_event")

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]


def unknown_names(body: bytes) -> list[str]:
    """The names in a request's conf that mean nothing here; what is no such request is Airflow's to refuse."""
    try:
        conf = json.loads(body).get("conf")
    except (ValueError, AttributeError, RecursionError):
        return []
    return sorted(set(conf) - set(KNOWN)) if isinstance(conf, dict) else []


class KnownConf:
    """ASGI middleware around Airflow's API server."""

    def __init__(self, app: Callable[[Message, Receive, Send], Awaitable[None]]) -> None:
        self.app = app

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        """Reads the body of a request for a run, answers 400, or hands it on as it came."""
        asked = scope["type"] == "http" and scope["method"] == "POST" and scope["path"].rstrip("/").endswith(PATH)
        if not asked:
            await self.app(scope, receive, send)
            return
        messages = [await receive()]
        while messages[-1].get("more_body"):
            messages.append(await receive())
        names = unknown_names(b"".join(message.get("body", b"") for message in messages))
        if not names:

            async def again() -> Message:
                return messages.pop(0) if messages else await receive()

            await self.app(scope, again, send)
            return
        detail = f"conf has {', '.join(map(repr, names))}: it takes {', '.join(KNOWN)}; overrides stand under training."
        text = json.dumps({"detail": detail}).encode()
        headers = [(b"content-type", b"application/json"), (b"content-length", str(len(text)).encode())]
        await send({"type": "http.response.start", "status": 400, "headers": headers})
        await send({"type": "http.response.body", "body": text})


class KnownConfPlugin(AirflowPlugin):
    """Where Airflow finds it."""

    name = "known_conf"
    fastapi_root_middlewares = [{"middleware": KnownConf, "args": [], "kwargs": {}, "name": "known conf"}]  # noqa: RUF012
