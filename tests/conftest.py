"""Fixtures for all tests. Services start once a session, databases are new for each test."""

import itertools
from collections.abc import Iterator

import pytest

from tests import services

_numbers = itertools.count()


@pytest.fixture(scope="session")
def postgres_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The URL of a real PostgreSQL server."""
    with services.postgres(tmp_path_factory.mktemp("postgres")) as url:
        yield url


@pytest.fixture(scope="session")
def schema_template(postgres_server: str) -> str:
    """The name of a database that has the platform's schema and nothing else."""
    services.apply_schema(services.new_database(postgres_server, "platform_schema"))
    return "platform_schema"


@pytest.fixture
def database(postgres_server: str, schema_template: str) -> Iterator[str]:
    """The URL of a new database with the platform's schema."""
    name = f"test_{next(_numbers)}"
    yield services.new_database(postgres_server, name, schema_template)
    services.end_connections(postgres_server, name)


@pytest.fixture(scope="session")
def mlflow_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The URL of a real MLflow tracking server."""
    with services.mlflow_server(tmp_path_factory.mktemp("mlflow")) as url:
        yield url
