"""Finding, reading and understanding datasets; what goes into the database is tested with a real one."""

import csv
import json
from collections import Counter
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests import data_cases
from training_endpoint import hub_errors
from training_endpoint.data import sources
from training_endpoint.data.sources import cells, choose, columns, file, words
from training_endpoint.data.sources.part import Part, split
from training_endpoint.data.sources.problems import Problems
from training_endpoint.errors import HubBadToken, HubError, HubGated, HubUnreachable, ImportFailed, MissingColumn


def part(names: list[str], rows: list[tuple[object, ...]], classes: dict[str, list[str]] | None = None) -> Part:
    return Part(names, lambda _: iter(rows), classes=classes or {})


def read(path: Path) -> tuple[list[list[object]], Problems]:
    problems = Problems()
    return [list(row) for row in sources.read(file.on_disk(path)).rows(problems)], problems


def counts(problems: Problems) -> list[int]:
    return [times for times, _ in problems.found.values()]


def parts(path: Path) -> tuple[Part, list[Part]]:
    return sources.find(str(path)).open("")


def values(part: Part) -> list[list[object]]:
    return [list(row) for row in part.rows(Problems())]


@pytest.mark.parametrize(
    ("dataset", "name"),
    [
        ("sample", "sample"),
        ("stanfordnlp/imdb", "imdb"),
        ("glue:sst2", "glue_sst2"),
        ("someone/20-News.v2", "dataset_20_news_v2"),
    ],
)
def test_names_are_safe_for_tables(dataset: str, name: str) -> None:
    assert sources.find(dataset).name == name


@given(st.text(min_size=1, max_size=80))
def test_any_name_becomes_a_table_name(text: str) -> None:
    name = sources._name(text)
    assert name.isascii() and name[0].isalpha() and name.replace("_", "a").isalnum() and len(f"{name}_train") <= 63


@pytest.mark.parametrize("dataset", ["/nowhere/at/all", "reviews.csv", "a/b/c", "../x", "what is this"])
def test_what_is_neither_path_nor_hub_id_is_said(dataset: str) -> None:
    with pytest.raises(ImportFailed, match="no file or folder"):
        sources.find(dataset)


