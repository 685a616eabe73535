"""Training_Data_Update: what started the run, and which rows there are to train on."""

import logging
from typing import Any

from airflow.sdk.exceptions import AirflowFailException

from ml_platform import training
from ml_platform.answers import Refused, Unavailable
from ml_platform.settings import Settings

log = logging.getLogger(__name__)


def describe_cause(conf: dict[str, Any]) -> str:
    """One sentence about what started the run; the relay's conf names the tables and counts the rows."""
    if "events" not in conf:
        return "Started by hand or through the API: no change of data was reported."
    tables = ", ".join(map(str, conf.get("tables") or [])) or "unnamed tables"
    return (
        f"Started by the training database: {conf['events']} events changed {conf.get('rows', '?')} rows of {tables}; "
        f"the newest event is {conf.get('newest_event', '?')}."
    )


def describe_rows(part: dict[str, Any]) -> str:
    """The rows of one table and of each class in it."""
    classes = ", ".join(f"{label} {rows}" for label, rows in part["classes"].items())
    return f"{'about ' if part.get('estimated') else ''}{part['rows']} rows ({classes})"


def update_training_data(conf: dict[str, Any], settings: Settings) -> dict[str, Any]:
    """Logs the cause and the rows, imports the configured dataset where there is none, and returns the dataset.

    Raises Unavailable while the training endpoint is away, so that Airflow tries again later.
    """
    log.info(describe_cause(conf))
    try:
        dataset, imported = training.current_dataset(settings, conf.get("classifier"))
    except Unavailable as reason:
        log.warning("The training endpoint is not available yet, this task tries again: %s", reason)
        raise
    except Refused as refusal:
        raise AirflowFailException(f"The dataset cannot be used: {refusal}") from refusal
    log.info(
        "The classifier is %s, from %s%s.", dataset["name"], dataset["source"], ", imported now" if imported else ""
    )
    log.info("Train: %s has %s.", dataset["train_table"], describe_rows(dataset["train"]))
    if dataset["test_table"]:
        log.info("Test: %s has %s.", dataset["test_table"], describe_rows(dataset["test"]))
    else:
        log.info("Test: one row in five of %s, by its text, is held out.", dataset["train_table"])
    log.info("Changes that no training has seen yet: %s.", dataset.get("pending_events", 0))
    return dataset
