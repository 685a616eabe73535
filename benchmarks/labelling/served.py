"""How long a label takes to become what every replica serves: a person in a browser, and the platform of launch.sh.

Each run trains on the sample and one label, the debounce and the ten seconds to take the label back included.
PROMOTION_POLICY=always, since one row more is no better model.
"""

import itertools
import json
import statistics
import tempfile
import time
import urllib.request
from collections.abc import Callable
from pathlib import Path

from playwright.sync_api import Page

from tests import labeller
from tests.browser import chromium
from tests.e2e.platform import Platform, engine_answers
from tests.services import wait_until

ROUNDS = 3
WANTED_S = 60
PHASES = """SELECT concat_ws(' ', round(extract(epoch FROM i.settled_at - i.labelled_at), 1), 's to a row,',
    round(extract(epoch FROM j.created_at - i.settled_at), 1), 'to a job,', j.detail -> 'timings')
FROM training_jobs j, label_queue.items i WHERE i.settled_at IS NOT NULL
ORDER BY j.created_at DESC, i.settled_at DESC LIMIT 1"""
TEXTS = [
    f"The {subject} {words}"
    for subject, words in itertools.product(
        ("first half", "leading actress", "music", "screenplay", "last scene", "dialogue", "camera work", "villain"),
        ("was wonderful", "made me happy for days", "was dull", "insults its audience"),
    )
]


def ask(platform: Platform) -> None:
    """Sends all the texts, which the log keeps and the queue chooses from."""
    body = json.dumps({"input": TEXTS}).encode()
    request = urllib.request.Request(platform.url("NGINX_PORT", "/predict"), body, {"Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=60) as answer:
        answer.read()


def served_by_all(platform: Platform, version: int) -> bool:
    """Whether no replica answers with another version."""
    return all(seen == {str(version)} for seen in platform.versions_by_replica(8).values())


def seconds(platform: Platform, page: Page, version: int, say: Callable[[str], None]) -> float:
    """From the key that labels a text to the moment that every replica serves `version`."""
    labeller.choose_kind(page, "uncertain")
    labeller.known_text(page, TEXTS)
    labelled = time.monotonic()
    labeller.press(page, "1")
    wait_until("every replica serves it", lambda: served_by_all(platform, version), 600, 0.2)
    took = time.monotonic() - labelled
    runs = "SELECT count(*) FROM training_data_coverage WHERE state <> 'succeeded'"
    wait_until("its run has ended", lambda: platform.sql(runs) == "0", 300, 1)
    say(f"{took:.1f} s: {platform.sql(PHASES)}")
    return took


def measure(say: Callable[[str], None]) -> list[str]:
    """On a platform of its own, of containers where an engine answers; s."""
    with tempfile.TemporaryDirectory() as folder:
        platform = Platform(Path(folder) / "labels", "docker" if engine_answers() else "native", prefix="labels_")
        platform.settings["PROMOTION_POLICY"] = "always"
        platform.copy_tree()
        try:
            platform.launch()
            ask(platform)
            with chromium() as browser:
                page = browser.new_page()
                console = platform.url("NGINX_PORT", "/console/")
                labeller.log_in(page, console, "Anna", platform.setting("CONSOLE_PASSWORD"), "sample")
                took = [seconds(platform, page, 2 + number, say) for number in range(ROUNDS)]
        finally:
            platform.launch("down", "--volumes", "--yes")
    shown = ", ".join(f"{one:.1f}" for one in took)
    say(f"{platform.mode}: {shown} s")
    what = f"label submitted to served by every replica, embedded model, sample, {platform.mode}"
    return [f"| {what} | at most {WANTED_S} s | {statistics.median(took):.1f} s ({shown}) |"]
