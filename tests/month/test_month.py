"""A month in minutes: traffic, a shift of it, an alarm, labels by a person in a browser, a shadow, a roll-back.

A shop's classifier knows its goods. Then new ones come, whose names nobody can guess: the Champion is wrong about most
of them, and the test rows, all of them older, cannot tell that a run on labels of the new traffic is any better. So it
becomes the shadow, and labels on what the two answer differently promote it.
"""

import json
import time
import urllib.request
from datetime import timedelta
from typing import Any

import psycopg
import pytest
from playwright.sync_api import Page, expect

from tests import labeller
from tests.e2e.platform import Platform
from tests.month import past
from tests.month.traffic import AFTER, BEFORE, Text, Traffic, texts
from tests.services import wait_until

pytestmark = pytest.mark.timeout(3600)

NAME, WHO = "shop", "Anna"
LABELLED = 80
"""Texts to learn from."""
SETTINGS = {
    "DATASET": "my data/shop",
    # Nothing is chosen to be labelled before somebody wants to label.
    "LABEL_OPEN": "0",
    # One run of all labels, and none of those that decide about the shadow.
    "MIN_ROWS": str(LABELLED),
    "MAX_WAIT_SECONDS": "36000",
}
PATIENCE_S = 600


class Month:
    """The platform, its console in a browser, and the traffic."""

    def __init__(self, platform: Platform, page: Page, traffic: Traffic) -> None:
        self.platform, self.page, self.traffic = platform, page, traffic
        self.console = platform.url("NGINX_PORT", "/console/")
        self.said: dict[str, str] = {}
        self._began = time.monotonic()

    def tell(self, what: str) -> None:
        print(f"{time.monotonic() - self._began:5.0f} s  {what}", flush=True)

    def told(self, path: str) -> Any:
        """What the training endpoint answers."""
        token = f"Bearer {self.platform.setting('PLATFORM_TOKEN')}"
        request = urllib.request.Request(self.platform.url("TRAINING_PORT", path), headers={"Authorization": token})
        with urllib.request.urlopen(request, timeout=60) as answer:
            return json.load(answer)

    def rows(self, query: str) -> list[tuple[object, ...]]:
        with psycopg.connect(past.address(self.platform, "platform", "TRAINING_DATABASE_PASSWORD")) as connection:
            return connection.execute(query.encode()).fetchall()

    def asked_then(self, goods: dict[str, str], ages: list[timedelta], each: int, name: str) -> None:
        """Asks so many texts now, of which the log says that they were asked so long ago."""
        requests = {f"{name}-{number}": age for number, age in enumerate(ages)}
        for number, request in enumerate(requests):
            self.traffic.ask(texts(goods, each, 1000 * len(name) + number), X_Request_Id=request)
        past.make_older(self.platform, requests)

    def kinds_of_alarm(self) -> set[str]:
        return {alarm["kind"] for alarm in self.told("/monitor?by=hour&days=2")["alarms"]}

    def looked(self) -> None:
        """Returns when the monitor has looked once more: the answers of the last minute are among those it counts."""

        def counted() -> object:
            return self.rows("SELECT rows FROM prediction_log.hours ORDER BY hour DESC LIMIT 1")

        before = counted()
        wait_until("the monitor looks", lambda: counted() != before, 150, 1)

    def served_by_all(self, version: int) -> bool:
        seen = self.platform.versions_by_replica(20)
        return len(seen) == 2 and all(versions == {str(version)} for versions in seen.values())

    def is_served(self, version: int) -> None:
        wait_until(f"version {version} is served by every replica", lambda: self.served_by_all(version), PATIENCE_S, 1)


def own_data(platform: Platform) -> None:
    """Rows of before."""
    folder = platform.folder / "my data" / NAME
    folder.mkdir(parents=True)
    found = texts(BEFORE, 360, 1)
    for part, rows in (("train", found[:240]), ("test", found[240:])):
        with (folder / f"{part}.jsonl").open("w") as file:
            file.writelines(json.dumps({"text": row.text, "label": row.label}) + "\n" for row in rows)


def test_a_month(platform: Platform, page: Page) -> None:
    platform.settings |= SETTINGS
    own_data(platform)
    assert f"by {NAME} version 1" in platform.launch()
    with Traffic(platform.url("NGINX_PORT", "/predict"), BEFORE) as traffic:
        month = Month(platform, page, traffic)
        quiet_weeks(month)
        goods_change(month)
        labels_are_given(month)
        labels_decide(month)
        somebody_rolls_back(month)
    failed = traffic.versions.count("")
    month.tell(f"{len(traffic.versions)} requests, {failed} failed")
    assert not failed, traffic.why.most_common(3)
    assert traffic.versions[0] == traffic.versions[-1] == "1" and set(traffic.versions) == {"1", "2"}
    assert "0 problems" in platform.launch("doctor")


def quiet_weeks(month: Month) -> None:
    """What is asked is like the test rows: nobody is alarmed."""
    month.asked_then(BEFORE, [timedelta(days=days) for days in range(27, 1, -1)], 24, "quiet-day")
    month.asked_then(BEFORE, [timedelta(hours=hours) for hours in (8, 7, 6, 5)], 60, "quiet-hour")
    month.looked()
    days = month.told("/monitor?by=day&days=30")["windows"]
    assert len(days) >= 27 and all(day["version"] == 1 for day in days)
    assert month.kinds_of_alarm() == set()
    month.tell("four quiet weeks")


