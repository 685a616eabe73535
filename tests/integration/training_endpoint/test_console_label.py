"""The page to label on, in the machine's Chromium, looked over by axe; and roll back from the timeline."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest
import requests
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, Route, expect
from psycopg.types.json import Jsonb

from tests import training
from tests.database_roles import connected, url_of
from tests.listening import listening
from tests.releases import NAME, Make, Release
from training_endpoint.console import people
from training_endpoint.http.api import create_app
from training_endpoint.labelling import items, settle
from training_endpoint.labelling.items import New
from training_endpoint.release import ledger

PASSWORD = "for-people-alone"
ATTACK = "<img src=x onerror='window.hacked = true'>"
RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]


@dataclass
class Place:
    """A console with a classifier, and texts to label."""

    release: Release
    url: str
    complaints: list[str]

    @property
    def database(self) -> str:
        return self.release.settings.database_url

    def add(self, *texts: str, label: str = "bad", **scores: float) -> None:
        scores = scores or {"bad": 0.8, "good": 0.2}
        for number, text in enumerate(texts):
            new = New(
                "uncertain", text, priority=-number, champion_version=2, champion_label=label, champion_scores=scores
            )
            assert items.add(self.database, "films", [new]) == 1

    def rows(self, table: str = "film_train") -> list[Any]:
        settle.apply(self.release.settings, 0)
        with connected(self.database) as owner:
            return owner.execute(f"SELECT text, label FROM {table} ORDER BY 1").fetchall()


@pytest.fixture
def place(make: Make) -> Iterator[Place]:
    release = make(CONSOLE_PASSWORD=PASSWORD)
    training.dataset(release.settings.database_url, [], [])
    with connected(url_of(release.settings.database_url, "postgres")) as owner:
        owner.execute("GRANT INSERT, SELECT ON film_train, film_test TO platform")
    with listening(create_app(release.settings, release.desk)) as address:
        found = Place(release, f"http://{address}/console", [])
        yield found
        assert found.complaints == []


def open_page(place: Place, browser: Browser, path: str = "/label", **options: Any) -> Page:
    page = browser.new_context(**options).new_page()
    # A refused request is a line of the browser's own; the page shows its sentence.
    page.on("console", lambda line: None if "status of 4" in line.text else place.complaints.append(line.text))
    page.on("pageerror", lambda error: place.complaints.append(str(error)))
    page.goto(f"{place.url}{path}")
    return page


def log_in(place: Place, browser: Browser, name: str = "anna", **options: Any) -> Page:
    page = open_page(place, browser, **options)
    page.get_by_label("Your name").fill(name)
    page.get_by_label("Password").fill(PASSWORD)
    page.keyboard.press("Enter")
    expect(page.locator("#work")).to_be_visible()
    return page


def test_by_keyboard_alone(place: Place, browser: Browser) -> None:
    place.add("a fine film", "a dull film", "a third", "a fourth")
    page = log_in(place, browser)
    expect(page.locator("#text")).to_have_text("a fine film")
    page.keyboard.press("2")
    expect(page.locator("#text")).to_have_text("a dull film")
    expect(page.locator("#done")).to_have_text("Labelled “good”.")
    page.keyboard.press("2")
    expect(page.locator("#text")).to_have_text("a third")
    page.keyboard.press("u")
    expect(page.locator("#text")).to_have_text("a dull film")
    page.keyboard.press("1")
    expect(page.locator("#text")).to_have_text("a third")
    page.keyboard.press("s")
    expect(page.locator("#text")).to_have_text("a fourth")
    page.keyboard.press("/")
    page.keyboard.type("GO")
    page.keyboard.press("Enter")
    expect(page.locator("#note")).to_contain_text("You have skipped what there is (1)")
    assert place.rows() == [("a dull film", "bad"), ("a fine film", "good"), ("a fourth", "good")]
    with connected(place.database) as owner:
        assert owner.execute("SELECT DISTINCT labeller FROM label_queue.items WHERE label IS NOT NULL").fetchall() == [
            ("anna",)
        ]
        assert owner.execute("SELECT sum(rows) FROM training_events").fetchall() == [(3,)], "the trigger saw them"


def test_a_kind_that_is_chosen_while_the_page_is_busy_stays_chosen(place: Place, browser: Browser) -> None:
    place.add("unsure")
    items.add(place.database, "films", [New("audit", "audited"), New("audit", "audited too")])
    page = log_in(place, browser)
    expect(page.locator("#text")).not_to_be_empty()
    page.wait_for_load_state("networkidle")
    held: list[Route] = []

    def hold(route: Route) -> None:
        if held:
            route.continue_()
        else:
            held.append(route)

    page.route("**/label/next", hold)
    page.keyboard.press("s")
    while not held:  # it asks for the next text, of any kind
        page.wait_for_timeout(20)
    page.get_by_label("Texts").select_option("audit")
    with page.expect_request(lambda asked: '"kind":"audit"' in (asked.post_data or ""), timeout=5_000):
        held[0].continue_()
    page.wait_for_load_state("networkidle")
    expect(page.locator("#text")).to_contain_text("audited")


def test_the_models_answer_is_hidden_until_asked_for(place: Place, browser: Browser) -> None:
    place.add("a film", "another")
    page = log_in(place, browser)
    expect(page.locator("#text")).to_have_text("a film")
    assert "80" not in page.locator("main").inner_text() and "Version" not in page.locator("main").inner_text()
    page.keyboard.press("h")
    expect(page.locator("#hint")).to_have_text("Version 2 says “bad” (80.0 %).")
    page.keyboard.press("1")
    expect(page.locator("#text")).to_have_text("another")
    expect(page.locator("#hint")).to_be_hidden()


def test_two_people_never_see_the_same_text(place: Place, browser: Browser) -> None:
    place.add("one", "two")
    first, second = log_in(place, browser), log_in(place, browser)
    expect(first.locator("#text")).to_have_text("one")
    expect(second.locator("#text")).to_have_text("two")
    first.reload()
    expect(first.locator("#text")).to_have_text("one")
    third = log_in(place, browser, "carl")
    expect(third.locator("#note")).to_contain_text("Others have on their screens")
    second.get_by_role("button", name="Log out").click()
    expect(second.locator("#login")).to_be_visible()
    third.get_by_label("Texts").select_option("uncertain")
    expect(third.locator("#text")).to_have_text("two")


def test_input_methods_and_caps_lock(place: Place, browser: Browser) -> None:
    place.add("a fine film", "a dull film")
    page = log_in(place, browser)
    page.keyboard.press("/")
    page.keyboard.type("GO")
    page.locator("#filter").dispatch_event("keydown", {"key": "Enter", "isComposing": True})
    page.keyboard.press("Escape")
    expect(page.locator("#text")).to_have_text("a fine film")
    page.keyboard.press("S")
    expect(page.locator("#text")).to_have_text("a dull film")
    expect(page.locator("#done")).to_have_text("Skipped.")
    page.keyboard.press("U")
    expect(page.locator("#text")).to_have_text("a fine film")
    assert place.rows() == []


def test_what_gets_lost_on_the_way_can_be_undone(place: Place, browser: Browser) -> None:
    place.add("a fine film", "a dull film")
    page = log_in(place, browser)
    expect(page.locator("#text")).to_have_text("a fine film")

    def lose_the_answer(route: Route) -> None:
        route.fetch()
        route.abort()

    page.route("**/label/submit", lose_the_answer)
    page.keyboard.press("2")
    expect(page.locator("#trouble")).to_have_text("The console does not answer.")
    page.unroute("**/label/submit")
    page.keyboard.press("1")
    expect(page.locator("#trouble")).to_contain_text("You have labelled that text 'good' already")
    expect(page.locator("#text")).to_have_text("a dull film")
    page.route("**/label/undo", lambda route: route.abort())
    page.keyboard.press("u")
    expect(page.locator("#trouble")).to_have_text("The console does not answer.")
    page.unroute("**/label/undo")
    page.keyboard.press("u")
    expect(page.locator("#text")).to_have_text("a fine film")
    page.keyboard.press("1")
    expect(page.locator("#text")).to_have_text("a dull film")
    assert place.rows() == [("a fine film", "bad")]
    place.complaints[:] = [line for line in place.complaints if "ERR_FAILED" not in line]


def test_many_classes_stay_usable(place: Place, browser: Browser) -> None:
    names = [f"class {n}" for n in range(77)]
    with connected(place.database) as owner:
        owner.execute("UPDATE classifiers SET labels = %s", [Jsonb(names)])
    place.add("a text", "another", label="class 40", **{"class 40": 0.6, "class 7": 0.3, "class 0": 0.1})
    page = log_in(place, browser)
    expect(page.locator("#classes button")).to_have_count(77)
    page.get_by_role("button", name="Sort classes by score").click()
    expect(page.locator("#classes button").first).to_contain_text("class 40")
    expect(page.locator("#classes button").nth(1)).to_contain_text("30.0 %")
    page.locator("#text").focus()
    page.keyboard.press("2")
    expect(page.locator("#text")).to_have_text("another")
    page.keyboard.press("/")
    page.keyboard.type("class 5")
    expect(page.locator("#classes button").first).to_have_text("1class 5")
    page.locator("#classes button").first.click()
    expect(page.locator("#item")).to_be_hidden()
    assert place.rows() == [("a text", "class 7"), ("another", "class 5")]


def test_a_new_class_is_named_and_one_that_looks_known_wants_a_second_word(place: Place, browser: Browser) -> None:
    place.add("a", "b", "c")
    page = log_in(place, browser)
    page.get_by_label("Find or name").fill("Good")
    page.get_by_role("button", name="New class “Good”").click()
    expect(page.locator("#sure")).to_contain_text("differs from 'good' by case or blanks alone")
    page.keyboard.press("1")  # means nothing while that is asked
    page.get_by_role("button", name="Choose again").click()
    page.get_by_label("Find or name").fill("odd")
    page.get_by_role("button", name="New class “odd”").click()
    expect(page.locator("#text")).to_have_text("b")
    expect(page.locator("#classes")).to_contain_text("odd")
    page.get_by_label("Find or name").fill(" GOOD ")
    page.get_by_role("button", name="New class “GOOD”").click()
    page.get_by_role("button", name="I am sure").click()
    expect(page.locator("#text")).to_have_text("c")
    assert place.rows() == [("a", "odd"), ("b", "GOOD")]


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [320, 1100])
def test_everybody_can_use_it(place: Place, browser: Browser, scheme: Any, width: int) -> None:
    place.add("a word " * 400, "y" * 3000)
    options: Any = {"color_scheme": scheme, "viewport": {"width": width, "height": 700}, "has_touch": width == 320}
    page = open_page(place, browser, **options)
    expect(page.locator("#login")).to_be_visible()
    look_over(page, width)
    page = log_in(place, browser, **options)
    for text in ("a word", "yyy"):
        expect(page.locator("#text")).to_contain_text(text)
        page.get_by_role("button", name="Show the model").click()
        expect(page.locator("#hint")).to_be_visible()
        look_over(page, width)
        button = page.locator("#classes button").first
        box = button.bounding_box()
        assert box and box["height"] >= 44, "a finger's width"
        button.tap() if width == 320 else button.click()
    expect(page.locator("#note")).to_be_visible()


def look_over(page: Page, width: int) -> None:
    found = Axe().run(page, options={"runOnly": RULES})
    assert found.violations_count == 0, found.generate_report()
    assert page.evaluate("document.documentElement.scrollWidth") <= width, "nothing is beside a phone's screen"


def test_nothing_that_anybody_wrote_becomes_markup(place: Place, browser: Browser) -> None:
    place.add(ATTACK, label=ATTACK, **{ATTACK: 0.9, "good": 0.1})
    page = log_in(place, browser, ATTACK[:60])
    expect(page.locator("#text")).to_have_text(ATTACK)
    expect(page.locator("#classes")).to_contain_text(ATTACK)
    page.keyboard.press("h")
    expect(page.locator("#hint")).to_contain_text(ATTACK)
    page.get_by_role("button", name=re.compile("onerror")).click()
    expect(page.locator("#done")).to_contain_text(ATTACK)
    assert page.locator("img").count() == 0 and page.evaluate("window.hacked") is None


def test_wrong_requests_say_what_is_wrong(place: Place) -> None:
    place.add("a film")
    session = requests.Session()
    told = session.post(f"{place.url}/login", json={"name": "anna", "password": PASSWORD}, timeout=10).json()
    csrf = told["person"]["csrf"]

    def post(path: str, **body: Any) -> requests.Response:
        return session.post(f"{place.url}/{path}", json={"csrf": csrf, **body}, timeout=10)

    item = post("label/next").json()["item"]
    for path, body, status in (
        ("label/next", {"classifier": "no"}, 404),
        ("label/next", {"kind": "x"}, 422),
        ("label/next", {"more": 1}, 422),
        ("label/submit", {"id": item["id"]}, 422),
        ("label/submit", {"id": item["id"], "label": ["good"]}, 422),
        ("label/submit", {"id": item["id"], "label": {"a": 1}}, 422),
        ("label/submit", {"id": item["id"], "label": "\x00"}, 422),
        ("label/submit", {"id": item["id"], "label": "x" * 201, "new": True}, 422),
        ("label/submit", {"id": item["id"], "label": "odd"}, 422),
        ("label/submit", {"id": item["id"], "label": "odd", "new": 1}, 422),
        ("label/submit", {"id": "1", "label": "good"}, 422),
        ("label/submit", {"id": True, "label": "good"}, 422),
        ("label/submit", {"id": 1 << 70, "label": "good"}, 422),
        ("label/submit", {"id": 999, "label": "good"}, 404),
        ("label/skip", {"id": 999}, 404),
        ("label/undo", {"id": -1}, 422),
        ("rollback", {"classifier": "films", "version": 1, "decision": 1}, 422),
        ("rollback", {"classifier": "no", "version": 1, "decision": 1, "reason": "x"}, 404),
        ("rollback", {"classifier": "films", "version": 1, "decision": 1, "reason": "x"}, 409),
    ):
        answer = post(path, **body)
        assert answer.status_code == status and answer.json()["error"]["message"], (path, body, answer.text)
    assert session.get(f"{place.url}/label/hint?id=x", timeout=10).status_code == 422
    assert session.get(f"{place.url}/label/hint?id=999", timeout=10).status_code == 404
    assert session.get(f"{place.url}/label/submit", timeout=10).status_code == 405
    for _ in range(3):
        assert post("label/submit", id=item["id"], label="good").status_code == 200, "said again it is said once"
    assert place.rows() == [("a film", "good")]
    other = requests.Session()
    csrf = other.post(f"{place.url}/login", json={"name": "anna", "password": PASSWORD}, timeout=10).json()["person"][
        "csrf"
    ]
    stolen = other.post(f"{place.url}/label/submit", json={"csrf": csrf, "id": item["id"], "label": "bad"}, timeout=10)
    assert stolen.status_code == 409


def test_roll_back_from_the_timeline(place: Place, browser: Browser) -> None:
    for version, verdict in ((1, "first_champion"), (2, "promoted")):
        place.release.register()
        ledger.decide_by_hand(place.database, NAME, "me", "override", verdict, to_version=version, pinned=False)
    place.release.settle()
    page = open_page(place, browser, "/")
    expect(page.locator("#ledger > li")).to_have_count(2)
    expect(page.get_by_role("button", name="Roll back to version 2")).to_have_count(0)
    page.get_by_role("button", name="Roll back to version 1").click()
    page.get_by_label("Why").fill("it is better")
    page.get_by_label("Your name").fill("anna")
    page.get_by_label("Password").fill("wrong")
    page.locator("#back-do").click()
    expect(page.locator("#back-trouble")).to_contain_text("That is not the password")
    assert (newest := ledger.newest(place.database, NAME)) and newest.to_version == 2
    page.get_by_label("Password").fill(PASSWORD)
    found = Axe().run(page, options={"runOnly": RULES})
    assert found.violations_count == 0, found.generate_report()
    page.locator("#back-do").click()
    place.release.settle()
    expect(page.locator("#back")).to_be_hidden(timeout=15_000)
    expect(page.locator("#served")).to_contain_text("Decided by hand, by anna: it is better", timeout=15_000)
    newest = ledger.newest(place.database, NAME)
    assert newest and (newest.to_version, newest.who, newest.reason, newest.pinned) == (1, "anna", "it is better", True)
    page.get_by_role("button", name="Roll back to version 2").click()
    expect(page.get_by_label("Password")).to_be_hidden()
    ledger.decide_by_hand(place.database, NAME, "ben", "unpin", "let it move", to_version=None, pinned=False)
    page.get_by_label("Why").fill("no, the other")
    page.locator("#back-do").click()
    expect(page.locator("#back-trouble")).to_contain_text("Somebody has decided since you looked")


def test_a_roll_back_that_is_held_up_does_not_look_like_one_that_is_decided(
    place: Place, browser: Browser, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(people, "SWITCH_S", 0.3)
    for version in (1, 2):
        place.release.register()
        ledger.decide_by_hand(place.database, NAME, "me", "override", "so", to_version=version, pinned=False)
    place.release.settle()
    page = open_page(place, browser, "/")
    page.get_by_role("button", name="Roll back to version 1").click()
    page.get_by_label("Why").fill("it is better")
    page.get_by_label("Your name").fill("anna")
    page.get_by_label("Password").fill(PASSWORD)
    with connected(place.database) as owner, owner.transaction():
        owner.execute("LOCK TABLE promotion_ledger IN EXCLUSIVE MODE")
        page.locator("#back-do").click()
        expect(page.locator("#back-trouble")).to_contain_text("Version 1 is not decided for yet")
    expect(page.locator("#served")).to_contain_text("by anna: it is better", timeout=15_000)
    place.complaints.remove("Failed to load resource: the server responded with a status of 503 (SERVICE UNAVAILABLE)")


def test_nobody_is_offered_a_version_whose_files_were_removed(place: Place, browser: Browser) -> None:
    for version in (1, 2, 3):
        place.release.register()
        ledger.decide_by_hand(place.database, NAME, "me", "override", "so", to_version=version, pinned=False)
    place.release.settle()
    with connected(place.database) as owner:
        assert owner.execute("SELECT remove_version_files(%s, 1, 'old')", [NAME]).fetchone() == (True,)
    page = open_page(place, browser, "/")
    expect(page.locator("#ledger > li").last).to_contain_text("Its files were removed since.")
    expect(page.get_by_role("button", name=re.compile("Roll back"))).to_have_text(["Roll back to version 2"])


def test_feedback_that_waits_is_decided_there(make: Make, browser: Browser) -> None:
    release = make(CONSOLE_PASSWORD=PASSWORD, FEEDBACK="review")
    url = release.settings.database_url
    training.dataset(url, [], [])
    with connected(url) as owner:
        for text, label in ((ATTACK, "good"), ("another", "bad")):
            owner.execute(
                "INSERT INTO prediction_log.feedback (request_id, place, answered_at, classifier, version, predicted,"
                " label, text) VALUES (gen_random_uuid(), 0, now(), 'films', 1, 'bad', %s, %s)",
                [label, text],
            )
    with listening(create_app(release.settings, release.desk)) as address:
        place = Place(release, f"http://{address}/console", [])
        page = log_in(place, browser)
        expect(page.locator("#notes > li")).to_have_count(2)
        expect(page.locator("#notes")).to_contain_text(ATTACK)
        page.get_by_role("button", name="It is “good”").click()
        expect(page.locator("#notes > li")).to_have_count(1)
        page.get_by_role("button", name="Refuse").click()
        expect(page.locator("#review")).to_be_hidden()
        assert place.complaints == []
    with connected(url) as owner:
        states = owner.execute("SELECT text, state FROM prediction_log.feedback ORDER BY id").fetchall()
    assert states == [(ATTACK, "accepted"), ("another", "refused")]
