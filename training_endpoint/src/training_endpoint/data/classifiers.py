"""The classifiers: each a name, the tables that it learns from and is tested on, and a registered model of its own."""

import re
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from mlops_contract.addresses import below
from training_endpoint import database
from training_endpoint.errors import NoDataset, UnknownClassifier
from training_endpoint.settings import Settings

NAME = re.compile(r"[A-Za-z0-9_.-]{1,60}")
"""No other is asked for."""


@dataclass(frozen=True)
class Classifier:
    """A row of the table classifiers."""

    name: str
    train_table: str
    test_table: str | None
    """None: one row in five of the training table is held out."""
    text_column: str
    label_column: str
    labels: Any
    """Those learned so far, in the order in which a source declared them; `labels.label_names` reads them."""
    source: str
    is_default: bool
    created_at: datetime
    model_name: str | None
    base_model: str | None
    policy: str | None
    retired_at: datetime | None
    decision: int | None = None
    """The id of the decision in force, where all classifiers were asked for."""

    @property
    def model(self) -> str:
        """Its registered model in MLflow, and its name in the ledger."""
        return self.model_name or self.name

    @property
    def names(self) -> list[str]:
        """What the log of predictions may call it: an older replica knew its model alone."""
        return sorted({self.name, self.model})

    @property
    def tables(self) -> list[str]:
        return [table for table in (self.train_table, self.test_table) if table]

    def beside(self, settings: Settings) -> Settings:
        """`settings` for the replicas' own place for this classifier, where it is served whoever is the default."""
        endpoints = tuple(below(endpoint, f"/classifiers/{self.name}") for endpoint in settings.model_endpoints)
        return replace(self.settings(settings), model_endpoints=endpoints)

    def settings(self, settings: Settings) -> Settings:
        """The service's settings with what this classifier has of its own."""
        return replace(
            settings,
            model_name=self.model,
            base_model=self.base_model or settings.base_model,
            promotion_policy=self.policy or settings.promotion_policy,
        )


def find(connection: database.Connection, name: str | None = None) -> Classifier:
    """The classifier `name`, retired or not, or the default one; raises `UnknownClassifier` or `NoDataset`."""
    if name is None:
        row = connection.execute(database.query("classifier_default")).fetchone()
        if row is None:
            raise NoDataset("No dataset has been imported: POST /datasets imports the one that DATASET names.")
    else:
        asked = {"name": name}
        row = connection.execute(database.query("classifier_named"), asked).fetchone() if NAME.fullmatch(name) else None
        if row is None:
            raise UnknownClassifier(f"There is no classifier {name[:60]!r}: GET /classifiers lists them.")
    return Classifier(**row)


def get(url: str, name: str | None = None, *, retired: bool = False) -> Classifier:
    """As `find`, in a transaction of its own; raises `UnknownClassifier` for one that was retired, unless asked for."""
    with database.connect(url) as connection:
        found = find(connection, name)
    if found.retired_at is not None and not retired:
        raise UnknownClassifier(
            f"The classifier {found.name} was retired: create_classifier over the same table takes it up again."
        )
    return found


def all_of_them(url: str) -> list[Classifier]:
    """The retired ones too, the default one first."""
    with database.connect(url) as connection:
        return [Classifier(**row) for row in connection.execute(database.query("classifiers"))]


def live(url: str) -> list[Classifier]:
    """All that are not retired, the default one first."""
    return [one for one in all_of_them(url) if one.retired_at is None]


def left_out(url: str) -> dict[str, dict[str, int]]:
    """By name and reason the rows that the newest run of each classifier could not use."""
    with database.connect(url) as connection:
        rows = connection.execute(database.query("classifier_left_out"))
        return {row["name"]: row["dropped"] or {} for row in rows}