def goods_change(month: Month) -> None:
    """An alarm says so, in GET /monitor and on the console."""
    month.traffic.goods = AFTER
    month.asked_then(AFTER, [timedelta(hours=hours) for hours in (4, 4, 3, 3, 2, 2, 1, 1)], 125, "new-goods")
    wait_until("an alarm", lambda: "drift" in month.kinds_of_alarm(), 200, 2)
    month.page.goto(month.console)
    expect(month.page.locator("#served")).to_contain_text("Alarm: what is asked is unlike its test rows")
    month.tell(f"alarms: {month.kinds_of_alarm()}")


def labels_are_given(month: Month) -> None:
    """By a person with a keyboard: each is a row once, and a run on them makes a shadow."""
    month.platform.settings["LABEL_OPEN"] = "200"
    month.platform.launch()
    page, right = month.page, month.traffic.right
    labeller.log_in(page, month.console, WHO, month.platform.setting("CONSOLE_PASSWORD"), NAME)
    labeller.choose_kind(page, "uncertain")
    text = labeller.known_text(page, right)
    wrong = next(label for label in BEFORE if label != right[text])
    labeller.press(page, labeller.key_of(page, wrong))
    labeller.press(page, "u")
    assert labeller.shown(page) == text, "what was undone is on the screen again"
    month.said |= labeller.label_texts(page, right, lambda said: len(said) == LABELLED)
    month.tell(f"{len(month.said)} labels given")
    become_rows(month)
    wait_until("a shadow", lambda: month.told("/shadow")["shadow"] is not None, PATIENCE_S, 2)
    shadow = month.told("/shadow")["shadow"]
    assert (shadow["version"], shadow["champion_version"], shadow["outcome"]) == (2, 1, None)
    assert month.served_by_all(1), "a shadow is served by nobody"
    month.tell(f"the shadow is {shadow['text']}")


def become_rows(month: Month) -> None:
    """Each label, once, with its class and the labeller's name."""
    ((table,),) = month.rows(f"SELECT train_table FROM classifiers WHERE name = '{NAME}'")
    made = f"SELECT text, label FROM {table}"
    wait_until("the labels are rows", lambda: set(month.said.items()) <= set(month.rows(made)), 60, 1)
    rows = [row for row in month.rows(made) if row[0] in month.said]
    assert sorted(rows) == sorted(month.said.items()), "each once"
    noted = month.rows("SELECT text, label, labeller FROM label_queue.items WHERE settled_at IS NOT NULL")
    assert {(text, label, WHO) for text, label in month.said.items()} == set(noted)


def labels_decide(month: Month) -> None:
    """Those on what shadow and Champion answer differently, and on nothing else, promote the shadow."""
    page = month.page
    labeller.choose_kind(page, "disagreement")
    began, before = time.monotonic(), len(month.said)
    for _ in range(6):
        month.said |= labeller.label_texts(page, month.traffic.right, lambda said: len(said) == 8)
        last = time.monotonic()
        become_rows(month)
        try:
            wait_until("labels decide", lambda: month.told("/shadow")["shadow"]["outcome"] is not None, 20)
            break
        except AssertionError:  # too few of them had a winner
            continue
    assert month.told("/shadow")["shadow"]["outcome"] == "promoted"
    month.is_served(2)
    given, then = len(month.said) - before, time.monotonic() - last
    month.tell(f"{given} labels in {last - began:.0f} s decided; {then:.0f} s later every replica served it")
    ((who, verdict, evidence),) = month.rows(
        "SELECT who, verdict, evidence FROM promotion_ledger WHERE to_version = 2 AND from_version = 1"
    )
    assert isinstance(evidence, dict)
    shadow = evidence["shadow"]
    assert (who, verdict) == ("labels", "promoted")
    assert shadow["better"] >= shadow["decides_at"] == 20 and shadow["won"] >= 7 and shadow["lost"] <= shadow["won"]
    history = month.platform.launch("history", "--verify")
    assert "labels" in history and f"version 2 is right on {shadow['won']}" in history
    page.goto(month.console)
    expect(page.locator("#ledger")).to_contain_text(f"version 2 is right on {shadow['won']}")
    fresh = texts(AFTER, 60, 99)
    right = sum(answered(month.platform, one) == one.label for one in fresh)
    assert right >= 50, f"version 2 is right on {right} of {len(fresh)} about the new goods"


def answered(platform: Platform, one: Text) -> str:
    return str(platform.predict(one.text)[0]["predictions"][0]["label"])


def somebody_rolls_back(month: Month) -> None:
    """From the console's timeline, with a reason."""
    reason = "the new goods are not sold any more"
    labeller.roll_back(month.page, month.console, NAME, 1, reason)
    month.is_served(1)
    expect(month.page.locator("#served")).to_contain_text("Held by a person")
    expect(month.page.locator("#ledger")).to_contain_text(reason)
    history = month.platform.launch("history", "--verify")
    assert reason in history and WHO in history
    month.tell("rolled back")
