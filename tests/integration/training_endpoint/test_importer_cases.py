"""Everything that tests/data_cases.py lists, imported into a real PostgreSQL and read back."""

from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from psycopg import sql

from tests import services, training
from tests.data_cases import CASES
from tests.data_cases.case import Case
from training_endpoint.data import importer, snapshot


@pytest.fixture(scope="module")
def shared(postgres_server: str) -> str:
    url = services.new_database(postgres_server, "importer_cases")
    services.apply_schema(url)
    return url


@pytest.fixture
def clean(shared: str) -> Iterator[str]:
    yield shared
    with psycopg.connect(shared) as connection:
        for row in connection.execute("DELETE FROM classifiers RETURNING train_table, test_table").fetchall():
            for table in row:
                connection.execute(f"DROP TABLE {table}".encode())


def written(case: Case, folder: Path) -> Path:
    for name, content in case.files.items():
        file = folder / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content if isinstance(content, bytes) else content.encode("utf-8", "surrogatepass"))
    return folder / (case.what or next(iter(case.files)))


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.kind}: {case.given[:60]}")
def test_it_is_read_or_refused_in_a_sentence(case: Case, clean: str, tmp_path: Path) -> None:
    place = written(case, tmp_path)
    settings = training.settings(clean, tmp_path, DATASET=str(place), **case.settings)
    answer = training.client(settings).post("/datasets", json={})
    done = answer.get_json()
    if case.refused:
        sentence = done["error"]["message"]
        assert [word for word in case.refused if word not in sentence] == [], sentence
        assert 400 <= answer.status_code < 500 and "\n" not in sentence
        assert importer.current(clean) is None
        return
    assert answer.status_code == 201, done
    said = "\n".join(done["notes"])
    assert [word for word in case.says if word not in said] == [], said
    with psycopg.connect(clean) as connection:
        rows: Counter[tuple[str | None, str | None]] = Counter()
        for table in (done["train_table"], done["test_table"]):
            query = sql.SQL("SELECT {}, {}::text FROM {}").format(
                sql.Identifier(done["text_column"]), sql.Identifier(done["label_column"]), sql.SQL(table)
            )
            rows.update(connection.execute(query).fetchall())
        assert rows == Counter(case.rows)
        types: dict[str, str] = dict(
            connection.execute(
                "SELECT column_name, data_type FROM information_schema.columns WHERE table_name = %s",
                [done["train_table"]],
            ).fetchall()
        )
    assert [name for name in case.columns if name not in types] == [], list(types)
    if case.types:
        assert tuple(types[name] for name in case.columns) == case.types
    if case.test_rows is not None:
        assert done["test"]["rows"] == case.test_rows
    labels = {label for _, label in case.rows if label is not None}
    assert set(done["labels"]) == labels
    taken = snapshot.read(clean, 2_000_000)
    assert set(taken.label_names) == labels
    usable = {row for row in case.rows if None not in row}
    assert len(taken.train) + len(taken.test) == len(usable)
