"""The importer with a real PostgreSQL."""

import json
import os
import threading
from pathlib import Path
from typing import Any

import psycopg
import pytest

from tests import services, training
from tests.database_roles import url_of
from training_endpoint.data import counts, importer, snapshot
from training_endpoint.errors import (
    DatabaseUnavailable,
    EmptyTable,
    ImportBusy,
    ImportConflict,
    ImportFailed,
    MissingColumn,
    OneClass,
)
from training_endpoint.settings import Settings


@pytest.fixture
def settings(database: str, tmp_path: Path) -> Settings:
    return training.settings(database, tmp_path)


def ask(database: str, query: str) -> list[tuple[Any, ...]]:
    with psycopg.connect(database) as connection:
        return connection.execute(query.encode()).fetchall()


def write(folder: Path, **files: str) -> Path:
    folder.mkdir(exist_ok=True)
    for name, text in files.items():
        (folder / f"{name}.csv").write_text(text)
    return folder


REVIEWS = "text,label\n" + "".join(f"a review {n},{('bad', 'good')[n % 2]}\n" for n in range(50))


def test_the_sample_becomes_the_current_dataset(settings: Settings, database: str) -> None:
    assert importer.current(database) is None
    lines: list[str] = []
    done = importer.import_dataset(settings, progress=lines.append)
    assert done.pop("notes") == ["Text column 'text', label column 'label'; other columns: 0."]
    assert done == importer.current(database) == {
        "name": "sample", "train_table": "sample_train", "test_table": "sample_test", "text_column": "text",
        "label_column": "label", "labels": ["negative", "positive"], "source": "sample",
        "train": {"rows": 320, "classes": {"negative": 160, "positive": 160}},
        "test": {"rows": 1000, "classes": {"negative": 500, "positive": 500}},
        "pending_events": 0,
    }  # fmt: skip
    assert "sample_train: 320 rows." in lines and lines[-1].startswith("Watching sample_train and sample_test")
    read = snapshot.read(database, 1_000)
    assert (len(read.train), len(read.test), read.dropped, read.overlap) == (320, 1000, {}, 0)


def test_rows_that_come_later_are_events(settings: Settings, database: str) -> None:
    importer.import_dataset(settings)
    training.insert(database, "sample_train", [("new", "positive"), ("newer", "positive")])
    assert ask(database, "SELECT table_name, operation, rows FROM training_events") == [("sample_train", "INSERT", 2)]
    now = importer.current(database)
    assert now and now["pending_events"] == 1 and now["train"]["classes"]["positive"] == 162


def test_importing_again_changes_nothing(settings: Settings, database: str, tmp_path: Path) -> None:
    folder = write(tmp_path / "reviews", train=REVIEWS)
    first = importer.import_dataset(settings, str(folder))
    training.insert(database, "reviews_train", [("mine", "good")])
    write(folder, train="text,label\nother,bad\n")
    lines: list[str] = []
    again = importer.import_dataset(settings, str(folder), progress=lines.append)
    assert again["train"]["rows"] == first["train"]["rows"] + 1 and again["pending_events"] == 1
    assert lines == ["Dataset reviews is already imported: no row changes."]


def test_an_earlier_dataset_can_be_chosen_again(settings: Settings, database: str, tmp_path: Path) -> None:
    importer.import_dataset(settings)
    assert importer.import_dataset(settings, str(write(tmp_path / "reviews", train=REVIEWS)))["name"] == "reviews"
    assert importer.import_dataset(settings)["name"] == "sample"
    assert ask(database, "SELECT name, is_default FROM classifiers ORDER BY name") == [
        ("reviews", False),
        ("sample", True),
    ]


def test_any_columns_become_columns_of_the_tables(settings: Settings, database: str, tmp_path: Path) -> None:
    row = {"id": 7, 'Re"view; DROP': "gut", "Class": 2, "ok": True, "x": 0.5, "tags": ["a", 1], "n": None}
    rows = [{**row, 'Re"view; DROP': f"gut {n}", "Class": (2, 10)[n % 2], "x": (3, 0.5)[n % 2]} for n in range(20)]
    (tmp_path / "odd.jsonl").write_text("".join(json.dumps(line) + "\n" for line in rows))
    done = importer.import_dataset(settings, str(tmp_path / "odd.jsonl"), text_column='Re"view; DROP')
    assert (done["name"], done["text_column"], done["label_column"]) == ("odd", 'Re"view; DROP', "Class")
    assert done["labels"] == ["2", "10"]
    assert ask(
        database,
        "SELECT column_name, data_type FROM information_schema.columns WHERE table_name = 'odd_train'"
        " ORDER BY ordinal_position",
    ) == [
        ("id", "bigint"), ('Re"view; DROP', "text"), ("Class", "bigint"), ("ok", "boolean"), ("x", "double precision"),
        ("tags", "text"), ("n", "text"),
    ]  # fmt: skip
    assert ask(database, "SELECT DISTINCT tags FROM odd_test") == [('["a", 1]',)]


