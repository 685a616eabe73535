"""A job that finds a disk full: it says so at once, makes what room it can, waits, and goes on."""

import logging
import time
from collections.abc import Callable
from typing import TypeVar

import requests
from mlflow.exceptions import MlflowException

from training_endpoint.errors import MlflowUnavailable
from training_endpoint.jobs.report import Report
from training_endpoint.release import artifacts, peers
from training_endpoint.release.artifacts import Room
from training_endpoint.settings import Settings
from training_endpoint.upkeep import janitor, space

LOOK_S = 2.0
MARGIN = 8 << 20
"""Bytes for what is written beside: metrics, pictures, lineage."""
TO_BEGIN = 256 << 20
"""Bytes in STATE_DIR, for checkpoints above all, without which no job begins."""

log = logging.getLogger(__name__)
Result = TypeVar("Result")


def to_begin(settings: Settings, report: Report) -> None:
    """Returns when STATE_DIR has room for a job."""
    _wait(settings, report, space.STATE, lambda: space.state(settings), TO_BEGIN)


def for_artifacts(settings: Settings, report: Report, size: int, store: Callable[[], Result]) -> Result:
    """What `store` gives, which writes `size` bytes of artifacts; tried again when it failed for want of room."""
    needed = size + MARGIN

    def room() -> Room | None:
        try:
            return artifacts.room(settings)
        except MlflowUnavailable:
            return None  # whoever calls it next says so

    while True:
        _wait(settings, report, space.ARTIFACTS, room, needed)
        try:
            return store()
        except (MlflowException, requests.RequestException):
            found = room()
            if found is None or found.free >= needed:
                raise


def _wait(settings: Settings, report: Report, place: str, room: Callable[[], Room | None], needed: int) -> None:
    told = ""
    while (found := room()) is not None and found.free < needed:
        sentence = (
            f"waiting for room: {place} is full, {space.said(found.free)} of {space.said(found.total)} are free and "
            f"{space.said(needed)} are needed. Free some, or give it more; the job goes on by itself."
        )
        if sentence != told:
            report(message=sentence)
        if not told:
            log.warning("%s", sentence)
            peers.say_in_slack(settings, f":floppy_disk: *{settings.model_name}* – {sentence}")
            janitor.clean(settings, urgent=True)
        told = sentence
        time.sleep(LOOK_S)
    if told:
        report(message=f"there is room again on {place}: going on")
