"""How the wait for a training job goes on and ends."""

import time
from typing import Any
from unittest import IsolatedAsyncioTestCase

import httpx
from ml_platform.trigger import TrainingJobTrigger
from service import Answer, Service, error

JOB = "http://training/train/j1"
RUNNING: Answer = (200, {"job_id": "j1", "status": "running", "phase": "training", "progress": 0.4})
DONE: Answer = (200, {"job_id": "j1", "status": "succeeded", "phase": "done", "progress": 1.0})
AWAY = httpx.ConnectError("refused")


def trigger(patience_s: float = 60, seconds_left: float = 60) -> TrainingJobTrigger:
    return TrainingJobTrigger(JOB, poll_s=0.001, patience_s=patience_s, deadline=time.time() + seconds_left)


async def outcome(waiting: TrainingJobTrigger, service: Service) -> dict[str, Any]:
    with service.connected():
        events = [event async for event in waiting.run()]
    assert len(events) == 1
    return dict(events[0].payload)


class Waiting(IsolatedAsyncioTestCase):
    async def test_ends_with_the_finished_job(self) -> None:
        service = Service(RUNNING, RUNNING, DONE)
        self.assertEqual((await outcome(trigger(), service))["job"]["status"], "succeeded")
        self.assertEqual(service.calls, [("GET", JOB, None)] * 3)

    async def test_hands_on_a_failed_job(self) -> None:
        failed = (200, {"job_id": "j1", "status": "failed", "error": "no rows"})
        self.assertEqual((await outcome(trigger(), Service(RUNNING, failed)))["job"]["error"], "no rows")

    async def test_survives_an_absent_and_a_sick_endpoint(self) -> None:
        service = Service(RUNNING, AWAY, error(503, "starting", "soon"), httpx.ReadTimeout("slow"), DONE)
        self.assertEqual((await outcome(trigger(), service))["job"]["status"], "succeeded")

    async def test_gives_up_after_too_much_silence(self) -> None:
        said = (await outcome(trigger(patience_s=0.01), Service(AWAY)))["error"]
        self.assertIn("silent", said)
        self.assertIn("refused", said)

    async def test_an_answer_renews_the_patience(self) -> None:
        answers = [answer for _ in range(30) for answer in (RUNNING, AWAY)]
        self.assertIn("job", await outcome(trigger(patience_s=0.05), Service(*answers, DONE)))

    async def test_ends_when_the_job_is_unknown(self) -> None:
        said = await outcome(trigger(), Service(error(404, "no_job", "there is no job j1")))
        self.assertIn("there is no job j1", said["error"])

    async def test_cancels_a_job_past_its_deadline(self) -> None:
        service = Service(RUNNING)
        self.assertIn("TRAINING_DEADLINE_S", (await outcome(trigger(seconds_left=-1), service))["error"])
        self.assertEqual(service.calls[-1], ("DELETE", JOB, None))

    async def test_cancels_the_job_of_a_task_that_was_ended_by_hand(self) -> None:
        service = Service((200, {"job_id": "j1", "status": "cancelled"}))
        with service.connected():
            await trigger().on_kill()
        self.assertEqual(service.calls, [("DELETE", JOB, None)])
        self.assertEqual(service.tokens, ["Bearer secret"])

    async def test_what_is_kept_in_the_database_holds_no_secret(self) -> None:
        self.assertNotIn("secret", str(trigger().serialize()))

    async def test_can_be_rebuilt_in_another_process(self) -> None:
        path, arguments = trigger().serialize()
        self.assertEqual(path, f"{TrainingJobTrigger.__module__}.{TrainingJobTrigger.__name__}")
        self.assertEqual(TrainingJobTrigger(**arguments).serialize(), (path, arguments))
