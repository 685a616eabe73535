"""Tables that Hypothesis makes, as files: they read back equal, or a sentence says why and where."""

import csv
import gzip
import io
import json
import math
from collections import Counter
from pathlib import Path
from typing import Any

import psycopg
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from psycopg import sql

from mlops_contract.errors import PlatformError
from tests import services, training
from training_endpoint.data import importer

FEW = settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
LETTERS = st.characters(exclude_categories=["Cs"], exclude_characters="\0")
TEXT = st.text(LETTERS, max_size=30)
ANY_TEXT = st.text(st.characters(), max_size=12)
NONE = st.sampled_from([None, "", " ", "\n"])
LABEL = st.sampled_from(["good", "bad", " good", "bad\t", "none", None, ""])
NAME = st.text(st.characters(), max_size=80)
OTHER = st.one_of(
    st.none(), TEXT, st.integers(-(10**30), 10**30), st.floats(), st.booleans(), st.lists(st.integers(), max_size=2)
)
ENCODINGS = ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32", "utf-32-le"]
KEPT = [(f"a fine day, number {n}", ("good", "bad")[n % 2]) for n in range(12)]


@pytest.fixture(scope="module")
def database(postgres_server: str) -> str:
    url = services.new_database(postgres_server, "importer_property")
    services.apply_schema(url)
    return url


def imported(database: str, file: Path, **variables: str) -> tuple[Counter[Any], dict[str, Any]]:
    """All rows of both tables by (text, label), and what the import said; the tables are gone then."""
    done = importer.import_dataset(
        training.settings(database, file.parent, **variables), str(file), progress=lambda _: None
    )
    rows: Counter[Any] = Counter()
    with psycopg.connect(database) as connection:
        for table in (done["train_table"], done["test_table"]):
            query = sql.SQL("SELECT {}, {}::text FROM {}").format(
                sql.Identifier(done["text_column"]), sql.Identifier(done["label_column"]), sql.SQL(table)
            )
            rows.update(connection.execute(query).fetchall())
            connection.execute(f"DROP TABLE {table}".encode())
        connection.execute("DELETE FROM classifiers")
    return rows, done


def value(text: str | None) -> str | None:
    """The one rule, for texts."""
    return text if text and not text.isspace() else None


def label(text: str | None) -> str | None:
    return text.strip() if text and not text.isspace() else None


def expected(rows: list[tuple[Any, Any]]) -> Counter[Any]:
    return Counter((value(text), label(own)) for text, own in rows)


def as_csv(header: list[str], rows: list[tuple[Any, ...]], separator: str, quoting: int, ends: str) -> str:
    out = io.StringIO(newline="")
    # csv.QUOTE_MINIMAL does not quote a lone \\r where lines end in \\n.
    writer = csv.writer(out, delimiter=separator, quoting=quoting, lineterminator=ends)  # type: ignore[arg-type]
    writer.writerow(header)
    writer.writerows([["" if cell is None else cell for cell in row] for row in rows])
    return out.getvalue()


@FEW
@given(
    rows=st.lists(st.tuples(st.one_of(TEXT, NONE), LABEL), max_size=20),
    separator=st.sampled_from(",;\t|"),
    ends=st.sampled_from(["\n", "\r\n"]),
    encoding=st.sampled_from(ENCODINGS),
    packed=st.booleans(),
)
def test_csv_reads_back_equal(
    rows: list[tuple[Any, Any]], separator: str, ends: str, encoding: str, packed: bool, database: str, tmp_path: Path
) -> None:
    rows = [*KEPT, *rows]
    content = as_csv(["text", "label"], rows, separator, csv.QUOTE_ALL, ends).encode(encoding)
    file = tmp_path / ("r.csv.gz" if packed else "r.csv")
    file.write_bytes(gzip.compress(content) if packed else content)
    found, done = imported(database, file)
    # A row of which no cell holds anything is left out, and counted.
    wanted = expected(rows)
    empty = wanted.pop((None, None), 0)
    assert found == wanted, done["notes"]
    assert not empty or any(f"{empty} rows left out: no cell holds anything" in note for note in done["notes"])


