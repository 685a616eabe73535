from pathlib import Path

import pytest

from native.compose import environment, interpolate

SETTINGS = {"FULL": "x", "EMPTY": "", "DOLLAR": "a$b"}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("${FULL}", "x"),
        ("${MISSING}", ""),
        ("${MISSING:-7}/${EMPTY:-8}/${EMPTY-9}", "7/8/"),
        ("${MISSING:-http://localhost:${PORT:-5001}}", "http://localhost:5001"),
        ("${FULL:+,}${EMPTY:+,}", ","),
        ("${FULL:?why}", "x"),
        ("$${FULL} costs $$1", "${FULL} costs $1"),
        ("${DOLLAR}", "a$b"),
    ],
)
def test_references_become_what_compose_makes_of_them(text: str, expected: str) -> None:
    assert interpolate(text, SETTINGS) == expected


def test_a_mandatory_setting_that_is_missing_is_named() -> None:
    with pytest.raises(LookupError, match=r"EMPTY is not set: run sh launch\.sh"):
        interpolate("${EMPTY:?run sh launch.sh}", SETTINGS)


def test_environment_overrides_env_file_and_follows_anchors(tmp_path: Path) -> None:
    (tmp_path / "common.env").write_text("# words\nA=1\nB=2\n")
    (tmp_path / "compose.yaml").write_text("""
x-common: &common
  env_file: [common.env]
  environment: &variables {B: three, C: "${FULL}"}
services:
  one:
    <<: *common
    environment:
      <<: *variables
      D:
      E: 4
""")
    found = environment(tmp_path / "compose.yaml", "one", {"FULL": "x", "D": "given"})
    assert found == {"A": "1", "B": "three", "C": "x", "D": "given", "E": "4"}
