"""Which classifiers there are, and what each learns from."""

from collections.abc import Mapping
from typing import Any

from flask import Flask, Response, jsonify

from training_endpoint.data import classifiers, importer
from training_endpoint.data.classifiers import Classifier
from training_endpoint.errors import NoDataset
from training_endpoint.http import fields
from training_endpoint.release.desk import Desk
from training_endpoint.settings import Settings

MAX_NAME = 60


def named(settings: Settings, asked: Mapping[str, Any], *, retired: bool = False) -> Classifier | None:
    """The classifier that a request names, else the default one; None before there is any.

    `retired`: whether one that was retired will do.
    """
    if asked.get("classifier") is not None:
        name = fields.text(dict(asked), "classifier", MAX_NAME)
        return classifiers.get(settings.database_url, name, retired=retired)
    try:
        return classifiers.get(settings.database_url)
    except NoDataset:
        return None


def install(app: Flask, desk: Desk) -> None:
    """Adds the routes."""
    settings = desk.settings

    @app.get("/datasets/current")
    @app.get("/classifiers/<name>")
    def current_dataset(name: str | None = None) -> Response:
        dataset = importer.current(settings.database_url, name)
        if dataset is None:
            raise NoDataset("No dataset has been imported: POST /datasets imports the one that DATASET names.")
        return jsonify(dataset)

    @app.get("/classifiers")
    def list_classifiers() -> Response:
        found = classifiers.live(settings.database_url)
        return jsonify(
            classifiers=[
                {
                    **{name: getattr(one, name) for name in ("name", "is_default", "train_table", "test_table")},
                    "model_name": one.model,
                    "champion": desk.of(one).champion(),
                }
                for one in found
            ]
        )
