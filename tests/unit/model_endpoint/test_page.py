"""The page for people, in the machine's Chromium."""

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect
from werkzeug.serving import make_server

from model_endpoint.api import create_app
from tests.browser import chromium
from tests.unit.model_endpoint import stub

ATTACK = "<img src=x onerror='window.hacked = true'>"


@pytest.fixture
def page(tmp_path: Path) -> Iterator[Page]:
    """The page of a replica whose second label is hostile."""
    model = stub.Stub()
    model.labels = ["negative", ATTACK]
    server = stub.server(tmp_path, model)
    listener = make_server("127.0.0.1", 0, create_app(server.settings, server), threaded=True)
    thread = threading.Thread(target=listener.serve_forever, args=(0.05,))
    thread.start()
    try:
        with chromium() as browser:
            tab = browser.new_page()
            tab.goto(f"http://127.0.0.1:{listener.port}/")
            yield tab
    finally:
        listener.shutdown()
        thread.join()
        listener.server_close()


def test_a_text_is_tried_with_the_keyboard_alone(page: Page) -> None:
    complaints: list[str] = []
    page.on("console", lambda message: complaints.append(message.text))
    page.on("pageerror", lambda error: complaints.append(str(error)))
    expect(page.get_by_label("Text")).to_be_focused()
    page.keyboard.type("bad")
    page.keyboard.press("Control+Enter")
    expect(page.locator(".score").first).to_contain_text("73.1 %")
    expect(page.locator("#note")).to_contain_text("Version 7, replica ")
    expect(page.locator("#switches")).to_contain_text("version 7")
    assert complaints == []


def test_what_is_in_texts_and_labels_stays_text(page: Page) -> None:
    page.get_by_label("Text").fill(f"good {ATTACK}")
    page.get_by_role("button").click()
    expect(page.locator(".score").first).to_contain_text(ATTACK)
    assert page.locator("img").count() == 0 and page.evaluate("window.hacked") is None


def test_a_refusal_is_shown(page: Page) -> None:
    page.get_by_label("Text").fill("  ")
    page.get_by_role("button").click()
    expect(page.locator("#note")).to_have_text("Input 0 is empty.")


def test_what_was_measured_has_the_names_that_people_use(page: Page) -> None:
    told = {"accuracy": 0.9312, "macro_f1": 0.9288, "log_loss": 0.2, "computed_in_parts": 1, "peak_memory_mb": 812.5}
    answer = {"model": {"name": "films", "version": "7"}, "labels": [], "metrics": told, "tags": {}, "switches": []}
    page.route("**/champion", lambda route: route.fulfill(json=answer))
    page.reload()
    expect(page.locator("#metrics th")).to_have_text(["accuracy", "macro F1", "log loss"])
    expect(page.locator("#metrics td").first).to_have_text("93.1 %")


def test_the_console_is_a_click_away(page: Page) -> None:
    expect(page.get_by_role("link", name="Console")).to_have_attribute("href", page.url + "console/")
