import json
from pathlib import Path
from typing import Any

import psycopg
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from mlops_contract.errors import PlatformError
from tests import training
from training_endpoint import errors
from training_endpoint.data import lineage, snapshot
from training_endpoint.data.snapshot import Rows, Snapshot

LIMIT = 1_000


def execute(url: str, statement: str) -> None:
    with psycopg.connect(url) as connection:
        connection.execute(statement)


def test_reads_the_rows_and_the_events_that_it_covers(database: str) -> None:
    training.dataset(database)
    taken = snapshot.read(database, LIMIT)
    assert taken.label_names == ["bad", "good"]
    read = {(text, taken.label_names[label]) for text, label in zip(taken.train.texts, taken.train.labels, strict=True)}
    assert read == set(training.TRAIN)
    assert len(taken.test) == 2 and taken.overlap == 0 and taken.dropped == {}
    assert len(taken.event_ids) == 2 and taken.watermark.count(":") == 2


def test_the_digest_depends_on_the_rows_and_not_on_their_order(database: str, postgres_server: str) -> None:
    training.dataset(database, train=training.TRAIN[::-1])
    reversed_rows = snapshot.read(database, LIMIT)
    execute(database, "DELETE FROM film_train")
    training.insert(database, "film_train", training.TRAIN)
    straight = snapshot.read(database, LIMIT)
    assert straight.digest == reversed_rows.digest and straight.train == reversed_rows.train
    training.insert(database, "film_train", [("one more", "good")])
    assert snapshot.read(database, LIMIT).digest != straight.digest


def test_a_row_that_is_not_committed_is_neither_trained_on_nor_covered(database: str) -> None:
    training.dataset(database)
    before = snapshot.read(database, LIMIT)
    with psycopg.connect(database) as writer:
        writer.execute("INSERT INTO film_train VALUES ('late', 'good')")
        during = snapshot.read(database, LIMIT)
    after = snapshot.read(database, LIMIT)
    assert during.digest == before.digest and during.event_ids == before.event_ids
    assert len(after.event_ids) == 3 and "late" in after.train.texts


def test_unusable_rows_are_left_out_and_counted(database: str) -> None:
    bad: list[tuple[Any, Any]] = [
        (None, "good"),
        ("", "good"),
        (" \n\t", "bad"),
        ("no label", None),
        ("typo", "goood"),
        training.TRAIN[0],
    ]
    training.dataset(database, train=training.TRAIN + bad, test=[*training.TEST, ("what", "strange")])
    taken = snapshot.read(database, LIMIT)
    assert taken.dropped == {
        "null text": 1,
        "blank text": 2,
        "null label": 1,
        "of the new class 'goood', which is learned from 10 training rows on": 1,
        "unknown label": 1,
        "repeated row": 1,
    }
    assert len(taken.train) == len(training.TRAIN)


def test_a_text_of_a_megabyte_is_cut_and_counted(database: str) -> None:
    training.dataset(database, train=[*training.TRAIN, ("x" * 1_000_000, "good")])
    taken = snapshot.read(database, LIMIT)
    assert max(map(len, taken.train.texts)) == LIMIT and taken.cut == 1


def test_rows_in_both_tables_are_counted(database: str) -> None:
    training.dataset(database, test=[*training.TEST, (training.TRAIN[0][0], "bad")])
    assert snapshot.read(database, LIMIT).overlap == 1


def test_a_test_class_that_nobody_trains_is_left_out(database: str) -> None:
    labels = ("bad", "good", "odd")
    training.dataset(database, test=[*training.TEST, ("an odd one", "odd")], labels=labels)
    taken = snapshot.read(database, LIMIT)
    assert taken.dropped == {"test label not in train": 1} and taken.label_names == ["bad", "good"]


def test_a_class_of_two_rows_that_the_test_table_lacks_is_kept(database: str) -> None:
    rare = [("an odd one", "odd"), ("odd again", "odd")]
    training.dataset(database, train=training.TRAIN + rare, labels=("bad", "good", "odd"))
    taken = snapshot.read(database, LIMIT)
    assert list(taken.train.labels).count(2) == 2 and taken.label_names == ["bad", "good", "odd"]


