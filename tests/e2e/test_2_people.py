"""A person in a browser: labels a text that was asked, which becomes a row and a run, and rolls back.

The short form of `sh test.sh month`.
"""

import itertools
import json
import time
import urllib.request

import pytest
from playwright.sync_api import Page, expect

from tests import labeller
from tests.e2e.platform import Platform, engine_answers
from tests.services import wait_until

pytestmark = pytest.mark.timeout(1200)

PATIENCE_S = 600
SUBJECTS = ("first half", "leading actress", "music", "screenplay", "last scene", "dialogue", "camera work", "villain")
SAID = {
    "positive": (
        "was wonderful and moving",
        "made me happy for days",
        "is a small masterpiece",
        "deserves every prize",
    ),
    "negative": ("was dull and endless", "made me leave the cinema", "is a complete failure", "insults its audience"),
}
FILMS = {
    f"The {subject} {said}": label
    for label, words in SAID.items()
    for subject, said in itertools.product(SUBJECTS, words)
}
"""More than audit the traffic at most, so that some are to be learned from."""


def served(platform: Platform) -> int:
    return int(platform.predict("one more")[0]["model"]["version"])


def served_by_all(platform: Platform, version: int) -> bool:
    return all(seen == {str(version)} for seen in platform.versions_by_replica(20).values())


def test_a_label_becomes_a_row_and_a_run_and_somebody_rolls_back(platform: Platform, page: Page) -> None:
    if platform.mode == "native" and engine_answers():
        pytest.skip("it is tested with containers")
    console = platform.url("NGINX_PORT", "/console/")
    body = json.dumps({"input": list(FILMS)}).encode()
    asked = urllib.request.Request(platform.url("NGINX_PORT", "/predict"), body, {"Content-Type": "application/json"})
    with urllib.request.urlopen(asked, timeout=60) as answer:
        assert len(json.load(answer)["predictions"]) == len(FILMS)

    # A label, taken back, and the right one.
    labeller.log_in(page, console, "Anna", platform.setting("CONSOLE_PASSWORD"), "sample")
    labeller.choose_kind(page, "uncertain")
    text = labeller.known_text(page, FILMS)
    wrong = next(label for label in SAID if label != FILMS[text])
    labeller.press(page, labeller.key_of(page, wrong))
    labeller.press(page, "u")
    assert labeller.shown(page) == text
    labeller.press(page, labeller.key_of(page, FILMS[text]))
    labelled = time.monotonic()

    # It is a row, once, and a run learns it.
    table = platform.sql("SELECT train_table FROM classifiers WHERE name = 'sample'")
    rows = f"SELECT label FROM {table} WHERE text = '{text}'"
    wait_until("the label is a row", lambda: platform.sql(rows) != "", 60, 1)
    newest = "SELECT state FROM training_data_coverage ORDER BY event DESC LIMIT 1"
    wait_until("a run has learned it", lambda: platform.sql(newest) == "succeeded", PATIENCE_S, 2)
    assert platform.sql(rows) == FILMS[text], "once"
    decided = "SELECT to_version FROM promotion_ledger WHERE model_name = 'sample' ORDER BY id DESC LIMIT 1"
    champion = int(platform.sql(decided))
    wait_until("it is served", lambda: served_by_all(platform, champion), 60, 0.5)
    print(f"{time.monotonic() - labelled:.0f} s from the label to the end of its run, version {champion} served")

    # Somebody thinks otherwise, and training does not move what a person holds.
    reason = "its answers to Monday's mails were strange"
    labeller.roll_back(page, console, "sample", 1, reason)
    wait_until("version 1 is served by every replica", lambda: served_by_all(platform, 1), 120, 0.5)
    expect(page.locator("#served")).to_contain_text("Held by a person")
    expect(page.locator("#ledger")).to_contain_text(reason)
    history = platform.launch("history", "--verify")
    assert reason in history and "Anna" in history
    platform.launch("promote", str(champion), "--classifier", "sample", "--reason", "it was the mails")
    wait_until("that version is served again", lambda: served_by_all(platform, champion), 120, 0.5)
