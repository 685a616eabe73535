"""Calls of the training endpoint, with the platform's token: it lets nobody else change anything."""

from typing import Any
from urllib.parse import quote

import httpx

from ml_platform.answers import Refused, read, unreachable
from ml_platform.settings import Settings

TIMEOUT_S = 30
IMPORT_TIMEOUT_S = 1800  # a dataset of millions of rows comes from a hub within one request


def call(
    settings: Settings, method: str, path: str, body: dict[str, Any] | None = None, timeout_s: float = TIMEOUT_S
) -> dict[str, Any]:
    """One call and its answer; raises Unavailable or Refused."""
    url = settings.training_url + path
    try:
        headers = _token(settings)
        return read(httpx.request(method, url, json=body, headers=headers, timeout=timeout_s, trust_env=False))
    except httpx.HTTPError as error:
        raise unreachable(url, error) from error


async def call_async(client: httpx.AsyncClient, settings: Settings, method: str, url: str) -> dict[str, Any]:
    """`call` for the triggerer's event loop; `url` is a job's own."""
    try:
        return read(await client.request(method, url, headers=_token(settings), timeout=TIMEOUT_S))
    except httpx.HTTPError as error:
        raise unreachable(url, error) from error


def _token(settings: Settings) -> dict[str, str]:
    return {"Authorization": f"Bearer {settings.token}"}


def current_dataset(settings: Settings, classifier: str | None) -> tuple[dict[str, Any], bool]:
    """What a classifier, or the default one, learns from, and whether this call had to import it."""
    if classifier:
        return call(settings, "GET", f"/classifiers/{quote(classifier, safe='')}"), False
    try:
        return call(settings, "GET", "/datasets/current"), False
    except Refused as refusal:
        if refusal.code != "no_dataset":
            raise
    call(settings, "POST", "/datasets", {}, IMPORT_TIMEOUT_S)
    return call(settings, "GET", "/datasets/current"), True


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
