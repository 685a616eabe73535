"""Where the two scripts look for the platform."""

from pathlib import Path

import pytest

import manually_trigger
from manually_trigger import Platform, Problem


@pytest.fixture(autouse=True)
def empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(manually_trigger, "ROOT", tmp_path)
    for name in (
        "AIRFLOW_URL",
        "AIRFLOW_PUBLIC_URL",
        "AIRFLOW_PORT",
        "TRAINING_URL",
        "NGINX_URL",
        "AIRFLOW_USER",
        "AIRFLOW_PASSWORD",
    ):
        monkeypatch.delenv(name, raising=False)


def test_without_a_launch_they_say_what_to_run() -> None:
    with pytest.raises(Problem, match=r"run `sh launch\.sh` first"):
        Platform.load()


def test_ports_and_account_come_from_the_file(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("# words = none\nAIRFLOW_PORT=1234\nAIRFLOW_PASSWORD='a=b'\nBIND_ADDRESS=0.0.0.0\n")
    platform = Platform.load()
    assert platform.nginx == "http://127.0.0.1:8000"
    assert platform.airflow == "http://127.0.0.1:1234"
    assert platform.training == "http://127.0.0.1:9999"
    assert (platform.user, platform.password) == ("admin", "a=b")


def test_they_use_the_platforms_own_account(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / ".env").write_text("AIRFLOW_PASSWORD=changed in the UI\nAIRFLOW_RELAY_PASSWORD=own\n")
    assert (Platform.load().user, Platform.load().password) == ("relay", "own")
    monkeypatch.setenv("AIRFLOW_USER", "me")
    monkeypatch.setenv("AIRFLOW_PASSWORD", "mine")
    assert (Platform.load().user, Platform.load().password) == ("me", "mine")


def test_each_door_has_an_address_of_its_own(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("BIND_ADDRESS=192.0.2.1\nAIRFLOW_BIND_ADDRESS=192.0.2.2\n")
    platform = Platform.load()
    assert platform.nginx == "http://192.0.2.1:8000" and platform.airflow == "http://192.0.2.2:8080"
    assert platform.training == "http://127.0.0.1:9999"


def test_a_line_that_compose_refuses_is_named(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text('A=1\nB="open\n')
    with pytest.raises(Problem, match=r"line 2 of .*\.env: the quote"):
        Platform.load()


def test_a_certificate_makes_the_door_speak_https(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("NGINX_PORT=1234\nNGINX_CERTIFICATE=tls/certificate.pem\n")
    assert Platform.load().nginx == "https://127.0.0.1:1234"


def test_the_environment_is_enough_and_wins(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIRFLOW_URL", "http://airflow-apiserver:8080/")
    assert Platform.load().airflow == Platform.load().airflow_page == "http://airflow-apiserver:8080"
    monkeypatch.setenv("AIRFLOW_PUBLIC_URL", "http://localhost:1234")
    assert Platform.load().airflow_page == "http://localhost:1234"
    (tmp_path / ".env").write_text("AIRFLOW_PORT=1234\n")
    assert Platform.load().airflow == "http://airflow-apiserver:8080"
