"""What conf a run may have."""

import json
import re
from pathlib import Path
from typing import Any
from unittest import IsolatedAsyncioTestCase

from known_conf import KNOWN, PATH, KnownConf

from airflow import plugins_manager

RELAY = Path(__file__).parents[4] / "db/src/training_trigger/sql/claim.sql"


class Conf(IsolatedAsyncioTestCase):
    async def ask(self, body: bytes, path: str = PATH, method: str = "POST") -> tuple[int, bytes]:
        """The status, and what was said or what reached Airflow."""
        parts = [
            {"type": "http.request", "body": body[:5], "more_body": True},
            {"type": "http.request", "body": body[5:], "more_body": False},
        ]
        sent: list[Any] = []

        async def receive() -> Any:
            return parts.pop(0)

        async def send(message: Any) -> None:
            sent.append(message)

        async def airflow(scope: Any, receive: Any, send: Any) -> None:
            read = [await receive(), await receive()]
            await send({"status": 200})
            await send({"body": b"".join(message["body"] for message in read)})

        await KnownConf(airflow)({"type": "http", "method": method, "path": path}, receive, send)
        return sent[0]["status"], sent[1]["body"]

    async def test_an_unknown_name_is_refused_before_there_is_a_run(self) -> None:
        for conf in ({"epochs": 1}, {"training": {}, "trainning": {}}, {"": 1}):
            status, said = await self.ask(json.dumps({"conf": conf}).encode())
            self.assertEqual(status, 400)
            self.assertIn("overrides stand under training", json.loads(said)["detail"])

    async def test_what_is_known_reaches_airflow_as_it_came(self) -> None:
        for body in (
            json.dumps({"conf": dict.fromkeys(KNOWN, 1)}).encode(),
            b'{"conf": null, "logical_date": null}',
            b'{"conf": 3}',
            b"no json at all",
            b"[[[[[[[",
        ):
            self.assertEqual(await self.ask(body), (200, body))

    async def test_other_requests_are_not_looked_at(self) -> None:
        body = json.dumps({"conf": {"epochs": 1}}).encode()
        self.assertEqual((await self.ask(body, path="/api/v2/dags/another/dagRuns"))[0], 200)
        self.assertEqual((await self.ask(body, method="PATCH"))[0], 200)

    async def test_airflow_has_it(self) -> None:
        _, middlewares = plugins_manager.get_fastapi_plugins()
        self.assertIn("known conf", [one["name"] for one in middlewares])

    async def test_what_the_relay_says_is_known(self) -> None:
        built = RELAY.read_text().partition("jsonb_build_object(")[2]
        told = set(re.findall(r"'(\w+)',", built))
        self.assertIn("events", told)
        self.assertLessEqual(told, set(KNOWN))
