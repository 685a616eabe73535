"""Reads datasets from the Hugging Face hub (or from the server that HF_ENDPOINT names)."""

from collections.abc import Iterator
from typing import Any

from training_endpoint.data.sources import names, typed, words
from training_endpoint.data.sources.part import Part, Row
from training_endpoint.data.sources.problems import Problems
from training_endpoint.errors import ImportFailed
from training_endpoint.hub_errors import explain

BATCH_ROWS = 1_000


def parts(place: str, token: str) -> tuple[Part, list[Part]]:
    """The training part and the candidates for the test part of `id` or `id:configuration`; raises a `HubError`."""
    import datasets  # noqa: PLC0415 - takes seconds, and most imports do not need it

    name, _, configuration = place.partition(":")
    try:
        splits = datasets.load_dataset(name, configuration or None, token=token or None)
    except Exception as error:  # the library lets through errors of many libraries
        raise explain(error, f"dataset {place}", token) from error
    ranks = {split: words.test_rank(split) for split in splits}
    trains = [split for split in splits if words.is_train(split)] or [split for split in splits if ranks[split] is None]
    train = "train" if "train" in splits else max(trains or splits, key=lambda split: len(splits[split]))
    tests = sorted((split for split in splits if ranks[split] is not None and split != train),
                   key=lambda split: (ranks[split], split))  # fmt: skip
    return _part(train, splits[train]), [_part(split, splits[split]) for split in tests]


def _part(name: str, split: Any) -> Part:
    import datasets  # noqa: PLC0415

    columns = names.fit(list(split.column_names))
    fitted = dict(zip(split.column_names, columns, strict=True))
    kinds = {column: kind for column, kind in split.features.items() if isinstance(kind, datasets.ClassLabel)}

    def rows(problems: Problems) -> Iterator[Row]:
        number = 0
        try:
            for table in split.with_format("arrow").iter(BATCH_ROWS):
                for row in typed.rows(table):
                    number += 1
                    problems.at(name, number, "row")
                    yield row
        except (OSError, ValueError, RuntimeError) as error:
            reason = (str(error).strip() or type(error).__name__).splitlines()[0]
            raise ImportFailed(f"The split {name} is damaged after row {number:,}: {reason}") from error

    classes = {fitted[column]: list(kind.names) for column, kind in kinds.items()}
    return typed.named(Part(columns, rows, classes=classes, name=name))