@pytest.mark.parametrize(
    ("damage", "error", "said"),
    [
        ("DELETE FROM classifiers", errors.NoDataset, "POST /datasets"),
        ("DROP TABLE film_train", errors.MissingTable, "film_train is gone"),
        ("DELETE FROM film_train", errors.EmptyTable, "film_train has no usable row .it is empty"),
        ("UPDATE film_train SET text = NULL", errors.EmptyTable, "12 with null text"),
        ("DELETE FROM film_test", errors.EmptyTable, "film_test has no usable row"),
        ("DELETE FROM film_train WHERE label = 'bad'", errors.OneClass, "all rows of film_train are labelled 'good'"),
        (
            "ALTER TABLE film_train RENAME text TO review",
            errors.MissingColumn,
            "no column 'text'; it has review, label",
        ),
        ("ALTER TABLE film_test DROP label", errors.MissingColumn, "film_test has no column 'label'"),
        (
            "ALTER TABLE film_train ALTER text TYPE bytea USING '\\xff00'::bytea",
            errors.DataError,
            "holds bytes .bytea.: it must hold text",
        ),
    ],
)
def test_data_that_cannot_be_trained_on_is_named(
    database: str, damage: str, error: type[PlatformError], said: str
) -> None:
    training.dataset(database)
    execute(database, damage)
    with pytest.raises(error, match=f"(?i){said}"):
        snapshot.read(database, LIMIT)


@pytest.mark.parametrize(
    ("change", "names"),
    [
        ("labels || '[2]'", ["0", "1", "2"]),
        ('labels || \'["2", 2, "2"]\'', ["0", "1", "2"]),
        ("labels || '[null, 2.0]'", ["0", "1", "2"]),
        ('\'[" 0 ", 1, true, ""]\'', ["0", "1", "2"]),
    ],
)
def test_labels_changed_by_sql_are_compared_as_text(database: str, change: str, names: list[str]) -> None:
    rows = [(f"text {n}", str(n % 3)) for n in range(30)]
    training.dataset(database, rows, [(f"test {n}", str(n % 3)) for n in range(6)], labels=("0", "1"))
    for table in ("film_train", "film_test"):
        execute(database, f"ALTER TABLE {table} ALTER label TYPE bigint USING label::bigint")
    execute(database, f"UPDATE classifiers SET labels = {change} WHERE is_default")
    taken = snapshot.read(database, LIMIT)
    assert taken.label_names == names
    assert len(taken.train) == 10 * len(names)
    assert taken.dropped == {}


@pytest.mark.parametrize("labels", ["{}", '"good"', "7", "null", '[["a"]]', '[{"a": 1}]'])
def test_labels_that_are_no_list_are_refused_by_the_database(database: str, labels: str) -> None:
    training.dataset(database)
    with pytest.raises(psycopg.errors.CheckViolation):
        execute(database, f"UPDATE classifiers SET labels = '{labels}'")
    assert snapshot.read(database, LIMIT).label_names == ["bad", "good"]


def test_blanks_around_labels_do_not_count(database: str) -> None:
    training.dataset(database, [*training.TRAIN, ("late", " good\n"), ("none", "  ")])
    taken = snapshot.read(database, LIMIT)
    assert taken.dropped == {"null label": 1} and list(taken.train.labels).count(1) == 7


def test_the_view_of_coverage_says_what_a_run_left_out(database: str) -> None:
    training.dataset(database, [*training.TRAIN, (None, "good")])
    execute(
        database,
        "INSERT INTO training_jobs (job_id, run_id, status, detail) VALUES"
        """ ('j', 'r', 'succeeded', '{"dataset": {"dropped": {"null text": 1}}}');"""
        "INSERT INTO training_coverage (event_id, classifier, job_id)"
        " SELECT min(id), 'films', 'j' FROM training_events",
    )
    with psycopg.connect(database) as connection:
        seen = connection.execute("SELECT state, left_out FROM training_data_coverage ORDER BY event").fetchall()
    assert seen == [("succeeded", {"null text": 1}), ("pending", None)]


def test_names_that_need_quotes(database: str) -> None:
    training.dataset(database)
    execute(database, 'ALTER TABLE film_train RENAME TO "Film ""Train"" ü"')
    execute(database, 'ALTER TABLE film_test RENAME text TO "the text"')
    execute(database, 'ALTER TABLE "Film ""Train"" ü" RENAME text TO "the text"')
    execute(
        database,
        'UPDATE classifiers SET text_column = \'the text\', train_table = \'"Film ""Train"" ü"\'',
    )
    assert len(snapshot.read(database, LIMIT).train) == len(training.TRAIN)


