"""The console's page and what it shows, of a real database; the page in the machine's Chromium, looked over by axe."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import psycopg
import pytest
import requests
from axe_playwright_python.sync_playwright import Axe
from matplotlib.figure import Figure
from playwright.sync_api import Browser, Page, Route, expect
from psycopg.types.json import Jsonb

from tests import training
from tests.database_roles import connected, url_of
from tests.listening import listening
from tests.releases import NAME, Make, Release
from training_endpoint.console.traffic import Point, Traffic
from training_endpoint.http.api import create_app
from training_endpoint.jobs.queue import Jobs
from training_endpoint.monitor import reference
from training_endpoint.monitor.watch import Watch
from training_endpoint.release import ledger

ATTACK = "<img src=x onerror='window.hacked = true'>"
RULES = {"runOnly": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]}


@dataclass
class Room:
    """A platform in the middle of its work."""

    release: Release
    url: str

    def ask(self, path: str) -> Any:
        answer = requests.get(f"{self.url}{path}", timeout=30)
        assert answer.status_code == 200, answer.text
        return answer.json()


def picture(folder: Path) -> bytes:
    figure = Figure(figsize=(2, 1))
    figure.savefig(folder / "comparison.png")
    return (folder / "comparison.png").read_bytes()


def told(release: Release, to_version: int, judged: int, verdict: str, reason: str) -> None:
    """A job's verdict in the ledger, which covers the events of the history."""
    ruling = replace(release.ruling(to_version, verdict), reason=reason, evidence={"challenger_version": judged})
    dataset = {"name": "films", "train_rows": 12, "test_rows": 2, "dropped": {"with unknown label": 3, "null text": 0}}
    job, url = release.job(), release.settings.database_url
    result = {
        "verdict": verdict,
        "mlflow_run_id": "r",
        "model_version": judged,
        "dataset": dataset,
        "verdict_text": reason,
    }
    with connected(url) as owner:
        events = [int(str(row[0])) for row in owner.execute("SELECT id FROM training_event_history WHERE rows = 7")]
        owner.execute("UPDATE training_jobs SET classifier = 'films' WHERE job_id = %s", [job["job_id"]])
    Jobs(url).succeed(
        job["job_id"], result, events, lambda c: ledger.decide_for_job(c, NAME, job["job_id"], ruling), "films"
    )


def history(url: str, *rows: tuple[int, str | None, str | None]) -> None:
    """Events of film_train: rows, the run that has them, why a run left them."""
    with connected(url) as owner:
        for number, (count, run, because) in enumerate(rows, 10_000):
            owner.execute(
                "INSERT INTO training_event_history (id, table_name, operation, rows, created_at, dag_run_id,"
                " classifier) VALUES (%s, 'film_train', 'INSERT', %s, now(), %s, 'films')",
                [number, count, run],
            )
            if because:
                owner.execute(
                    "INSERT INTO training_untrained VALUES (%s, 6, %s, NULL, true, 'films')", [number, because]
                )
        owner.execute(
            "INSERT INTO training_deliveries (dag_run_id, state, conf, oldest_event_at)"
            " VALUES ('now', 'accepted', '{}', now())"
        )


