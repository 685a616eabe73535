"""A person at the console in a browser: labels by keyboard, and rolls back."""

from collections.abc import Callable, Container, Mapping

from playwright.sync_api import Page, expect

from tests.services import wait_until

PATIENCE_S = 180
"""Texts are chosen every 30 seconds."""


def log_in(page: Page, console: str, name: str, password: str, classifier: str) -> None:
    """Opens the page to label at the address `console` of the console."""
    page.goto(f"{console}label#{classifier}")
    page.get_by_label("Your name").fill(name)
    page.get_by_label("Password").fill(password)
    page.keyboard.press("Enter")
    expect(page.locator("#work")).to_be_visible()
    expect(page.locator("#counts")).not_to_be_empty()


def choose_kind(page: Page, kind: str) -> None:
    """'disagreement', 'uncertain', 'audit', 'error' or 'all'."""
    with page.expect_response("**/label/next") as answered:
        page.get_by_label("Texts").select_option(kind)
    answered.value.finished()
    page.evaluate("() => new Promise((painted) => requestAnimationFrame(() => requestAnimationFrame(painted)))")


def shown(page: Page) -> str | None:
    """The text that is to be labelled; None where there is none."""
    return None if page.locator("#item").is_hidden() else page.locator("#text").text_content()


def next_text(page: Page) -> str:
    """The text that is to be labelled, once there is one: the page looks for itself."""
    wait_until("there is a text to label", lambda: shown(page) is not None, PATIENCE_S, 0.5)
    found = shown(page)
    assert found is not None
    return found


def press(page: Page, key: str) -> None:
    """A key, and what it has on the screen then: another text, or none."""
    before = shown(page)
    page.keyboard.press(key)
    wait_until(f"another text after {key}", lambda: shown(page) != before, 60, 0.02)


def key_of(page: Page, label: str) -> str:
    """The one that chooses this class."""
    names = page.locator("#classes .class").all_text_contents()
    assert label in names, f"{label!r} is none of {names}"
    return str(names.index(label) + 1)


def known_text(page: Page, known: Container[str]) -> str:
    """The first text to label that is known; others are skipped."""
    while (text := next_text(page)) not in known:
        press(page, "s")
    return text


def label_texts(page: Page, right: Mapping[str, str], enough: Callable[[dict[str, str]], bool]) -> dict[str, str]:
    """Labels what comes as is `right`, and skips other texts, until it is `enough`; what was labelled as what."""
    said: dict[str, str] = {}
    while not enough(said):
        text = known_text(page, right)
        press(page, key_of(page, right[text]))
        said[text] = right[text]
    return said


def roll_back(page: Page, console: str, classifier: str, version: int, reason: str, **login: str) -> None:
    """From the timeline of the console; `login` has name and password where nobody is logged in."""
    page.goto(f"{console}#{classifier}")
    page.get_by_role("button", name=f"Roll back to version {version}", exact=True).first.click()
    expect(page.locator("#back")).to_be_visible()
    page.locator("#reason").fill(reason)
    if login:
        page.locator("#person").fill(login["name"])
        page.locator("#password").fill(login["password"])
    page.locator("#back-do").click()
    expect(page.locator("#back")).to_be_hidden(timeout=120_000)
