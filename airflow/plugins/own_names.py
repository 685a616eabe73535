"""Airflow answers under its own names only, so that a web page cannot reach it under one of the page's own."""

import os
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from airflow.plugins_manager import AirflowPlugin
from ml_platform.settings import extra_hosts
from starlette.responses import JSONResponse

from mlops_contract.hosts import Hosts

Application = Callable[[MutableMapping[str, Any], Any, Any], Awaitable[None]]


class OwnNames:
    """Refuses requests whose Host header is not this door's."""

    def __init__(self, app: Application) -> None:
        self.app = app
        self.hosts = Hosts(("airflow-apiserver",), extra_hosts(os.environ))

    async def __call__(self, scope: MutableMapping[str, Any], receive: Any, send: Any) -> None:
        host = next((value for name, value in scope.get("headers", ()) if name == b"host"), b"")
        if scope["type"] not in ("http", "websocket") or self.hosts.know(host.decode("latin-1")):
            return await self.app(scope, receive, send)
        said = "Airflow does not go by the name of the Host header: AIRFLOW_EXTRA_HOSTS in .env can add it."
        return await JSONResponse({"detail": said}, status_code=403)(scope, receive, send)


class OwnNamesPlugin(AirflowPlugin):
    """How Airflow finds the above."""

    name = "own_names"
    fastapi_root_middlewares = [{"name": "own names", "middleware": OwnNames, "args": [], "kwargs": {}}]  # noqa: RUF012
