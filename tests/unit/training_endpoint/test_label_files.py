"""Files of labels, as the tools write them: read without a script between, and wrong rows told by their lines."""

import csv
import io
import json
from typing import Any

import pytest

from training_endpoint.errors import BadFile
from training_endpoint.labelling import files

ROWS = [
    {"item": 1, "text": "=1+1"},
    {"item": 22, "text": 'said "so",\nthen; \t left\u2028\r\n'},
    {"item": 3, "text": " 'ñ 🙂 "},
]


def read(content: str | list[Any], column: str = "label", *, of_csv: bool | None = None) -> list[files.Said]:
    text = content if isinstance(content, str) else json.dumps(content)
    return files.read(text.encode(), column, of_csv=isinstance(content, str) if of_csv is None else of_csv)


def labels(said: list[files.Said]) -> dict[int, tuple[str, ...]]:
    return {one.item: one.labels for one in said}


def test_csv_comes_back_as_it_was() -> None:
    written = "".join(files.as_csv(ROWS))
    rows = list(csv.DictReader(io.StringIO(written, newline="")))
    assert [(int(row["item"]), row["text"]) for row in rows] == [(row["item"], row["text"]) for row in ROWS]
    stream = io.StringIO()
    writer = csv.DictWriter(stream, rows[0], delimiter=";")
    writer.writeheader()
    writer.writerows({**row, "label": "good"} for row in rows)
    said = read("\ufeff" + stream.getvalue())  # as a spreadsheet saves it where commas are decimal points
    assert [(one.item, one.text, one.labels) for one in said] == [(row["item"], row["text"], ("good",)) for row in ROWS]
    assert [one.where for one in said] == ["line 2", "line 3", "line 6"]


def test_json_comes_back_as_it_was() -> None:
    lines = "".join(files.as_jsonl(ROWS)).split("\n")[:-1]
    assert [json.loads(line) for line in lines] == json.loads("".join(files.as_json(ROWS)))
    assert json.loads("".join(files.as_json([]))) == []
    said = read("\n".join(json.dumps({**json.loads(line), "label": "good"}) for line in lines), of_csv=False)
    assert [(one.item, one.text, one.labels) for one in said] == [(row["item"], row["text"], ("good",)) for row in ROWS]


def test_label_studio() -> None:
    """Its CSV, its JSON-MIN and its JSON: its own number of a task is in `id`."""
    told = (
        "item,text,id,sentiment,annotator,annotation_id,created_at,updated_at,lead_time\n"
        "17,a film,1,good,anna@example.org,4,2026-11-28T05:00:00Z,2026-11-28T05:00:00Z,3.2\n"
        '18.0,another,2,"{""choices"": [""good"", ""bad""]}",anna@example.org,5,,,\n'
        "19,third,3,,anna@example.org,6,,,\n"
    )
    said = read(told, "sentiment")
    assert labels(said) == {17: ("good",), 18: ("good", "bad"), 19: ()}
    assert said[0].labeller == "anna@example.org"
    small = [
        {"item": 17, "text": "a film", "id": 1, "sentiment": "good", "annotator": 1, "lead_time": 3.2},
        {"item": "18", "text": "another", "id": 2, "sentiment": {"choices": ["good", "bad"]}, "annotator": 1},
        {"item": 19, "text": "third", "id": 3, "annotator": 1},
    ]
    assert labels(read(small, "sentiment", of_csv=False)) == {17: ("good",), 18: ("good", "bad"), 19: ()}

    def task(item: int, *chosen: str, **more: Any) -> dict[str, Any]:
        results = [
            {"from_name": "sentiment", "to_name": "text", "type": "choices", "value": {"choices": [one]}}
            for one in chosen
        ]
        other = {"from_name": "mood", "to_name": "text", "type": "choices", "value": {"choices": ["angry"]}}
        done = {"id": 9, "completed_by": 1, "was_cancelled": False, "result": [*results, other], **more}
        return {"id": 1, "data": {"item": item, "text": "a film"}, "annotations": [done], "predictions": []}

    tasks = [task(17, "good"), task(18, "good", was_cancelled=True), task(19)]
    tasks[0]["annotations"] *= 2
    assert labels(read(tasks, "sentiment", of_csv=False)) == {17: ("good",), 18: (), 19: ()}


def test_argilla() -> None:
    """Its records as JSON, and as a table of a data set: the record's id is ours."""

    def record(id: str, *answers: tuple[str, str], **metadata: Any) -> dict[str, Any]:
        given = [{"value": value, "user_id": "0b5c", "status": status} for value, status in answers]
        parts = {"suggestions": {"label": {"value": "bad", "score": 0.9, "agent": "m"}}, "vectors": {}}
        return {"id": id, "fields": {"text": "t"}, "metadata": metadata, "responses": {"label": given}, **parts}

    records = [
        record("17", ("good", "submitted")),
        record("f1", ("good", "submitted"), ("bad", "submitted"), item=18),
        record("19", ("good", "discarded")),
    ]
    assert labels(read(records, of_csv=False)) == {17: ("good",), 18: ("good", "bad"), 19: ()}
    older = [{**records[0], "responses": {"label": [{"value": "good", "user_id": "0b5c"}]}}]
    assert labels(read(older, of_csv=False)) == {17: ("good",)}
    lines = [
        {"id": "17", "status": "completed", "text": "t", "label.responses": ["good"], "label.responses.users": ["0b"]},
        {"id": "18", "text": "t", "label.responses": ["bad", "good"], "label.responses.status": ["draft", "submitted"]},
        {"id": "19", "text": "t", "label.responses": None, "label.suggestion": "bad"},
    ]
    said = read("\n".join(map(json.dumps, lines)), of_csv=False)
    assert labels(said) == {17: ("good",), 18: ("good",), 19: ()}


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("text,label\na,good\n", "no column 'item'"),
        ("item,label\n1,good\nx,bad\n,good\n", "line 3: it has no number of an item in 'item'; line 4: "),
        ("item,label\n1,good\n2\n", "line 3: it has 1 cells, the first line has 2"),
        ('item,label\n1,"good\n', "line 2: it is no CSV"),
        ("item,label\n1,\n", "say column=NAME"),
        ('{"item": 1, "label": "good"}\n{"item": 2, "label"\n', "line 2: it is no JSON"),
        ('{"item": 1, "label": true}', "line 1: its label true is no text"),
        ('{"item": true, "label": "good"}', "line 1: it has no number"),
        ('[{"item": 1, "label": "good"}, 7]', "entry 2: it is no object"),
        ("[" * 100_000, "nested too deeply"),
        ('[{"item": 1', "The file is no JSON"),
        ("\n".join('{"item": "x"}' for _ in range(50)), "and 30 more"),
    ],
)
def test_what_is_wrong_is_told_by_its_line(content: str, said: str) -> None:
    with pytest.raises(BadFile, match="^") as error:
        read(content, of_csv=content[0] not in "[{")
    assert said in error.value.message, error.value.message


def test_a_file_in_another_encoding_is_told() -> None:
    with pytest.raises(BadFile, match="not UTF-8"):
        files.read("item,label\n1,schön\n".encode("utf-16"), "label", of_csv=True)
    assert files.read(b"", "label", of_csv=True) == files.read(b" \n", "label", of_csv=False) == []
