"""Reads datasets from the Hugging Face hub (or from the server that HF_ENDPOINT names)."""

from collections.abc import Iterator
from typing import Any

from training_endpoint.errors import HubBadToken, HubError, HubGated, HubNotFound, HubUnreachable
from training_endpoint.sources.files import BATCH_ROWS, named
from training_endpoint.sources.part import Part, Problems, Row

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


def explain(error: BaseException, what: str, token: str) -> HubError:
    """The error of ours that says what to do about an exception of the hub's libraries, while loading `what`."""
    chain = [error]
    while (cause := chain[-1].__cause__ or chain[-1].__context__) and cause not in chain:
        chain.append(cause)
    kinds = {kind.__name__ for link in chain for kind in type(link).__mro__}
    statuses = {getattr(getattr(link, "response", None), "status_code", None) for link in chain}
    if "GatedRepoError" in kinds or "gated" in str(error):
        return HubGated(
            f"The {what} is gated: accept its terms on the hub, then set HUGGINGFACE_TOKEN to a token of that account."
        )
    if 401 in statuses and token:
        return HubBadToken("The hub refuses HUGGINGFACE_TOKEN: make a new one with read access, or leave it empty.")
    if kinds & {"RepositoryNotFoundError", "DatasetNotFoundError"}:
        return HubNotFound(f"The hub has no public {what}: check the name; a private one needs HUGGINGFACE_TOKEN.")
    if kinds & {
        "ConnectionError",
        "ConnectError",
        "TimeoutException",
        "OfflineModeIsEnabled",
        "LocalEntryNotFoundError",
    }:
        return HubUnreachable(
            f"The hub cannot be reached for {what}: check the network and HF_ENDPOINT, "
            "or work offline with `sample`, `embedded`, or files of your own."
        )
    return HubError(f"The hub did not give {what}: {(str(error).strip() or type(error).__name__).splitlines()[0]}")