@FEW
@given(
    names=st.lists(NAME, max_size=6),
    cells=st.lists(st.lists(ANY_TEXT, min_size=6, max_size=6), min_size=12, max_size=12),
)
def test_any_names_and_cells_of_csv_are_kept_or_told(
    names: list[str], cells: list[list[str]], database: str, tmp_path: Path
) -> None:
    rows = [(*pair, *more[: len(names)]) for pair, more in zip(KEPT, cells, strict=True)]
    file = tmp_path / "r.csv"
    content = as_csv(["text", "label", *names], rows, ",", csv.QUOTE_ALL, "\n")
    file.write_bytes(content.encode("utf-8", "surrogatepass"))
    found, done = imported(database, file, TEXT_COLUMN="text", LABEL_COLUMN="label")
    assert found == expected(KEPT), done["notes"]


@FEW
@given(
    keys=st.lists(NAME, max_size=5, unique=True),
    cells=st.lists(st.lists(OTHER, min_size=5, max_size=5), min_size=12, max_size=12),
    labels=st.lists(st.sampled_from(["good", "bad", None, "", math.nan]), min_size=12, max_size=12),
    array=st.booleans(),
)
def test_json_reads_back_equal(
    keys: list[str], cells: list[list[Any]], labels: list[Any], array: bool, database: str, tmp_path: Path
) -> None:
    objects: list[dict[str, Any]] = [
        {**dict(zip(keys, more, strict=False)), "text": text, "label": own}
        for (text, _), own, more in zip(KEPT, labels, cells, strict=True)
    ]
    objects += [{"text": f"sure {own}", "label": own} for own in ("good", "bad")]
    file = tmp_path / ("r.json" if array else "r.jsonl")
    file.write_text(json.dumps(objects) if array else "".join(json.dumps(one) + "\n" for one in objects))
    found, done = imported(database, file, TEXT_COLUMN="text", LABEL_COLUMN="label")
    assert found == Counter(
        (one["text"], one["label"] if isinstance(one["label"], str) and one["label"] else None) for one in objects
    ), done["notes"]


NUMBERS = [pa.int8(), pa.int64(), pa.uint64(), pa.float32(), pa.float64(), pa.bool_()]
TIMES = [pa.date32(), pa.timestamp("us"), pa.timestamp("ns", "Europe/Berlin"), pa.time64("us"), pa.duration("us")]
COLUMNS = st.sampled_from([*NUMBERS, *TIMES, pa.string(), pa.binary(), pa.list_(pa.int8())])
RAW = st.one_of(st.none(), st.integers(-(2**62), 2**62))


@FEW
@given(kind=COLUMNS, raw=st.lists(RAW, min_size=12, max_size=12))
def test_parquet_columns_of_all_types_are_imported(kind: Any, raw: list[Any], database: str, tmp_path: Path) -> None:
    column = arrow(kind, raw)
    table = pa.table({"text": [text for text, _ in KEPT], "label": [own for _, own in KEPT], "x": column})
    pq.write_table(table, tmp_path / "r.parquet")
    found, done = imported(database, tmp_path / "r.parquet", LABEL_COLUMN="label")
    assert found == Counter(KEPT), done["notes"]


def arrow(kind: Any, raw: list[int | None]) -> Any:
    """Numbers as a column of any type, out of Python's range too where the type allows it."""
    if pa.types.is_date32(kind):
        return pa.array([None if one is None else one % 2**31 for one in raw], pa.int32()).view(kind)
    if pa.types.is_timestamp(kind) or pa.types.is_duration(kind):
        return pa.array(raw, pa.int64()).view(kind)
    made: Any = int
    if pa.types.is_list(kind):
        made = lambda one: [one % 7]  # noqa: E731
    elif pa.types.is_string(kind):
        made = str
    elif pa.types.is_binary(kind):
        made = lambda one: one.to_bytes(9, "big", signed=True)  # noqa: E731
    elif pa.types.is_time(kind):
        made = lambda one: one % 86_400_000_000  # noqa: E731
    elif pa.types.is_boolean(kind):
        made = lambda one: one % 2 == 0  # noqa: E731
    elif pa.types.is_floating(kind):
        made = float
    elif kind == pa.int8():
        made = lambda one: one % 2**7  # noqa: E731
    elif kind == pa.uint64():
        made = abs
    return pa.array([None if one is None else made(one) for one in raw], kind)


