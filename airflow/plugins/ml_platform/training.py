"""Calls of the training endpoint."""

from typing import Any

import httpx

from ml_platform.answers import Refused, read, unreachable

TIMEOUT_S = 30
IMPORT_TIMEOUT_S = 1800  # a dataset of millions of rows comes from a hub within one request


def call(method: str, url: str, body: dict[str, Any] | None = None, timeout_s: float = TIMEOUT_S) -> dict[str, Any]:
    """One call and its answer; raises Unavailable or Refused."""
    try:
        return read(httpx.request(method, url, json=body, timeout=timeout_s, trust_env=False))
    except httpx.HTTPError as error:
        raise unreachable(url, error) from error


async def call_async(client: httpx.AsyncClient, method: str, url: str) -> dict[str, Any]:
    """`call` for the triggerer's event loop."""
    try:
        return read(await client.request(method, url, timeout=TIMEOUT_S))
    except httpx.HTTPError as error:
        raise unreachable(url, error) from error


def current_dataset(url: str) -> tuple[dict[str, Any], bool]:
    """The dataset that jobs train on, and whether this call had to import it."""
    try:
        return call("GET", f"{url}/datasets/current"), False
    except Refused as refusal:
        if refusal.code != "no_dataset":
            raise
    call("POST", f"{url}/datasets", {}, IMPORT_TIMEOUT_S)
    return call("GET", f"{url}/datasets/current"), True


def progress_line(job: dict[str, Any]) -> str:
    """Where a job is, in one line: phase, per cent, its own message and the time left."""
    if job["status"] in ("failed", "cancelled"):
        return f"{job['status']}: {job.get('error') or 'no reason given'}"
    line = f"{job.get('phase') or job['status']} {job.get('progress') or 0:.0%}"
    if job.get("message"):
        line += f" – {job['message']}"
    if job.get("eta_s"):
        line += f" – about {job['eta_s']:.0f} s left"
    return line
