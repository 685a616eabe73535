import json
from pathlib import Path
from typing import Any

import pytest

from model_endpoint.patterns import refuse_slow
from model_runner import CannotServe
from tests.integration.model_endpoint.models import BASE

DOCUMENT = json.loads((BASE / "tokenizer.json").read_text())
GPT = r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"


def replaced(pattern: dict[str, str], content: str) -> dict[str, Any]:
    return {"type": "Replace", "pattern": pattern, "content": content}


def split(pattern: str) -> dict[str, Any]:
    return {"type": "Split", "pattern": {"Regex": pattern}, "behavior": "Isolated", "invert": False}


def tokenizer(folder: Path, **change: Any) -> Path:
    file = folder / "tokenizer.json"
    file.write_text(json.dumps({**DOCUMENT, **change}))
    return file


@pytest.mark.parametrize("pattern", [r"(a+)+$", r"(\w+\s?)+!", r"(x|xx)+y", r"^(([a-z])+.)+[A-Z]([a-z])+$"])
def test_a_pattern_that_explodes_is_refused(tmp_path: Path, pattern: str) -> None:
    for change in ({"normalizer": replaced({"Regex": pattern}, "b")}, {"pre_tokenizer": split(pattern)}):
        with pytest.raises(CannotServe, match="too long, or break down"):
            refuse_slow(tokenizer(tmp_path, **change))


def test_a_replacement_that_explodes_is_refused(tmp_path: Path) -> None:
    many = {"type": "Sequence", "normalizers": [replaced({"String": "a"}, "a" * 100)] * 3}
    with pytest.raises(CannotServe):
        refuse_slow(tokenizer(tmp_path, normalizer=many))


def test_the_usual_patterns_are_served(tmp_path: Path) -> None:
    refuse_slow(BASE / "tokenizer.json")
    refuse_slow(tokenizer(tmp_path, normalizer=replaced({"Regex": " {2,}"}, " "), pre_tokenizer=split(GPT)))


def test_a_damaged_file_is_said(tmp_path: Path) -> None:
    (tmp_path / "tokenizer.json").write_text("{")
    with pytest.raises(CannotServe, match="damaged"):
        refuse_slow(tmp_path / "tokenizer.json")