@contextmanager
def room(release: Release, folder: Path, reason: str = "better by 2 points") -> Iterator[Room]:
    """Version 1 was served, version 2 is, version 3 was rejected; a job runs, another waits."""
    url = release.settings.database_url
    training.dataset(url)
    with connected(url) as owner:
        owner.execute("DELETE FROM training_event_queue")
    history(url, (7, "before", None), (5, None, None), (4, "now", None), (2, "gone", f"the run failed: {reason}"))
    for number in (1, 2, 3):
        voucher = release.register()
        release.mlflow.files[f"{voucher.root}/verdict/comparison.png"] = picture(folder)
        with connected(url) as owner:
            owner.execute(
                "UPDATE training_versions SET metrics = %s WHERE version = %s",
                [Jsonb({"accuracy": 0.9 + number / 100, "macro_f1": 0.8, "computed_in_parts": 1}), number],
            )
    del release.mlflow.files["1/models/m-1/artifacts/verdict/comparison.png"]
    told(release, 1, 1, "first_champion", "there was none")
    told(release, 2, 2, "promoted", reason)
    told(release, 2, 3, "kept_worse", "worse by 3 points")
    release.settle()
    jobs = Jobs(url)
    jobs.submit("run-now", {}, classifier="films")
    jobs.claim()
    running = jobs.newest(1)[0]
    jobs.progress(running["job_id"], {"phase": "training", "progress": 0.42, "eta_s": 130, "message": reason})
    jobs.submit("run-next", {}, classifier="films")
    now = datetime.now(UTC)
    traffic = Traffic(release.settings)
    for minute in range(60):
        slots = {"0.01": 50, "0.05": 10}
        traffic.points.append(Point((now - timedelta(minutes=59 - minute)).timestamp(), NAME, 60, 6, slots))
    predictions(url, now)
    with listening(create_app(release.settings, release.desk, traffic=traffic)) as address:
        yield Room(release, f"http://{address}/console")


def predictions(url: str, now: datetime) -> None:
    """What the monitor has summed up of the log, by hour, with feedback."""
    with psycopg.connect(url_of(url, "postgres")) as connection:
        for hours in (1, 2, 3):
            at = now - timedelta(hours=hours)
            connection.execute(
                "INSERT INTO prediction_log.feedback (request_id, place, answered_at, classifier, version, predicted,"
                " label, state) VALUES (%s, 0, %s, 'films', 2, 'good', 'good', %s)",
                [f"r{hours}", at, "waiting" if hours == 1 else "no_text"],
            )


@pytest.fixture
def console(make: Make, tmp_path: Path) -> Iterator[Room]:
    with room(make(), tmp_path) as found:
        yield found


def test_what_is_served_since_when_and_why(console: Room) -> None:
    state = console.ask("/state")
    (films,) = state["classifiers"]
    assert (films["name"], films["version"], films["is_default"], films["everywhere"]) == ("films", 2, True, True)
    assert (films["who"], films["verdict"], films["reason"]) == ("training", "promoted", "better by 2 points")
    assert datetime.fromisoformat(films["since"]) < datetime.now(UTC)
    assert films["metrics"]["accuracy"] == pytest.approx(0.92)
    assert (films["train_rows"], films["test_rows"]) == (12, 2)
    assert films["left_out"] == "left out: 3 with unknown label"


def test_the_run_that_goes_on_and_the_one_that_waits(console: Room) -> None:
    jobs = console.ask("/state")["jobs"]
    assert [job["status"] for job in jobs[:3]] == ["running", "queued", "succeeded"]
    assert (jobs[0]["phase"], jobs[0]["progress"], jobs[0]["eta_s"]) == ("training", 0.42, 130)
    assert "evidence" not in jobs[2], "which is long"


def test_what_becomes_of_rows(console: Room) -> None:
    rows = console.ask("/rows?classifier=films")
    assert {one["state"]: one["rows"] for one in rows["uncovered"]} == {"waiting": 5, "in a run": 4, "given up": 2}
    assert [one["because"] for one in rows["uncovered"] if one["state"] == "given up"] == [
        "the run failed: better by 2 points"
    ]
    assert (rows["covered"]["changes"], rows["covered"]["rows"]) == (1, 7)
    assert rows["feedback"] == 1


def test_a_new_row_waits_at_once(console: Room) -> None:
    training.insert(console.release.settings.database_url, "film_train", [("one more", "good"), ("another", "bad")])
    waiting = [one for one in console.ask("/rows")["uncovered"] if one["state"] == "waiting"]
    assert [one["rows"] for one in waiting] == [7]


