"""Your own data beside the sample: a folder, then a table of plain SQL, each a classifier; then a class that is new."""

import json
import random
from collections.abc import Iterator
from typing import Any
from urllib.error import HTTPError

import pytest
from playwright.sync_api import Page, expect

from tests.e2e.platform import Platform, engine_answers, set_env
from tests.services import wait_until

pytestmark = pytest.mark.timeout(900)

KINDS = {
    "animal": "dog cat horse whale sparrow beetle",
    "city": "Paris Lima Cairo Oslo Delhi Quito",
    "colour": "red green purple yellow orange turquoise",
    "food": "bread soup cheese noodles rice salad",
    "number": "seven twelve forty ninety sixty eleven",
    "tool": "hammer saw wrench drill chisel pliers",
}
NEW = {"weather": "rain snow fog thunder hail drizzle"}
PATIENCE = 300


def texts(words: str, count: int, seed: int) -> Iterator[str]:
    """Different sentences about some of the words."""
    draw = random.Random(f"{words} {seed}")
    for number in range(count):
        first, second = draw.sample(words.split(), 2)
        yield f"Number {number + 100 * seed}: what do you think of {first}, or rather of {second}?"


def rows(kinds: dict[str, str], count: int, seed: int) -> list[tuple[str, str]]:
    return [(text, kind) for kind, words in kinds.items() for text in texts(words, count, seed)]


def values(found: list[tuple[str, str]]) -> str:
    return ", ".join(f"('{text}', '{label}')" for text, label in found)


def answer(platform: Platform, text: str, classifier: str = "") -> tuple[str, str, str]:
    """Label, model and version; an empty label where nothing answers yet."""
    try:
        told: dict[str, Any] = platform.predict(text, classifier)[0]
    except HTTPError:
        return "", "", ""
    return told["predictions"][0]["label"], told["model"]["name"], told["model"]["version"]


@pytest.fixture(autouse=True)
def _once(platform: Platform) -> None:
    """How classifiers come about does not depend on how the platform runs, so it is seen once."""
    if platform.mode == "native" and engine_answers():
        pytest.skip("seen on the platform of containers")


def test_a_folder_of_ones_own_becomes_the_default_classifier(platform: Platform) -> None:
    folder = platform.folder / "my data" / "kinds"
    folder.mkdir(parents=True)
    for part, count in (("train", 30), ("test", 10)):
        with (folder / f"{part}.jsonl").open("w") as file:
            for text, label in rows(KINDS, count, len(part)):
                file.write(json.dumps({"text": text, "label": label}) + "\n")
    set_env(platform.folder, DATASET="my data/kinds")
    said = platform.launch()
    assert "Training the first Champion of kinds" in said and "by kinds version 1" in said
    assert answer(platform, "What do you think of soup?") == ("food", "kinds", "1")
    assert answer(platform, "What a wonderful film", "sample")[:2] == ("positive", "sample"), "it stays"


def test_a_table_becomes_a_third_by_plain_sql(platform: Platform) -> None:
    platform.sql("CREATE TABLE mails (body text, is_spam boolean, sender text)")
    said = platform.sql("SELECT create_classifier('spam', 'mails', text_column => 'body', label_column => 'is_spam')")
    assert "one row in five is held out" in said
    spam, ham = "winner prize lottery cash casino bonus", "meeting invoice agenda minutes contract lunch"
    found = rows({"true": spam, "false": ham}, 60, 1)
    platform.sql(f"INSERT INTO mails (body, is_spam) SELECT t, l::boolean FROM (VALUES {values(found)}) v (t, l)")
    wait_until("spam is served", lambda: answer(platform, "so", "spam")[1:] == ("spam", "1"), PATIENCE, 2)
    assert answer(platform, "a prize, or rather cash?", "spam")[0] == "true"
    assert answer(platform, "What do you think of soup?")[1:] == ("kinds", "1")
    assert answer(platform, "What a wonderful film", "sample")[1] == "sample"


def test_a_class_that_is_new_is_learned_by_the_next_run(platform: Platform) -> None:
    platform.sql(
        f"INSERT INTO kinds_train (text, label) VALUES {values(rows(NEW, 20, 1))};"
        f"INSERT INTO kinds_test (text, label) VALUES {values(rows(NEW, 5, 2))}"
    )
    wait_until("version 2 is served", lambda: answer(platform, "so")[1:] == ("kinds", "2"), PATIENCE, 2)
    assert answer(platform, "What do you think of fog, or rather of hail?")[0] == "weather"
    assert "learned the new class weather" in platform.launch("history")


def test_the_page_shows_each(platform: Platform, page: Page) -> None:
    page.goto(platform.url("NGINX_PORT"))
    expect(page.locator("h1")).to_have_text("kinds")
    expect(page.locator("body")).to_contain_text("learned the new class weather")
    page.get_by_role("link", name="spam").click()
    expect(page.locator("h1")).to_have_text("spam")
    page.get_by_role("textbox").fill("the lottery, or rather the casino?")
    page.get_by_role("button").first.click()
    expect(page.locator("#answer")).to_contain_text("true")


def test_the_sample_is_taken_up_again_with_its_champion(platform: Platform) -> None:
    set_env(platform.folder, DATASET="sample")
    said = platform.launch()
    assert "Training the first Champion" not in said and "by sample version" in said
    assert answer(platform, "What a wonderful film")[:2] == ("positive", "sample")
    assert answer(platform, "What do you think of soup?", "kinds")[1] == "kinds"
