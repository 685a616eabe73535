"""The queue as a file and back: what others labelled becomes rows, each item once, all of a file or none of it."""

import csv
import io
import json
from pathlib import Path
from typing import Any

import pytest
from flask.testing import FlaskClient

from tests import training
from tests.database_roles import connected
from training_endpoint.http import labelling
from training_endpoint.labelling import items, settle
from training_endpoint.labelling.items import New, Person

ANNA = Person("anna", "session 1")
TEXTS = ["=cmd|' /C calc'!A0", 'said "so",\nthen; left', "NA", "ñ 🙂 \u2028 film", "plain"]


@pytest.fixture(name="films")
def _films(films: str) -> str:
    """With texts that wait."""
    items.add(films, "films", [New("uncertain", text, champion_scores={"good": 0.6, "bad": 0.4}) for text in TEXTS])
    return films


@pytest.fixture
def client(films: str, tmp_path: Path) -> FlaskClient:
    return training.client(training.settings(films, tmp_path))


def exported(client: FlaskClient, written: str = "json") -> list[dict[str, Any]]:
    answer = client.get(f"/labelling/export?format={written}&classifier=films")
    assert answer.status_code == 200
    if written == "csv":
        return list(csv.DictReader(io.StringIO(answer.text, newline="")))
    found: list[dict[str, Any]] = (
        json.loads(answer.text) if written == "json" else [json.loads(line) for line in answer.text.split("\n")[:-1]]
    )
    return found


def put(client: FlaskClient, rows: Any, query: str = "") -> Any:
    return client.post(f"/labelling/import?{query}", json=rows)


def told(answer: Any) -> str:
    assert answer.status_code == 422
    return str(answer.get_json()["error"]["message"])


def rows(url: str) -> list[Any]:
    with connected(url, "platform") as connection:
        return connection.execute("SELECT text, label FROM film_train ORDER BY 1").fetchall()


@pytest.mark.parametrize("written", ["csv", "jsonl", "json"])
def test_there_and_back_texts_are_the_same_and_rows_come_once(
    films: str, client: FlaskClient, tmp_path: Path, written: str
) -> None:
    found = exported(client, written)
    assert sorted(one["text"] for one in found) == sorted(TEXTS)
    assert not any("good" in str(one) for one in found), "what the model takes it for would lead"
    for one in found:
        one["label"] = "good"
    if written == "csv":
        stream = io.StringIO(newline="")
        writer = csv.DictWriter(stream, found[0])
        writer.writeheader()
        writer.writerows(found)
        body, kind = stream.getvalue(), "text/csv"
    else:
        lines = [json.dumps(one) for one in found]
        body, kind = (
            ("\n".join(lines), "application/jsonl") if written == "jsonl" else (json.dumps(found), "application/json")
        )
    for labelled, known in ((5, 0), (0, 5)):
        answer = client.post("/labelling/import?who=anna", data=body.encode(), content_type=kind).get_json()
        assert answer == {"labelled": labelled, "known": known, "without": 0, "gone": 0, "several": [], "kept": []}
    settings = training.settings(films, tmp_path)
    assert settle.apply(settings, undo_s=0) == 5 and settle.apply(settings, undo_s=0) == 0
    assert sorted(rows(films)) == sorted((text, "good") for text in TEXTS)
    assert exported(client, written) == []
    with connected(films, "platform") as connection:
        assert connection.execute("SELECT DISTINCT labeller FROM label_queue.items").fetchall() == [("anna",)]


def test_what_is_on_a_screen_or_of_another_classifier_is_not_exported(films: str, client: FlaskClient) -> None:
    held = items.take(films, "films", ANNA, {"uncertain": 1})
    assert held is not None and held.text not in [one["text"] for one in exported(client)]
    items.add(films, "films", [New("audit", "audited", priority=5), New("audit", "audited too")])
    lines = client.get("/labelling/export?format=jsonl&limit=2").text.split("\n")
    first = {json.loads(line)["text"] for line in lines if line}
    assert len(first) == 2 and "audited" in first and len(first & set(TEXTS)) == 1, "of each reason the first"
    assert client.get("/labelling/export?classifier=no").status_code == 404
    for wrong in ("format=xml", "limit=0", "classifier=%00"):
        assert client.get(f"/labelling/export?{wrong}").status_code == 422