def test_each_verdict_has_its_picture(console: Room) -> None:
    told = console.ask("/ledger")
    assert [(one["verdict"], one["judged"]) for one in told["decisions"]] == [
        ("kept_worse", 3),
        ("promoted", 2),
        ("first_champion", 1),
    ]
    assert not told["more"] and "evidence" not in json.dumps(told)
    shown = requests.get(f"{console.url}/comparison/films/3", timeout=10)
    assert shown.headers["Content-Type"] == "image/png" and shown.content.startswith(b"\x89PNG")
    for absent in ("films/1", "films/9", "films/x", "films/99999999999999999999", "films/-1", "other/3", "films/%00"):
        answer = requests.get(f"{console.url}/comparison/{absent}", timeout=10)
        assert answer.status_code == 404 and answer.json()["error"]["message"], absent
    page = console.release.mlflow
    page.files["1/models/m-1/artifacts/verdict/comparison.png"] = b"<script>alert(1)</script>"
    assert requests.get(f"{console.url}/comparison/films/1", timeout=10).status_code == 404, "that is no picture"


def test_a_long_ledger_comes_in_pages(console: Room) -> None:
    for number in range(45):
        ledger.decide_by_hand(
            console.release.settings.database_url,
            NAME,
            "me",
            "unpin",
            f"reason {number}",
            to_version=None,
            pinned=False,
        )
    seen: list[int] = []
    before = ""
    while True:
        told = console.ask(f"/ledger{before}")
        seen += [one["id"] for one in told["decisions"]]
        assert len(told["decisions"]) <= 20
        if not told["more"]:
            break
        before = f"?before={seen[-1]}"
    assert len(seen) == 48 and seen == sorted(seen, reverse=True)


def test_requests_and_latency_over_time(console: Room) -> None:
    for hours in (1, 24, 168):
        asked, latency, _ = console.ask(f"/plots?hours={hours}")["plots"]
        answered, failed = ([point[1] for point in line["points"]] for line in asked["lines"])
        minutes = hours * 60 / len(answered)
        assert sum(answered) * minutes == pytest.approx(3600, rel=0.02) and sum(failed) * minutes == pytest.approx(
            360, rel=0.02
        )
        half, most = ([point[1] for point in line["points"] if point[1] is not None] for line in latency["lines"])
        assert all(5 < one < 10 for one in half) and all(10 < one < 50 for one in most)
    assert len(json.dumps(console.ask("/plots?hours=168"))) < 60_000


def test_accuracy_over_time_estimated_and_true(console: Room) -> None:
    """Half of the scores are 0.9, half 0.7, and on the test rows so many are right."""
    url = console.release.settings.database_url
    scores = np.array([[0.1, 0.9], [0.3, 0.7]] * 150)
    right = np.array([[int(n > 0), int(n > 2)] for n in range(10)] * 15).ravel()
    reference.keep(url_of(url, "platform"), NAME, 2, scores, right, ["bad", "good"], ["x"] * 300)
    hour = datetime.now(UTC).replace(minute=0, second=0, microsecond=0) - timedelta(hours=1)
    with connected(url) as owner:
        owner.execute("CREATE TABLE prediction_log.other PARTITION OF prediction_log.answers DEFAULT")
        for number, (bad, good) in enumerate(scores.tolist()):
            owner.execute(
                "INSERT INTO prediction_log.answers (at, request_id, place, classifier, version, replica, text, label,"
                " scores, truncated) VALUES (%s, %s, 0, 'films', 2, 'one', 'x', 'good', %s, false)",
                [hour + timedelta(seconds=number), f"q{number}", Jsonb({"bad": bad, "good": good})],
            )
        owner.execute("UPDATE prediction_log.feedback SET answered_at = %s", [hour + timedelta(minutes=1)])
    Watch(console.release.settings).look()
    estimated, true = console.ask("/plots")["plots"][2]["lines"]
    assert (estimated["name"], true["name"]) == ("estimated", "true")
    (at, value, low, high) = estimated["points"][-1]
    assert value == pytest.approx(80, abs=1) and low < value < high
    assert hour.timestamp() < at <= datetime.now(UTC).timestamp()
    assert true["points"][-1][1] == 100 and true["points"][-1][2] < 100, "three labels, all of them as predicted"