def test_one_file_is_split(settings: Settings, tmp_path: Path) -> None:
    done = importer.import_dataset(settings, str(write(tmp_path / "reviews", everything=REVIEWS)))
    assert done["train"]["classes"] == {"bad": 20, "good": 20} and done["test"]["classes"] == {"bad": 5, "good": 5}


def test_a_test_file_without_labels_is_passed_over(settings: Settings, tmp_path: Path) -> None:
    hidden = "text,label\nguess,\n"
    done = importer.import_dataset(settings, str(write(tmp_path / "contest", train=REVIEWS, test=hidden, dev=REVIEWS)))
    assert done["test"]["rows"] == 50


@pytest.mark.parametrize(
    ("text", "error", "sentence"),
    [
        ("text,label\nonly,1\n", OneClass, "one value only, '1'"),
        ("text,label\na,1\nb,1\nc,1\n", OneClass, "one value only, '1'"),
        ("text,label\n", MissingColumn, "its columns are text, label"),
        ("words,label\n1,2\n3,4\n", MissingColumn, "its columns are words, label. Set TEXT_COLUMN"),
        ("text,label\n" + "".join(f"t{n},{n}\n" for n in range(500)), MissingColumn, "looks like a label"),
    ],
)
def test_what_cannot_be_trained_on_leaves_nothing(
    settings: Settings, tmp_path: Path, text: str, error: type[Exception], sentence: str
) -> None:
    folder = write(tmp_path / "bad", train=text)
    with pytest.raises(error, match=sentence):
        importer.import_dataset(settings, str(folder))
    database = settings.database_url
    assert importer.current(database) is None
    assert ask(database, "SELECT to_regclass('bad_train'), to_regclass('bad_test')") == [(None, None)]


def test_a_label_column_of_too_many_values_is_refused(settings: Settings, tmp_path: Path) -> None:
    text = "text,mark,label\n" + "".join(f"t{n},{n},1\n" for n in range(500))
    with pytest.raises(ImportFailed, match="'mark' has more than 200 different values"):
        importer.import_dataset(settings, str(write(tmp_path / "bad", train=text)), label_column="mark")


def test_equal_texts_leave_no_training_rows(settings: Settings, tmp_path: Path) -> None:
    text = "text,label\n" + "same,good\nsame,bad\n" * 10
    with pytest.raises(EmptyTable, match="No row was left for bad_train"):
        importer.import_dataset(settings, str(write(tmp_path / "bad", train=text)))


def test_names_that_are_taken_are_said(settings: Settings, database: str, tmp_path: Path) -> None:
    first = write(tmp_path / "reviews", train=REVIEWS)
    (tmp_path / "two").mkdir()
    second = write(tmp_path / "two" / "reviews", train=REVIEWS)
    importer.import_dataset(settings, str(first))
    with pytest.raises(ImportConflict, match=f"imported from {first}"):
        importer.import_dataset(settings, str(second))
    with pytest.raises(ImportConflict, match="imported with text column 'text'"):
        importer.import_dataset(settings, str(first), text_column="label")
    with psycopg.connect(database) as connection:
        connection.execute("CREATE TABLE mine_train (x int)")
    with pytest.raises(ImportConflict, match="a table mine_train already"):
        importer.import_dataset(settings, str(write(tmp_path / "mine", train=REVIEWS)))


def test_two_imports_at_once_make_one_dataset(settings: Settings, database: str) -> None:
    reading, going = threading.Event(), threading.Event()

    def slow(line: str) -> None:
        if line.startswith("Reading"):
            reading.set()
            going.wait(30)

    first = threading.Thread(target=importer.import_dataset, args=(settings,), kwargs={"progress": slow})
    first.start()
    assert reading.wait(30)
    with pytest.raises(ImportConflict, match="Another import is going on"):
        importer.import_dataset(settings)
    going.set()
    first.join(60)
    now = importer.current(database)
    assert now and now["train"]["rows"] == 320


