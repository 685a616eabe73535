"""Waits for a training job in the triggerer, where waiting holds no worker."""

import asyncio
import os
import time
from collections.abc import AsyncIterator
from typing import Any

import httpx
from airflow.triggers.base import BaseTrigger, TriggerEvent

from ml_platform.answers import Refused, Unavailable
from ml_platform.settings import Settings
from ml_platform.training import call_async, progress_line

FINAL = ("succeeded", "failed", "cancelled")
LOG_EVERY_S = 30


class TrainingJobTrigger(BaseTrigger):
    """Fires once: with {"job": the finished job} or {"error": why it was given up}.

    :param job_url: the job's address
    :param poll_s: seconds between two looks
    :param patience_s: seconds without an answer after which the wait is given up
    :param deadline: when the job is cancelled, in seconds since 1970; a restarted triggerer keeps to it
    """

    def __init__(self, job_url: str, poll_s: float, patience_s: float, deadline: float) -> None:
        super().__init__()
        self.job_url = job_url
        self.poll_s = poll_s
        self.patience_s = patience_s
        self.deadline = deadline

    def serialize(self) -> tuple[str, dict[str, Any]]:
        names = ("job_url", "poll_s", "patience_s", "deadline")
        return "ml_platform.trigger.TrainingJobTrigger", {name: getattr(self, name) for name in names}

    async def run(self) -> AsyncIterator[TriggerEvent]:
        async with httpx.AsyncClient(trust_env=False) as client:
            yield TriggerEvent(await self._outcome(client))

    async def on_kill(self) -> None:
        """Somebody ended the task: nobody waits for the job any more, so it ends too."""
        self.log.info("The task was ended by hand: cancelling the training job.")
        async with httpx.AsyncClient(trust_env=False) as client:
            await self._call(client, "DELETE")

    async def _call(self, client: httpx.AsyncClient, method: str) -> dict[str, Any]:
        # The token comes from this process: what a trigger is made of stands in Airflow's database.
        return await call_async(client, Settings.from_env(os.environ), method, self.job_url)

    async def _outcome(self, client: httpx.AsyncClient) -> dict[str, Any]:
        last_answer = time.monotonic()
        progress = _ProgressLog()
        while True:
            try:
                job = await self._call(client, "GET")
                last_answer = time.monotonic()
                if progress.worth_a_line(job):
                    self.log.info(progress_line(job))
                if job.get("status") in FINAL:
                    return {"job": job}
            except Refused as refusal:
                return {"error": f"The training endpoint does not know the job any more: {refusal}"}
            except Unavailable as reason:
                silence = time.monotonic() - last_answer
                self.log.warning("No news of the job for %.0f s, asking again: %s", silence, reason)
                if silence > self.patience_s:
                    return {"error": f"The training endpoint was silent for {silence:.0f} s: {reason}"}
            if time.time() > self.deadline:
                return {"error": await self._give_up(client)}
            await asyncio.sleep(self.poll_s)

    async def _give_up(self, client: httpx.AsyncClient) -> str:
        try:
            await self._call(client, "DELETE")
            return "The job took longer than TRAINING_DEADLINE_S allows and was cancelled."
        except (Unavailable, Refused) as reason:
            return f"The job took longer than TRAINING_DEADLINE_S allows; cancelling it failed: {reason}"


class _ProgressLog:
    """Chooses the looks that are worth a line: a new phase, another tenth, or half a minute of silence."""

    def __init__(self) -> None:
        self._shown: tuple[object, ...] = ()
        self._at = 0.0

    def worth_a_line(self, job: dict[str, Any]) -> bool:
        state = (job.get("status"), job.get("phase"), int((job.get("progress") or 0) * 10))
        if state == self._shown and time.monotonic() - self._at < LOG_EVERY_S:
            return False
        self._shown, self._at = state, time.monotonic()
        return True
