import socket
from pathlib import Path

import pytest

from native import layout
from native.layout import Layout

PORTS = {"NGINX_PORT": "1", "AIRFLOW_PORT": "2", "MLFLOW_PORT": "3", "TRAINING_PORT": "4", "DATABASE_PORT": "5"}


def made(**settings: str) -> Layout:
    return Layout({**PORTS, **settings}, {"relay": 6, "model-endpoint-1": 7, "model-endpoint-2": 8}, "/usr/sbin/nginx")


def test_names_of_the_containers_network_become_addresses() -> None:
    here = made()
    assert here.localize("postgresql://a:b@training-database:5432/c") == "postgresql://a:b@127.0.0.1:5/c"
    assert here.localize("tracking-server:5001,localhost:3") == "127.0.0.1:3,localhost:3"
    assert here.localize("model-endpoint:9998") == f"@{layout.REPLICAS}"


@pytest.mark.parametrize(("bind", "host"), [("", "127.0.0.1"), ("0.0.0.0", "127.0.0.1"), ("192.0.2.1", "192.0.2.1")])
def test_processes_meet_where_the_doors_are(bind: str, host: str) -> None:
    here = made(MLFLOW_BIND_ADDRESS=bind)
    assert here.host("MLFLOW") == host and here.localize("tracking-server:5001") == f"{host}:3"
    assert here.bind("MLFLOW") == bind or not bind


def test_one_address_opens_one_door() -> None:
    here = made(BIND_ADDRESS="0.0.0.0")
    assert here.bind() == "0.0.0.0"
    assert {here.bind(door) for door in ("AIRFLOW", "MLFLOW", "TRAINING", "DATABASE")} == {"127.0.0.1"}


def test_a_taken_port_is_replaced() -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        taken = other.getsockname()[1]
        assert layout.usable(taken) != taken
    assert layout.usable(taken) == taken


def test_writing_says_whether_anything_changed(tmp_path: Path) -> None:
    file = tmp_path / "new folder/secret"
    assert layout.write(file, "a")
    assert not layout.write(file, "a")
    assert layout.write(file, "b")
    assert file.read_text() == "b"
    assert file.stat().st_mode & 0o777 == 0o600
    assert list(file.parent.iterdir()) == [file]