def test_a_database_that_does_not_answer_is_a_503_that_says_so(tmp_path: Path) -> None:
    with pytest.raises(errors.DatabaseUnavailable, match="does not answer") as caught:
        snapshot.read(f"postgresql://x@/x?host={tmp_path}", LIMIT)
    assert caught.value.status == 503


def test_an_interrupted_job_goes_on_with_the_rows_that_it_began_with(database: str, tmp_path: Path) -> None:
    training.dataset(database)
    taken = snapshot.read(database, LIMIT)
    lineage.keep(taken, tmp_path / "snapshot.json")
    training.insert(database, "film_train", [("one more", "good")])
    assert lineage.kept(tmp_path / "snapshot.json") == taken
    old = {name: value for name, value in vars(taken).items() if name not in lineage.SPLITS}
    for split in lineage.SPLITS:
        rows = getattr(taken, split)
        old[split] = {"texts": list(rows.texts), "labels": rows.labels.tolist()}
    (tmp_path / "old.json").write_text(json.dumps(old))
    assert lineage.kept(tmp_path / "old.json") == taken, "what an earlier release began goes on after an upgrade"


def test_lineage_finds_the_rows_again_or_says_which_changed(database: str, tmp_path: Path) -> None:
    training.dataset(database)
    taken = snapshot.read(database, LIMIT)
    lineage.write(taken, LIMIT, tmp_path)
    training.insert(database, "film_train", [("one more", "good")])
    recorded, same = lineage.compare(tmp_path, database)
    assert same.digest == taken.digest == recorded["digest"]
    assert same.gone == [] and same.new == [("train", "good", "one more")]
    execute(database, "UPDATE film_test SET label = 'bad' WHERE text = 'a fine one'")
    _, changed = lineage.compare(tmp_path, database)
    gone = snapshot.row_hash("test", "a fine one", "good")[: lineage.HASH_BYTES].hex()
    assert changed.gone == [("test", gone)] and changed.digest != taken.digest
    assert ("test", "bad", "a fine one") in changed.new


def mails(database: str, rows: int = 200, **columns: str) -> None:
    """A classifier without a test table, in another schema, over columns of other types."""
    execute(
        database,
        "CREATE SCHEMA crm; CREATE TABLE crm.mails (body text, spam boolean);"
        "SELECT create_classifier('spam', 'crm.mails', text_column => 'body', label_column => 'spam');"
        f"INSERT INTO crm.mails SELECT 'mail ' || n, n % 2 = 0 FROM generate_series(1, {rows}) n",
    )


def test_one_text_alone_may_be_all_held_out_and_that_is_said(database: str) -> None:
    execute(database, "CREATE TABLE one (text text, label text); SELECT create_classifier('one', 'one')")
    told = set()
    for number in range(40):
        execute(database, f"TRUNCATE one; INSERT INTO one VALUES ('text {number}', 'a'), ('text {number}', 'b')")
        with pytest.raises(errors.EmptyTable) as raised:
            snapshot.read(database, LIMIT, "one")
        told.add(raised.value.message)
    assert (
        "All 2 usable rows of one are held out for the test, as one text in five is: insert rows with other texts."
        in told
    )
    assert len(told) == 2 and not [sentence for sentence in told if "it is empty" in sentence]


def test_without_a_test_table_one_row_in_five_is_held_out_and_none_changes_sides(database: str) -> None:
    mails(database)
    before = snapshot.read(database, LIMIT, "spam")
    assert before.label_names == ["false", "true"] and before.test_table is None and before.overlap == 0
    assert 25 <= len(before.test) <= 55 and len(before.train) + len(before.test) == 200
    execute(
        database,
        "UPDATE crm.mails SET spam = NOT spam WHERE body LIKE '%7';"
        "INSERT INTO crm.mails SELECT * FROM crm.mails"
        " UNION ALL SELECT 'new ' || n, true FROM generate_series(1, 99) n",
    )
    after = snapshot.read(database, LIMIT, "spam")
    assert set(before.test.texts) <= set(after.test.texts) and set(before.train.texts) <= set(after.train.texts)
    assert not set(after.train.texts) & set(after.test.texts)