def test_a_person_was_first(films: str, client: FlaskClient) -> None:
    found = exported(client)
    mine = items.take(films, "films", ANNA, {"uncertain": 1})
    other = items.take(films, "films", Person("ben", "2"), {"uncertain": 1})
    assert mine is not None and other is not None
    items.submit(films, mine.id, "bad", ANNA)
    items.drop(films, [found[4]["item"]], "wanted no longer")
    answer = put(client, [{**one, "label": "good"} for one in found[:5]]).get_json()
    assert (answer["labelled"], answer["gone"], answer["known"]) == (3, 1, 0)
    assert answer["kept"] == ["entry 1: anna has labelled it 'bad'"]
    with pytest.raises(Exception, match="Somebody else"):
        items.submit(films, other.id, "bad", Person("ben", "2"))


def test_labels_for_a_classifier_that_was_retired_meanwhile_are_told_as_gone(films: str, client: FlaskClient) -> None:
    found = [{**one, "label": "good"} for one in exported(client)]
    with connected(films, "postgres") as owner:
        owner.execute("UPDATE classifiers SET retired_at = now(), is_default = false")
    answer = put(client, found).get_json()
    assert (answer["labelled"], answer["gone"]) == (0, len(TEXTS))


def test_one_bad_row_and_nothing_is_imported(films: str, client: FlaskClient) -> None:
    found = [{**one, "label": "good"} for one in exported(client)]
    first = found[0]["item"]
    wrong = [
        *found,
        {"item": 999, "label": "good"},
        {"item": first, "label": "god"},
        {"item": first, "label": "Good"},
        {"item": first, "label": "bad"},
        {"item": first, "text": "another text", "label": "good"},
        {"item": first, "label": "a\u0000b"},
    ]
    message = told(put(client, wrong))
    for said in (
        "Nothing was imported. entry 6: the queue has no item 999",
        "entry 7: There is no class 'god' yet",
        "entry 8: 'Good' differs from 'good'",
        f"entry 9: item {first} is labelled 'good' in entry 1",
        f"entry 10: the text is not that of item {first}",
        "entry 11: a label has",
    ):
        assert said in message, message
    assert len(exported(client)) == 5
    assert "no class" in told(put(client, [{"item": first, "label": "mixed"}]))
    assert put(client, [{"item": first, "label": "mixed"}], "new=true").get_json()["labelled"] == 1
    answer = put(client, [{"item": found[1]["item"], "label": ["good", "bad"]}, {"item": found[2]["item"]}]).get_json()
    assert (answer["several"], answer["without"]) == (["entry 1: 'good' and 'bad'"], 1)
    assert put(client, [{"item": found[1]["item"], "mood": "good"}], "column=mood").get_json()["labelled"] == 1


def test_strangers_neither_read_nor_write_it_and_bodies_have_a_bound(
    client: FlaskClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    big = b"item,label\n" + b"999,good\n" * 20_000
    assert client.post("/labelling/import", data=big, content_type="text/csv").status_code == 422, "over 64 KiB"
    monkeypatch.setattr(labelling, "MOST_BYTES", 1_000)
    assert client.post("/labelling/import", data=big, content_type="text/csv").status_code == 413
    assert client.post("/labelling/import", data=b"item,label", content_type="text/plain").status_code == 415
    assert client.post("/labelling/import?new=1", json=[]).status_code == 422
    client.environ_base["HTTP_AUTHORIZATION"] = "Bearer wrong"
    assert client.get("/labelling/export").status_code == 401
    assert client.post("/labelling/import", data=big, content_type="text/csv").status_code == 401