def test_csv_with_byte_order_mark_quoted_newline_and_huge_cell(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    huge = "x" * 1_000_000
    with path.open("w", encoding="utf-8-sig", newline="") as target:
        csv.writer(target).writerows([("text", "label"), ('two\nlines, "quoted"', "a"), (huge, "b"), ("", "c")])
    rows, problems = read(path)
    assert sources.read(file.on_disk(path)).columns == ["text", "label"]
    assert rows == [['two\nlines, "quoted"', "a"], [huge, "b"], ["", "c"]] and not problems.found


def test_csv_of_a_spreadsheet_with_semicolons_in_utf16(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("text;label\ngut, günstig;1\n", encoding="utf-16")
    assert read(tmp_path / "a.csv")[0] == [["gut, günstig", "1"]]


def test_csv_rows_of_another_width_are_left_out_and_counted(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("text,label\nfine,1\nbroken\ntoo,many,cells\n\nbad,0\n")
    rows, problems = read(tmp_path / "a.csv")
    assert rows == [["fine", "1"], ["bad", "0"]] and counts(problems) == [2]


def test_tsv_takes_quotes_as_they_are(tmp_path: Path) -> None:
    (tmp_path / "a.tsv").write_text('text\tlabel\n"one\t1\ntwo" it said\t0\n')
    assert read(tmp_path / "a.tsv")[0] == [['"one', "1"], ['two" it said', "0"]]


def test_jsonl_with_missing_keys_and_broken_lines(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_text('{"text": "a", "label": 1}\n{"text": "b", "id": [1]}\nnot json\n[1]\n\n')
    rows, problems = read(tmp_path / "a.jsonl")
    assert sources.read(file.on_disk(tmp_path / "a.jsonl")).columns == ["text", "label", "id"]
    assert rows == [["a", 1, None], ["b", None, [1]]] and counts(problems) == [2]


def test_parquet_with_declared_classes(tmp_path: Path) -> None:
    features = {"label": {"names": ["neg", "pos"], "_type": "ClassLabel"}, "text": {"_type": "Value"}}
    table = pa.table({"text": ["a", "b", "c"], "label": [1, 0, -1]})
    table = table.replace_schema_metadata({"huggingface": json.dumps({"info": {"features": features}})})
    pq.write_table(table, tmp_path / "a.parquet")
    assert read(tmp_path / "a.parquet")[0] == [["a", "pos"], ["b", "neg"], ["c", None]]


@pytest.mark.parametrize(
    ("name", "content", "sentence"),
    [
        ("a.csv", b"", "is empty: its first line must name the columns"),
        ("a.jsonl", b"nothing\n", "holds no JSON object"),
        ("a.parquet", b"PAR1 it is not", "is not a parquet file"),
        ("a.docx", b"", "is none of .csv, .tsv, .jsonl"),
    ],
)
def test_files_that_cannot_be_read_are_said(tmp_path: Path, name: str, content: bytes, sentence: str) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(ImportFailed, match=sentence):
        sources.read(file.on_disk(tmp_path / name))


def test_a_folder_has_its_parts_by_name(tmp_path: Path) -> None:
    for name in ("train-0.csv", "train-1.csv", "dev.csv", "test.csv", "notes.csv"):
        (tmp_path / name).write_text(f"text,label\n{name},1\n")
    train, tests = parts(tmp_path)
    assert [row[0] for row in values(train)] == ["train-0.csv", "train-1.csv"]
    assert [[row[0] for row in values(test)] for test in tests] == [["test.csv"], ["dev.csv"]]


def test_files_with_different_columns_are_joined_by_name(tmp_path: Path) -> None:
    (tmp_path / "train-0.csv").write_text("text,label\na,1\n")
    (tmp_path / "train-1.csv").write_text("label,text,id\n0,b,7\n")
    train, tests = parts(tmp_path)
    assert values(train) == [["a", "1", None], ["b", "0", "7"]] and not tests


def test_an_empty_folder_and_one_with_test_files_only_are_said(tmp_path: Path) -> None:
    with pytest.raises(ImportFailed, match=r"holds no \.csv"):
        parts(tmp_path)
    (tmp_path / "test.csv").write_text("text,label\na,1\n")
    with pytest.raises(ImportFailed, match="holds test files only"):
        parts(tmp_path)


def chosen(own: Part, text: str = "", label: str = "") -> tuple[str, str]:
    return choose.choose(columns.scan(own), own, text, label)


def test_columns_are_found_by_name_and_by_type() -> None:
    rows: list[tuple[object, ...]] = [(n, f"a long text number {n}", n % 2, f"{n}@example") for n in range(30)]
    assert chosen(part(["id", "Review", "Sentiment", "mail"], rows)) == ("Review", "Sentiment")
    assert chosen(part(["id", "what", "how", "mail"], rows)) == ("what", "how")
    assert chosen(part(["id", "what", "how", "mail"], rows), "mail") == ("mail", "how")
    declared = part(["label", "text", "mood", "x"], rows, {"mood": ["bad", "good"]})
    assert chosen(declared) == ("text", "mood")


def test_missing_columns_are_said_with_those_there_are() -> None:
    own = part(["a", "b"], [(n % 2, n / 7) for n in range(300)])
    with pytest.raises(MissingColumn, match=r"no column 'text': its columns are a, b\. Correct TEXT_COLUMN"):
        chosen(own, text="text")
    with pytest.raises(MissingColumn, match=r"looks like a label .* its columns are b\. Set LABEL_COLUMN"):
        chosen(part(["b"], [("only one",)]))
    with pytest.raises(MissingColumn, match=r"holds text: its columns are a, b\. Set TEXT_COLUMN"):
        chosen(own, label="a")


def test_sql_types_hold_the_values_of_both_parts() -> None:
    train = columns.scan(part(["n", "big", "x", "mix", "none"], [(1, 2**70, 1, True, None), (2, 1, 0.5, "b", None)]))
    assert columns.sql_types(train) == {
        "n": "bigint", "big": "numeric", "x": "double precision", "mix": "text", "none": "text",
    }  # fmt: skip
    assert columns.sql_types(train, columns.scan(part(["n"], [("three",)])))["n"] == "text"


def test_numbers_in_text_files_are_found_by_their_look() -> None:
    own = Part(["n", "zip", "x"], lambda _: iter([("10", "01234", "-0.5"), ("-3", "55555", "1.25e3")]), typed=False)
    assert columns.sql_types(columns.scan(own)) == {"n": "bigint", "zip": "text", "x": "double precision"}


@given(st.text(st.characters()))
def test_every_text_can_be_sent_to_the_database(text: str) -> None:
    sent = cells.cell(text, "text", Problems())
    assert sent is None or ("\0" not in sent and sent.encode().decode() == sent)


@given(st.lists(st.tuples(st.text(max_size=3), st.sampled_from("abc")), max_size=60))
def test_the_split_is_stratified_and_keeps_equal_texts_together(rows: list[tuple[str, str]]) -> None:
    own = part(["text", "label"], list(rows))
    train, test = ([tuple(row) for row in values(side)] for side in split(own, "text", "label"))
    assert Counter(train) + Counter(test) == Counter(rows)
    assert not {text for text, _ in train} & {text for text, _ in test}
    for label in {label for _, label in rows}:
        texts = {text for text, own_label in rows if own_label == label}
        assert len(texts) < 2 or any(row[1] == label for row in test)


def test_the_split_takes_one_in_five_of_each_class() -> None:
    rows: list[tuple[object, ...]] = [(f"text {n}", "rare" if n % 10 == 0 else "common") for n in range(1_000)]
    test = split(part(["text", "label"], rows), "text", "label")[1]
    assert Counter(row[1] for row in values(test)) == {"common": 180, "rare": 20}


class GatedRepoError(Exception): ...


class Refused(Exception):
    class response:  # noqa: N801
        status_code = 401


@pytest.mark.parametrize(
    ("error", "token", "kind"),
    [
        (GatedRepoError(), "", HubGated),
        (Refused(), "hf_x", HubBadToken),
        (ConnectionError(), "", HubUnreachable),
        (ValueError("first line\nsecond"), "", HubError),
    ],
)
def test_errors_of_the_hub_say_what_to_do(error: Exception, token: str, kind: type[HubError]) -> None:
    explained = hub_errors.explain(error, "dataset x", token)
    assert type(explained) is kind and "second" not in explained.message


def test_the_document_says_what_the_tests_show() -> None:
    assert data_cases.DOCUMENT.read_text() == data_cases.document(), "run python -m tests.data_cases"


@pytest.mark.parametrize(
    ("name", "train", "rank"),
    [
        ("train.csv", True, None), ("Training-Set_2", True, None), ("testimonials.csv", False, None),
        ("my test.csv", False, 0), ("TEST1", False, 0), ("reviewsTest.csv", False, 0), ("latest", False, None),
        ("values.csv", False, None), ("validation_matched", False, 2), ("evaluation_notes", False, None),
        ("dev-00000-of-00002.parquet", False, 1), ("devices", False, None), ("train_test", True, None),
        ("contest", False, None), ("eval", False, 3), ("тест", False, None),
    ],
)  # fmt: skip
def test_words_of_names_count_whole(name: str, train: bool, rank: int | None) -> None:
    assert (words.is_train(name), words.test_rank(name)) == (train, rank)