def test_what_nothing_is_known_of_is_no_line(make: Make, tmp_path: Path) -> None:
    release = make()
    training.dataset(release.settings.database_url)
    with listening(create_app(release.settings, release.desk)) as address:
        plots = requests.get(f"http://{address}/console/plots", timeout=10).json()["plots"]
        assert [plot["lines"] for plot in plots] == [[], [], []]


def test_wrong_questions_say_what_is_wrong(console: Room) -> None:
    wrong = {"/rows?classifier=no": 404, "/rows?classifier=%00": 404, "/plots?hours=0": 422, "/plots?hours=169": 422}
    wrong |= {"/ledger?before=x": 422, "/ledger?before=-1": 422, "/ledger?classifier=no": 404, "/nothing": 404}
    for path, status in wrong.items():
        answer = requests.get(f"{console.url}{path}", timeout=10)
        assert answer.status_code == status and answer.json()["error"]["message"], path
    for method in ("POST", "PUT", "DELETE", "PATCH"):
        headers = {"Authorization": "Bearer a-token"}
        assert requests.request(method, f"{console.url}/state", headers=headers, timeout=10).status_code == 405


def test_with_the_database_away_each_part_says_so(tmp_path: Path) -> None:
    client = create_app(training.settings(f"postgresql://x@/x?host={tmp_path}", tmp_path)).test_client()
    assert client.get("/console/").status_code == 200
    for path in ("/state", "/rows", "/ledger", "/plots"):
        answer = client.get(f"/console{path}")
        assert answer.status_code == 503 and answer.json and "start it" in answer.json["error"]["message"], path
    assert client.get("/console/storage").status_code == 200


@pytest.fixture
def complaints() -> list[str]:
    return []


def visit(browser: Browser, url: str, complaints: list[str], **options: Any) -> Page:
    page = browser.new_context(**options).new_page()
    # A picture that MLflow has not is a 404, and the browser says so; the page shows words in its place.
    page.on("console", lambda line: None if "404" in line.text else complaints.append(line.text))
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.goto(f"{url}/")
    expect(page.locator("#served li h3")).to_have_text("films (default)")
    expect(page.locator("#ledger > li")).to_have_count(3)
    expect(page.locator("#plots figure")).to_have_count(3)
    expect(page.locator("#places li").first).to_be_visible()
    return page


def test_the_page_tells_it_all(console: Room, browser: Browser, complaints: list[str]) -> None:
    page = visit(browser, console.url, complaints, viewport={"width": 1100, "height": 3000})
    expect(page.locator("#served")).to_contain_text("Version 2 since ")
    expect(page.locator("#served")).to_contain_text("accuracy 92.0 %, macro F1 80.0 %")
    expect(page.locator("#served")).to_contain_text("Promoted, by training: better by 2 points")
    expect(page.get_by_role("progressbar")).to_have_attribute("value", "0.42")
    expect(page.locator("#runs")).to_contain_text("films: waits")
    expect(page.locator("#rows")).to_contain_text("5 rows (1 change) wait for a run")
    expect(page.locator("#rows")).to_contain_text("left out: 3 with unknown label")
    expect(page.locator("#ledger")).to_contain_text("version 1 → 2")
    pictures = page.locator("#ledger img")
    expect(pictures).to_have_count(2)
    assert pictures.first.evaluate("async (image) => { await image.decode(); return image.naturalWidth }") > 0
    expect(page.locator("#ledger")).to_contain_text("No picture of this comparison")
    assert (
        page.get_by_role("img", name="Requests").is_visible() and page.get_by_role("img", name="Latency").is_visible()
    )
    assert "computed_in_parts" not in page.locator("body").inner_text()
    page.get_by_label("Of the last").select_option("168")
    expect(page.locator("#plots figure")).to_have_count(3)
    assert complaints == []


