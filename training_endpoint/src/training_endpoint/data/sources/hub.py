"""Reads datasets from the Hugging Face hub (or from the server that HF_ENDPOINT names)."""

from collections.abc import Iterator
from typing import Any

from training_endpoint.data.sources.files import BATCH_ROWS, named
from training_endpoint.data.sources.part import Part, Problems, Row
from training_endpoint.hub_errors import explain

TESTS = ("test", "dev", "validation", "val", "eval")


def parts(place: str, token: str) -> tuple[Part, list[Part]]:
    """The training part and the candidates for the test part of `id` or `id:configuration`; raises a `HubError`."""
    import datasets  # noqa: PLC0415 - takes seconds, and most imports do not need it

    name, _, configuration = place.partition(":")
    try:
        splits = datasets.load_dataset(name, configuration or None, token=token or None)
    except Exception as error:  # the library lets through errors of many libraries
        raise explain(error, f"dataset {place}", token) from error
    train = "train" if "train" in splits else max(splits, key=lambda split: len(splits[split]))
    tests = [split for split in TESTS if split in splits and split != train]
    return _part(splits[train]), [_part(splits[split]) for split in tests]


def _part(split: Any) -> Part:
    import datasets  # noqa: PLC0415

    classes = {name: list(kind.names) for name, kind in split.features.items() if isinstance(kind, datasets.ClassLabel)}

    def rows(_: Problems) -> Iterator[Row]:
        for table in split.with_format("arrow").iter(BATCH_ROWS):
            yield from zip(*(column.to_pylist() for column in table.columns), strict=True)

    return named(Part(list(split.column_names), rows, classes=classes))