@FEW
@given(
    content=st.one_of(
        st.binary(max_size=300),
        st.text(st.sampled_from("\",;\t|\n\r\\' ab1\xe9€"), max_size=200).map(
            lambda text: ("text,label\n" + text).encode()
        ),
        st.text(st.sampled_from('{}[]",:\n\\ab1'), max_size=200).map(str.encode),
    ),
    name=st.sampled_from(["r.csv", "r.tsv", "r.jsonl", "r.json", "r.parquet", "r.csv.gz", "r.zip"]),
)
def test_whatever_stands_in_a_file_is_imported_or_refused_in_a_sentence(
    content: bytes, name: str, database: str, tmp_path: Path
) -> None:
    file = tmp_path / name
    file.write_bytes(content)
    try:
        imported(database, file)
    except PlatformError as error:
        assert 400 <= error.status < 500 and error.message and "\n" not in error.message


@FEW
@given(lines=st.lists(st.text(st.sampled_from('"ab ,\n'), min_size=1, max_size=12), max_size=12))
def test_no_row_is_lost_in_silence(lines: list[str], database: str, tmp_path: Path) -> None:
    """Each letter of the file is in a row, or in a row that was counted as left out."""
    file = tmp_path / "r.csv"
    marked = [f"{line}x{number}x" for number, line in enumerate(lines)]
    content = "".join(f"{text.replace(',', '')},{own}\n" for text, own in KEPT) + "".join(
        f"{one},good\n" for one in marked
    )
    file.write_text("text,label\n" + content, newline="")
    found, done = imported(database, file)
    kept = sum(f"x{number}x" in f"{text} {own}" for text, own in found for number in range(len(lines)))
    left = sum(int(note.split()[0].replace(",", "")) for note in done["notes"] if "left out" in note)
    assert kept + left >= len(lines), done["notes"]


ELSEWHERE = ["/", "/etc/passwd", "/proc/self/environ", "~root", "~nobody", "~nosuchuser/x", "../../etc/passwd"]
ELSEWHERE += ["/dev/zero", "a" * 900, "/" + "a" * 300 + "/x.csv", "/root/x.csv", "/proc/1/root", "a\0", "\ud800"]
ELSEWHERE += ["", " ", ".", "..", "./x.csv", "{data}/../other", "{data}/link.csv", "{data}/folder_link", "{other}"]
ELSEWHERE += ["{data}x", "file:///etc/passwd"]


@pytest.mark.parametrize("dataset", ELSEWHERE)
def test_requests_name_nothing_outside_of_the_dataset_folder(dataset: str, database: str, tmp_path: Path) -> None:
    data, other = tmp_path / "data", tmp_path / "other"
    for folder in (data, other):
        folder.mkdir()
        (folder / "train.csv").write_text(as_csv(["text", "label"], KEPT, ",", csv.QUOTE_ALL, "\n"))
    (data / "link.csv").symlink_to(other / "train.csv")
    (data / "folder_link").symlink_to(other)
    client = training.client(training.settings(database, tmp_path, DATASET=str(data)))
    answer = client.post("/datasets", json={"dataset": dataset.format(data=data, other=other)})
    assert answer.status_code in (403, 422), answer.json
    assert answer.get_json()["error"]["message"] and importer.current(database) is None


@settings(FEW, max_examples=8)
@given(
    several=st.lists(
        st.lists(st.tuples(TEXT.filter(str.strip), st.sampled_from(["good", "bad"])), max_size=5),
        min_size=2,
        max_size=3,
    )
)
def test_what_is_imported_anew_keeps_every_row_of_before(
    several: list[list[tuple[str, str]]], database: str, tmp_path: Path
) -> None:
    file = tmp_path / "anew.csv"
    wanted: Counter[Any] = Counter()
    for rows in several:
        file.write_text(as_csv(["text", "label"], [*KEPT, *rows], ",", csv.QUOTE_ALL, "\n"), newline="")
        importer.import_dataset(training.settings(database, tmp_path), str(file), anew=True, progress=lambda _: None)
        wanted += expected([*KEPT, *rows])
    found: Counter[Any] = Counter()
    with psycopg.connect(database) as connection:
        tables = connection.execute("SELECT tablename FROM pg_tables WHERE tablename LIKE 'anew\\_%'").fetchall()
        for (table,) in tables:
            found.update(connection.execute(f"SELECT text, label FROM {table}".encode()).fetchall())
            connection.execute(f"DROP TABLE {table}".encode())
        connection.execute("DELETE FROM classifiers")
    assert found == wanted
