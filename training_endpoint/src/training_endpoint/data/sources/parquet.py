"""Reads parquet files."""

from collections.abc import Iterator
from typing import Any

from training_endpoint.data.sources import names, typed
from training_endpoint.data.sources.file import DAMAGE, File
from training_endpoint.data.sources.part import Part, Row
from training_endpoint.data.sources.problems import Problems
from training_endpoint.errors import ImportFailed

BATCH_ROWS = 100  # one value repeated is short in the file and whole in memory


def read(file: File, _: str) -> Part:
    """A .parquet file with its own types; raises `ImportFailed`, later too, where it is damaged."""
    import pyarrow as pa  # noqa: PLC0415 - heavy, and seldom needed
    import pyarrow.parquet as pq  # noqa: PLC0415

    broken = (pa.ArrowException, ValueError, OverflowError, *DAMAGE)

    def opened() -> Any:
        return pq.ParquetFile(file.path or file.opener(), pre_buffer=False, buffer_size=1024 * 1024)

    try:
        with opened() as content:
            schema = content.schema_arrow
    except broken as error:
        raise ImportFailed(f"{file.name} is not a parquet file, or damaged: {_first_line(error)}.") from error
    classes, note = typed.declared(schema.metadata)
    columns = names.fit(list(schema.names))
    fitted = dict(zip(schema.names, columns, strict=True))

    def rows(problems: Problems) -> Iterator[Row]:
        number = 0
        try:
            with opened() as content:
                for batch in content.iter_batches(BATCH_ROWS):
                    for row in typed.rows(batch):
                        number += 1
                        problems.at(file.name, number, "row")
                        yield row
        except broken as error:
            raise ImportFailed(f"{file.name} is damaged after row {number:,}: {_first_line(error)}.") from error

    own_classes = {fitted[name]: known for name, known in classes.items() if name in fitted}
    notes = (f"{file.name}: {note}.",) if note else ()
    return typed.named(Part(columns, rows, classes=own_classes, name=file.name, notes=notes))


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0].rstrip(".")[:200]
