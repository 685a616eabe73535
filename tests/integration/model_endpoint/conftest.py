"""Fixtures of the serving tests: exported models once a session, a registered model for each test."""

import uuid
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import pytest
from mlflow import MlflowClient

from mlops_contract.voucher import Voucher
from tests.integration.model_endpoint import models
from tests.integration.model_endpoint.stack import Serving, serving


@dataclass
class Registered:
    """A registered model: `add` gives it a version, and its voucher."""

    client: MlflowClient
    name: str

    def add(self, folder: Path, accuracy: float = 0.9) -> Voucher:
        return models.register(self.client, self.name, folder, accuracy)


@pytest.fixture(scope="session")
def exported(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Two versions' folders: the first says negative, the second positive."""
    home = tmp_path_factory.mktemp("models")
    return [models.export(models.tiny(seed), home / str(seed)) for seed in (0, 1)]


@pytest.fixture
def registered(mlflow_url: str) -> Registered:
    """A name of its own in the registry, without a version."""
    return Registered(MlflowClient(mlflow_url), f"classifier-{uuid.uuid4().hex[:8]}")


@pytest.fixture
def fleet(mlflow_url: str, registered: Registered, tmp_path: Path) -> Iterator[Callable[..., Serving]]:
    """`fleet(2)` reserves two replicas of the registered model; settings as keywords."""
    with ExitStack() as stack:

        def build(replicas: int, **variables: str) -> Serving:
            mlflow = variables.pop("MLFLOW_TRACKING_URI", mlflow_url)
            return stack.enter_context(serving(mlflow, registered.name, tmp_path, replicas, **variables))

        yield build
