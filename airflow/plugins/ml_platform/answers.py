"""What an answer of the platform's services means for a task: good, not now, or no."""

from typing import Any

import httpx

from mlops_contract.errors import may_pass


class Unavailable(Exception):
    """The service does not answer or cannot now: the same call may succeed later."""


class Refused(Exception):
    """The service says no, and will say no again. `code` is the error's code."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


def read(answer: httpx.Response) -> dict[str, Any]:
    """The JSON object that was answered; raises Unavailable or Refused with the service's own sentence."""
    try:
        body = answer.json()
    except ValueError:
        body = {}
    if answer.is_success and isinstance(body, dict):
        return body
    error = body.get("error") if isinstance(body, dict) else None
    error = error if isinstance(error, dict) else {}
    message = error.get("message") or f"{answer.request.url} answered {answer.status_code}"
    passes = error.get("passes")
    if not (passes if isinstance(passes, bool) else may_pass(answer.status_code)):
        raise Refused(error.get("code") or str(answer.status_code), message)
    raise Unavailable(message)


def unreachable(url: str, error: httpx.HTTPError) -> Unavailable:
    """The Unavailable that stands for a failed call of `url`."""
    return Unavailable(f"no answer from {url} ({type(error).__name__}: {error})")
