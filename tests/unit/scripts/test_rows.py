"""Which rows database_trigger.py takes from a file, and which it refuses."""

from pathlib import Path

import pytest

import database_trigger
from manually_trigger import Problem

DATASET = {"name": "mail", "text_column": "subject", "label_column": "spam", "labels": ["no", "yes"]}


def written(folder: Path, text: str) -> Path:
    file = folder / "rows.csv"
    file.write_text(text, encoding="utf-8")
    return file


@pytest.mark.parametrize("header", ["text,label", "subject,spam", "id,subject,label"])
def test_columns_are_found_by_either_name(tmp_path: Path, header: str) -> None:
    line = "7," * header.startswith("id") + '"a ""b"",\nc",yes\n'
    file = written(tmp_path, f"\ufeff{header}\n{line}")
    assert database_trigger.file_rows(file, DATASET) == [('a "b",\nc', "yes")]


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("a,b\n1,2\n", "needs the columns text and label; its header has a, b"),
        ("text,label\n", "no rows"),
        ("", "none"),
    ],
)
def test_a_file_without_rows_is_refused(tmp_path: Path, content: str, said: str) -> None:
    with pytest.raises(Problem, match=said):
        database_trigger.file_rows(written(tmp_path, content), DATASET)


def test_a_missing_file_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(Problem, match="cannot be read"):
        database_trigger.file_rows(tmp_path / "none.csv", DATASET)


def test_an_unknown_label_is_refused_with_the_known_ones() -> None:
    with pytest.raises(Problem, match="mail has no label 'maybe', it has no, yes"):
        database_trigger.check([("a", "yes"), ("b", "maybe")], DATASET)


def test_an_empty_text_is_refused() -> None:
    with pytest.raises(Problem, match="empty"):
        database_trigger.check([(" \n", "yes")], DATASET)


def test_only_the_sample_has_a_pool() -> None:
    with pytest.raises(Problem, match="mail is in use: give --file"):
        database_trigger.pool_rows(DATASET, 5)
