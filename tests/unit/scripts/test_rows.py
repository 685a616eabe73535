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
        ("text,label\n,yes\n", "no rows"),
        ("", "none"),
    ],
)
def test_a_file_without_rows_is_refused(tmp_path: Path, content: str, said: str) -> None:
    with pytest.raises(Problem, match=said):
        database_trigger.file_rows(written(tmp_path, content), DATASET)


WANTED = [("naïve, she said", "yes"), ("b", "no")]


@pytest.mark.parametrize("separator", [",", ";", "\t", "|"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "cp1252", "utf-16", "utf-32"])
@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_what_the_importer_takes_is_taken(
    tmp_path: Path, separator: str, encoding: str, end: str, capsys: pytest.CaptureFixture[str]
) -> None:
    lines = ["", f"Subject{separator} Spam", f'"{WANTED[0][0]}"{separator} "yes"', "", f"b{separator}no "]
    (tmp_path / "rows.csv").write_bytes(end.join(lines).encode(encoding))
    assert database_trigger.file_rows(tmp_path / "rows.csv", DATASET) == WANTED
    assert ("cp1252" in capsys.readouterr().err) == (encoding == "cp1252")


def test_excels_separator_line_is_no_row(tmp_path: Path) -> None:
    assert database_trigger.file_rows(written(tmp_path, "sep=;\ntext;label\na,b;yes\n"), DATASET) == [("a,b", "yes")]


def test_rows_that_lack_something_are_left_out_and_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = written(tmp_path, "text,label\na,yes\n ,yes\nb,\nc\n")
    assert database_trigger.file_rows(file, DATASET) == [("a", "yes")]
    assert "3 rows without a text or a label were left out" in capsys.readouterr().err


def test_a_long_text_is_no_obstacle(tmp_path: Path) -> None:
    assert database_trigger.file_rows(written(tmp_path, "text,label\n" + "a" * 200_000 + ",yes\n"), DATASET)


def test_what_the_database_cannot_hold_is_a_sentence() -> None:
    for text in ("a\0b", "\udce9"):
        with pytest.raises(Problem, match="half a character"):
            database_trigger.check([("fine", "no"), (text, "yes")], DATASET)


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
