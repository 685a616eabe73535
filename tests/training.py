"""What the training endpoint's tests share: settings, and small datasets in a real database."""

from pathlib import Path
from typing import Any

import psycopg
from flask.testing import FlaskClient
from psycopg import sql
from psycopg.types.json import Jsonb

from training_endpoint.settings import Settings

TRAIN = [(f"a fine film number {n}", "good") for n in range(6)] + [(f"a dull film number {n}", "bad") for n in range(6)]
TEST = [("a fine one", "good"), ("a dull one", "bad")]


def settings(database_url: str, state_dir: Path, **variables: str) -> Settings:
    """Settings with only what must be set, and `variables` by their environment names."""
    mandatory = {
        "DATABASE_URL": database_url or "postgresql://127.0.0.1:9/none",
        "MLFLOW_TRACKING_URI": "http://127.0.0.1:9",
        "PLATFORM_TOKEN": "secret",
        "STATE_DIR": str(state_dir),
    }
    return Settings.from_env({**mandatory, **variables})


def client(settings: Settings) -> FlaskClient:
    """One of the training endpoint's HTTP side, which sends the token."""
    from training_endpoint.http.api import create_app  # heavy: it brings all that training needs

    found = create_app(settings).test_client()
    found.environ_base["HTTP_AUTHORIZATION"] = "Bearer secret"
    return found


def insert(url: str, table: str, rows: list[tuple[Any, Any]]) -> None:
    """Adds (text, label) rows in one statement and transaction."""
    name = sql.Identifier(table)
    with psycopg.connect(url) as connection:
        texts, labels = [row[0] for row in rows], [row[1] for row in rows]
        connection.execute(
            sql.SQL("INSERT INTO {} SELECT unnest(%s::text[]), unnest(%s::text[])").format(name), [texts, labels]
        )


def dataset(
    url: str,
    train: list[tuple[Any, Any]] | None = None,
    test: list[tuple[Any, Any]] | None = None,
    labels: tuple[str, ...] = ("bad", "good"),
    model: str = "text-classifier",
) -> None:
    """Makes `films` the default classifier, over film_train and film_test with the columns text and label.

    Its `model` has the name that the settings have, as on a platform from before there were classifiers.
    """
    with psycopg.connect(url) as connection:
        for table in ("film_train", "film_test"):
            connection.execute(sql.SQL("CREATE TABLE {} (text text, label text)").format(sql.Identifier(table)))
            connection.execute("SELECT watch_training_table(%s::regclass)", [table])
        connection.execute(
            "INSERT INTO classifiers (name, train_table, test_table, text_column, label_column, labels, source,"
            " is_default, model_name)"
            " VALUES ('films', 'film_train', 'film_test', 'text', 'label', %s, 'test', true, %s)",
            [Jsonb(list(labels)), model],
        )
    insert(url, "film_train", TRAIN if train is None else train)
    insert(url, "film_test", TEST if test is None else test)
