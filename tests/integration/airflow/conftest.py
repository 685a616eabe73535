"""The real Airflow with stand-ins for the services that it calls."""

from collections.abc import Iterator

import pytest

from tests import services
from tests.airflow_service import Airflow, airflow, need_airflow
from tests.integration.airflow.platform_fakes import FakeModelEndpoint, FakeTraining


@pytest.fixture(scope="package")
def airflow_service(postgres_server: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Airflow]:
    """With the pipeline; it ends with the tests of this folder."""
    need_airflow()
    database = services.new_database(postgres_server, "airflow")
    with airflow(tmp_path_factory.mktemp("airflow"), database) as service:
        yield service


@pytest.fixture(scope="package")
def airflow_url(airflow_service: Airflow) -> str:
    """The URL of a real Airflow that has USER with PASSWORD and the pipeline's DAG."""
    return airflow_service.url


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
