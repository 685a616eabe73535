"""Under which names the real Airflow answers."""

import pytest
import requests

from tests.airflow_service import Airflow

PATHS = ["/", "/api/v2/monitor/health", "/auth/login/", "/execution/health"]


@pytest.mark.parametrize("path", PATHS)
def test_a_page_of_another_name_is_refused_everywhere(airflow_service: Airflow, path: str) -> None:
    answer = requests.get(airflow_service.url + path, headers={"Host": "evil.example:8080"}, timeout=30)
    assert answer.status_code == 403 and "AIRFLOW_EXTRA_HOSTS" in answer.text


@pytest.mark.parametrize("host", ["localhost:8080", "127.0.0.1", "airflow-apiserver:8080"])
def test_its_own_names_are_answered(airflow_service: Airflow, host: str) -> None:
    health = requests.get(f"{airflow_service.url}/api/v2/monitor/health", headers={"Host": host}, timeout=30)
    assert health.status_code == 200