def test_a_bad_import_is_made_anew_and_the_old_tables_stay(
    settings: Settings, database: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = write(tmp_path / "reviews", train=REVIEWS.replace("review", "reviex"))
    importer.import_dataset(settings, str(folder))
    training.insert(database, "reviews_train", [("mine", "good")])
    write(folder, train=REVIEWS)
    for name, value in {"DATABASE_URL": database, "MLFLOW_TRACKING_URI": "http://x", "PLATFORM_TOKEN": "x"}.items():
        monkeypatch.setenv(name, value)
    assert importer.main(["--dataset", str(folder), "--replace"]) == 0
    tables = {name for (name,) in ask(database, "SELECT tablename FROM pg_tables WHERE tablename LIKE 'reviews%'")}
    (old,) = [name for name in tables if name.startswith("reviews_train_")]
    assert len(tables) == 4
    assert ask(database, f"SELECT count(*), count(*) FILTER (WHERE text = 'mine') FROM {old}") == [(41, 1)]
    now = importer.current(database)
    assert now and now["train"]["rows"] == 40 and now["train_table"] == "reviews_train"
    assert ask(database, "SELECT DISTINCT split_part(text, ' ', 2) FROM reviews_train") == [("review",)]
    events = "SELECT count(*) FROM training_events"
    before = ask(database, events)
    training.insert(database, old, [("late", "good")])  # nobody watches it any more
    assert ask(database, events) == before
    training.insert(database, "reviews_train", [("late", "good")])
    assert ask(database, events) == [(before[0][0] + 1,)]


def test_importing_anew_in_vain_changes_nothing(settings: Settings, database: str, tmp_path: Path) -> None:
    folder = write(tmp_path / "reviews", train=REVIEWS)
    first = importer.import_dataset(settings, str(folder))
    write(folder, train="text,label\nonly,1\n")
    with pytest.raises(OneClass):
        importer.import_dataset(settings, str(folder), anew=True)
    now = importer.current(database)
    assert now and now["train"] == first["train"]
    training.insert(database, "reviews_train", [("late", "good")])
    assert ask(database, "SELECT count(*) FROM training_events") == [(1,)]


def test_a_request_imports_anew(settings: Settings, database: str, tmp_path: Path) -> None:
    folder = write(tmp_path / "reviews", train=REVIEWS)
    client = training.client(training.settings(database, tmp_path, DATASET=str(folder)))
    assert client.post("/datasets", json={}).status_code == 201
    assert client.post("/datasets", json={}).status_code == 200
    answer = client.post("/datasets", json={"replace": True})
    assert answer.status_code == 201
    assert [note for note in answer.get_json()["notes"] if "Table reviews_train is kept as reviews_train_" in note]
    assert client.post("/datasets", json={"replace": "yes"}).status_code == 422


def test_a_request_says_the_encoding(settings: Settings, database: str, tmp_path: Path) -> None:
    (tmp_path / "r.csv").write_text(REVIEWS.replace("review", "отзыв"), encoding="koi8-r")
    client = training.client(training.settings(database, tmp_path, DATASET=str(tmp_path / "r.csv")))
    assert "set ENCODING" in client.post("/datasets", json={}).get_json()["error"]["message"]
    assert client.post("/datasets", json={"encoding": "koi8-r"}).status_code == 201
    assert ask(database, "SELECT text FROM r_train WHERE text LIKE '% 4'") == [("a отзыв 4",)]


def test_links_out_of_the_folder_are_passed_over(settings: Settings, database: str, tmp_path: Path) -> None:
    write(tmp_path / "other", secret=REVIEWS.replace("review", "secret"))
    folder = write(tmp_path / "reviews", train=REVIEWS)
    (folder / "train-2.csv").symlink_to(tmp_path / "other" / "secret.csv")
    (folder / "train-3.csv").symlink_to("train-3.csv")
    (folder / "inside.csv").symlink_to(folder / "train.csv")
    lines: list[str] = []
    importer.import_dataset(settings, str(folder), progress=lines.append)
    assert ask(database, "SELECT count(*) FROM reviews_train WHERE text LIKE '%secret%'") == [(0,)]
    said = "\n".join(lines)
    assert (
        "train-2.csv was passed over: it is a link out of the folder." in said and "train-3.csv was passed over" in said
    )


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_what_may_not_be_read_is_said(settings: Settings, tmp_path: Path) -> None:
    folder = write(tmp_path / "reviews", train=REVIEWS)
    (folder / "train.csv").chmod(0)
    with pytest.raises(ImportFailed, match=r"train\.csv cannot be read \(Permission denied\)"):
        importer.import_dataset(settings, str(folder))
    folder.chmod(0)
    with pytest.raises(ImportFailed, match="Permission denied"):
        importer.import_dataset(settings, str(folder))
    folder.chmod(0o700)


def test_the_service_role_may_import(settings: Settings, database: str, tmp_path: Path) -> None:
    services.apply_schema(database)  # which says where the role creates tables
    own = training.settings(url_of(database, "platform"), tmp_path)
    assert importer.import_dataset(own)["name"] == "sample"
    made = ask(database, "SELECT schemaname, tableowner FROM pg_tables WHERE tablename = 'sample_train'")
    assert made == [("datasets", "platform")]
    training.insert(own.database_url, "sample_train", [("new", "positive")])
    now = importer.current(own.database_url)
    assert now and now["pending_events"] == 1


def test_a_large_table_is_sampled_in_time(settings: Settings, database: str, monkeypatch: pytest.MonkeyPatch) -> None:
    training.dataset(database)
    training.insert(database, "film_train", [(f"text {n}", ("good", "bad", "bad")[n % 3]) for n in range(60_000)])
    with psycopg.connect(database) as connection:
        connection.execute("ANALYZE film_train")  # as autovacuum does soon
    monkeypatch.setattr(counts, "EXACT_ROWS", 10_000)
    monkeypatch.setattr(counts, "SAMPLED_ROWS", 20_000)
    now = importer.current(database)
    assert now and now["train"]["estimated"] and "estimated" not in now["test"]
    assert now["train"]["rows"] == pytest.approx(60_000, rel=0.3)
    assert now["train"]["classes"] == {"bad": pytest.approx(40_000, rel=0.5), "good": pytest.approx(20_000, rel=0.5)}


def test_a_table_of_twenty_million_rows_by_the_catalogue_is_not_counted(settings: Settings, database: str) -> None:
    training.dataset(database)
    training.insert(database, "film_train", [(f"text {n} {'x' * 200}", ("good", "bad")[n % 2]) for n in range(20_000)])
    with psycopg.connect(database, autocommit=True) as connection:
        connection.execute("VACUUM ANALYZE film_train")
        connection.execute("UPDATE pg_class SET reltuples = 20e6 WHERE relname = 'film_train'")
        now = importer.current(database)
        assert now and now["train"]["estimated"]
        assert now["train"]["rows"] < 20e6 * 2


def test_what_is_pending_is_what_no_training_has_covered(settings: Settings, database: str) -> None:
    training.dataset(database)
    with psycopg.connect(database, autocommit=True) as connection:
        connection.execute(  # a run has been started for all of it
            "WITH e AS (DELETE FROM training_event_queue RETURNING *)"
            " INSERT INTO training_event_history SELECT e.*, 'run', 'films' FROM e"
        )
    now = importer.current(database)
    assert now and now["pending_events"] == 2


def test_an_advisory_lock_of_somebody_holds_no_import_up(settings: Settings, database: str) -> None:
    with psycopg.connect(database) as somebody:
        somebody.execute("SELECT pg_advisory_lock(7314001)")
        assert importer.import_dataset(settings)["name"] == "sample"


def test_an_import_of_what_is_known_waits_for_no_writer(settings: Settings, database: str) -> None:
    importer.import_dataset(settings)
    with psycopg.connect(database) as writer:
        writer.execute("INSERT INTO sample_train VALUES ('a', 'positive')")
        assert importer.import_dataset(settings)["name"] == "sample"
    with psycopg.connect(database, autocommit=True) as owner:
        owner.execute("DROP TRIGGER training_event_update ON sample_train")
    with psycopg.connect(database) as writer:
        writer.execute("INSERT INTO sample_train VALUES ('a', 'positive')")
        with pytest.raises(ImportBusy, match="sample_train is in use by a transaction that goes on"):
            importer.import_dataset(settings)
    importer.import_dataset(settings)


def test_tables_that_are_gone_are_said(settings: Settings, database: str) -> None:
    importer.import_dataset(settings)
    with psycopg.connect(database, autocommit=True) as owner:
        owner.execute("ALTER TABLE sample_train RENAME TO mine")
    with pytest.raises(ImportConflict, match=r"Somebody changed the tables of sample .*create_classifier"):
        importer.import_dataset(settings)
    with psycopg.connect(database, autocommit=True) as owner:
        ((heal,),) = owner.execute("SELECT heal FROM classifier_troubles").fetchall()
        owner.execute(f"SET search_path = public, datasets; {heal}")
    assert importer.import_dataset(settings)["train_table"] == "mine"


def test_the_command(
    settings: Settings, database: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name, value in {"DATABASE_URL": database, "MLFLOW_TRACKING_URI": "http://x", "PLATFORM_TOKEN": "x"}.items():
        monkeypatch.setenv(name, value)
    assert importer.main([]) == 0
    assert "Current dataset: sample, 320 training and 1,000 test rows." in capsys.readouterr().out
    assert importer.main(["--dataset", "/nowhere.csv"]) == 1
    assert "no file or folder /nowhere.csv" in capsys.readouterr().err


def test_an_absent_database_is_said(tmp_path: Path) -> None:
    with pytest.raises(DatabaseUnavailable):
        importer.import_dataset(training.settings("postgresql://127.0.0.1:9/x", tmp_path))