def test_what_is_new_appears_by_itself(console: Room, browser: Browser, complaints: list[str]) -> None:
    page = visit(browser, console.url, complaints)
    url = console.release.settings.database_url
    ledger.decide_by_hand(url, NAME, "me", "override", "I like it more", to_version=1, pinned=True)
    console.release.settle()
    expect(page.locator("#served")).to_contain_text("Decided by hand, by me: I like it more", timeout=15_000)
    expect(page.locator("#ledger > li").first).to_contain_text("version 2 → 1", timeout=15_000)
    assert complaints == []


def test_rows_of_one_that_come_late_are_not_anothers(console: Room, browser: Browser, complaints: list[str]) -> None:
    page = visit(browser, console.url, complaints)
    with connected(console.release.settings.database_url) as owner:
        owner.execute("CREATE TABLE mails (text text, label text); SELECT create_classifier('mails', 'mails')")
    held: list[Route] = []
    page.route("**/rows?classifier=films", lambda route: held.append(route))  # noqa: PLW0108 - it sets an attribute on it
    page.get_by_role("link", name="mails").click()
    expect(page.locator("#rows")).to_contain_text("No row waits")
    with page.expect_request("**/rows?classifier=films"):
        page.get_by_role("link", name="films").click()
    with page.expect_response("**/rows?classifier=mails"):
        page.get_by_role("link", name="mails").click()
    with page.expect_response("**/rows?classifier=films"):
        held[0].continue_()
    page.wait_for_load_state("networkidle")
    expect(page.locator("#rows")).to_contain_text("No row waits")
    assert complaints == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [320, 390, 1100])
def test_everybody_can_use_it(console: Room, browser: Browser, complaints: list[str], scheme: Any, width: int) -> None:
    page = visit(browser, console.url, complaints, color_scheme=scheme, viewport={"width": width, "height": 800})
    found = Axe().run(page, options={"runOnly": RULES["runOnly"]})
    assert found.violations_count == 0, found.generate_report()
    assert page.evaluate("document.documentElement.scrollWidth") <= width, "nothing is beside a phone's screen"


@pytest.mark.parametrize("asked", [True, False])
def test_people_from_elsewhere_log_in_once(
    make: Make, tmp_path: Path, browser: Browser, complaints: list[str], asked: bool
) -> None:
    with room(make(BIND_ADDRESS="0.0.0.0", CONSOLE_PASSWORD="for-people-alone"), tmp_path) as public:
        assert requests.get(f"{public.url}/state", timeout=10).status_code == 401
        account: Any = {"username": "admin", "password": "for-people-alone"}
        with_it = public.url.replace("//", "//admin:for-people-alone@")
        page = visit(browser, public.url, complaints, http_credentials=account) if asked else None
        page = page or visit(browser, with_it, complaints)
        shown = page.locator("#ledger img").first
        shown.scroll_into_view_if_needed()
        assert shown.evaluate("async (image) => { await image.decode(); return image.naturalWidth }") > 0
    assert complaints == []


def test_nothing_that_anybody_wrote_becomes_markup(
    make: Make, tmp_path: Path, browser: Browser, complaints: list[str]
) -> None:
    with room(make(), tmp_path, ATTACK) as attacked:
        page = visit(browser, attacked.url, complaints)
        expect(page.locator("#served")).to_contain_text(ATTACK)
        expect(page.locator("#runs")).to_contain_text(ATTACK)
        expect(page.locator("#rows")).to_contain_text(ATTACK)
        expect(page.locator("#ledger")).to_contain_text(ATTACK)
        assert page.locator("img[src=x]").count() == 0 and page.evaluate("window.hacked") is None
    assert complaints == []