def test_a_new_class_is_learned_when_it_has_enough_rows_and_named_until_then(database: str) -> None:
    odd = [(f"an odd one {n}", "odd") for n in range(10)]
    training.dataset(database, [*training.TRAIN, *odd[:9]], [*training.TEST, ("odd too", "odd")])
    waits = "of the new class 'odd', which is learned from 10 training rows on"
    assert snapshot.read(database, LIMIT).dropped == {waits: 9, "of the new class 'odd', among the test rows": 1}
    training.insert(database, "film_train", odd[9:])
    taken = snapshot.read(database, LIMIT)
    assert taken.label_names == ["bad", "good", "odd"] and taken.dropped == {} and len(taken.test) == 3
    assert "odd" not in snapshot.read(database, LIMIT, new_class_rows=11).label_names


def test_labels_that_differ_by_case_alone_are_pointed_out(database: str) -> None:
    training.dataset(database, [*training.TRAIN, ("fine", "Good")])
    (sentence,) = snapshot.read(database, LIMIT).alike
    assert "'good' (6 rows) and 'Good' (1 rows)" in sentence


def test_numbers_that_differ_as_they_are_written_alone_are_pointed_out_and_counted_as_they_are_learned(
    database: str, tmp_path: Path
) -> None:
    execute(database, "CREATE TABLE public.stars (text text, stars numeric)")
    execute(
        database,
        "INSERT INTO stars SELECT 'a text ' || n, (ARRAY[1, 1.0, 2, 10])[n % 4 + 1] FROM generate_series(1, 80) n",
    )
    execute(database, "SELECT create_classifier('stars', 'stars', label_column => 'stars')")
    taken = snapshot.read(database, LIMIT, "stars")
    (sentence,) = taken.alike
    assert taken.label_names == ["1", "1.0", "10", "2"] and "'1' (" in sentence and "'1.0' (" in sentence
    counted = training.client(training.settings(database, tmp_path)).get("/classifiers/stars").get_json()
    assert counted["train"]["classes"] == dict.fromkeys(taken.label_names, 20)


def test_labels_with_blanks_around_them_are_pointed_out_and_count_as_without(database: str) -> None:
    training.dataset(database, [*training.TRAIN, ("fine", " good"), ("very fine", "good\t")])
    taken = snapshot.read(database, LIMIT)
    assert taken.alike == ["2 rows are labelled 'good' with blanks around it, and count as that."]
    assert taken.label_names == ["bad", "good"]


def test_a_column_that_is_no_label_is_refused(database: str) -> None:
    mails(database)
    execute(database, "ALTER TABLE crm.mails ALTER spam TYPE text; UPDATE crm.mails SET spam = body")
    execute(database, "INSERT INTO crm.mails SELECT 'm' || n, n FROM generate_series(1, 2000) n")
    with pytest.raises(errors.DataError, match="more than 1,000 different values"):
        snapshot.read(database, LIMIT, "spam")


def test_no_text_or_label_of_a_row_stays_in_the_lineage(database: str, tmp_path: Path) -> None:
    training.dataset(database)
    lineage.write(snapshot.read(database, LIMIT), LIMIT, tmp_path)
    table = pq.read_table(tmp_path / "rows.parquet")
    assert table.column_names == ["split", "hash"]
    content = b"".join(file.read_bytes() for file in tmp_path.iterdir())
    assert [text for text, _ in training.TRAIN + training.TEST if text.encode() in content] == []


def test_the_lineage_of_a_million_rows_is_small(tmp_path: Path) -> None:
    rows = Rows([str(number) for number in range(200_000)], [0] * 200_000)
    test = Rows(["a"], [0])
    lineage.write(Snapshot("x", "x", "x", "x", "x", ["a"], rows, test, "x", "x"), LIMIT, tmp_path)
    assert sum(file.stat().st_size for file in tmp_path.iterdir()) < 200_000 * 10


def test_the_lineage_of_earlier_releases_is_read(database: str, tmp_path: Path) -> None:
    training.dataset(database)
    taken = snapshot.read(database, LIMIT)
    lineage.write(taken, LIMIT, tmp_path)
    rows = [("train", text, label) for text, label in training.TRAIN] + [("test", *row) for row in training.TEST]
    columns = {
        "split": [row[0] for row in rows],
        "label": [row[2] for row in rows],
        "sha256": [snapshot.row_hash(*row) for row in rows],
        "begins": [row[1][:80] for row in rows],
    }
    pq.write_table(pa.table(columns), tmp_path / "rows.parquet")
    _, same = lineage.compare(tmp_path, database)
    assert same.digest == taken.digest and same.gone == []
