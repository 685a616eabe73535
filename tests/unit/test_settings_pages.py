"""docs/settings explains every setting of the one list, with the default that the list gives it."""

import re
from pathlib import Path

import pytest

from launch import dotenv

ROOT = Path(__file__).parents[2]
EXAMPLE = dotenv.read(ROOT / ".env.example")
ROWS = [
    [cell.strip() for cell in line.strip("| \n").split("|")]
    for page in (ROOT / "docs/settings").glob("*.md")
    for line in page.read_text().splitlines()
    if line.startswith("|") and not line.startswith("| ---")
]


def rows(name: str) -> list[list[str]]:
    """The rows that explain it: it stands in the first cell, or, with its default, in another."""
    return [row for row in ROWS if any(re.search(rf"(?<![A-Z_]){name}(?![A-Z_])", cell) for cell in row[:-1] or row)]


@pytest.mark.parametrize("name", EXAMPLE)
def test_it_is_explained_with_its_default(name: str) -> None:
    found = rows(name) or [row for row in ROWS if name in row[-1]]
    assert found, f"{name} is in no table of docs/settings"
    if EXAMPLE[name]:
        default = re.compile(rf"(?<![\w.]){re.escape(EXAMPLE[name])}(?![\w.])")
        assert any(default.search(" | ".join(row)) for row in found), (
            f"{name}: {EXAMPLE[name]} is not its default there"
        )


def test_no_page_names_a_setting_twice_with_two_defaults() -> None:
    defaults: dict[str, set[str]] = {}
    for row in ROWS:
        match = re.fullmatch(r"`?([A-Z][A-Z0-9_]+)`?", row[0])
        if match and len(row) > 2 and EXAMPLE.get(match[1]):
            defaults.setdefault(match[1], set()).add(row[1].strip("`"))
    assert {name: found for name, found in defaults.items() if len(found) > 1} == {}
