"""An HTTP service within the process: answers from a list, and remembers what was asked."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from unittest import mock

import httpx

Answer = tuple[int, dict[str, Any]] | Exception


class Service:
    """Gives `answers` one after the other, the last one for ever; an exception is raised instead."""

    def __init__(self, *answers: Answer) -> None:
        self.answers = list(answers)
        self.calls: list[tuple[str, str, Any]] = []
        self.tokens: list[str | None] = []

    def __call__(self, request: httpx.Request) -> httpx.Response:
        body = json.loads(request.content) if request.content else None
        self.calls.append((request.method, str(request.url), body))
        self.tokens.append(request.headers.get("Authorization"))
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if isinstance(answer, Exception):
            raise answer
        return httpx.Response(answer[0], json=answer[1])

    @contextmanager
    def connected(self) -> Iterator[None]:
        """Has every httpx call end here."""
        transport = httpx.MockTransport(self)
        client = httpx.Client(transport=transport)
        asynchronous = httpx.AsyncClient
        with (
            mock.patch("httpx.request", direct(client.request)),
            mock.patch("httpx.post", direct(client.post)),
            mock.patch("httpx.AsyncClient", lambda trust_env: asynchronous(transport=transport, trust_env=trust_env)),
        ):
            yield


def direct(call: Any) -> Any:
    """`call`, of which it is asked that it uses no proxy."""

    def checked(*named: Any, trust_env: bool, **given: Any) -> Any:
        assert not trust_env
        return call(*named, **given)

    return checked


def error(status: int, code: str, message: str) -> Answer:
    return status, {"error": {"code": code, "message": message}}
