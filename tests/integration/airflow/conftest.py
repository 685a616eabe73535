"""The real Airflow with stand-ins for the services that it calls."""

from collections.abc import Iterator

import pytest

from tests.airflow_service import Airflow
from tests.integration.airflow.platform_fakes import FakeModelEndpoint, FakeTraining


@pytest.fixture
def training(airflow_service: Airflow) -> Iterator[FakeTraining]:
    """A training endpoint whose jobs succeed at once, unless the test changes that."""
    fake = FakeTraining(airflow_service.training_port)
    with fake.listening():
        yield fake
        fake.finish.set()


@pytest.fixture
def model_endpoint(airflow_service: Airflow) -> Iterator[FakeModelEndpoint]:
    """A model endpoint of two replicas."""
    fake = FakeModelEndpoint(airflow_service.model_port)
    with fake.listening():
        yield fake


@pytest.fixture(autouse=True)
def no_run_left(airflow_service: Airflow) -> Iterator[None]:
    """Fails what a test left unfinished."""
    yield
    airflow_service.end_runs()
