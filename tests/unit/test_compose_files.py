"""What every container may do, take and reach."""

import re
from pathlib import Path
from typing import Any

import pytest
import yaml  # type: ignore[import-untyped] # no stubs are locked

from launch import dotenv
from mlops_contract import QUIET

ROOT = Path(__file__).parents[2]
PROJECTS = ("mlflow_server", "db", "training_endpoint", "model_endpoint", "nginx", "airflow", "monitoring")
FILES = {name: yaml.safe_load((ROOT / name / "compose.yaml").read_text()) for name in PROJECTS}
SERVICES: dict[str, dict[str, Any]] = {
    name: service for project in FILES.values() for name, service in project["services"].items()
}
EXAMPLE = dotenv.read(ROOT / ".env.example")
REFERENCE = re.compile(r"\$\{([A-Z][A-Z0-9_]*)(:[-?+])?([^${}]*)\}")


@pytest.mark.parametrize("name", SERVICES)
def test_it_may_do_and_take_no_more_than_it_needs(name: str) -> None:
    service = SERVICES[name]
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert "cap_add" not in service and "privileged" not in service
    assert service["pids_limit"] == "${PIDS_LIMIT:-1024}"
    assert re.fullmatch(r"\$\{[A-Z]+_MEMORY:-\d+[mg]\}", service["mem_limit"])
    assert service["tmpfs"] and all("size=" in mount for mount in service["tmpfs"])
    assert service["logging"] == {"driver": "json-file", "options": {"max-size": "10m", "max-file": "3"}}


@pytest.mark.parametrize("name", SERVICES)
def test_its_doors_are_on_this_machine_unless_told_otherwise(name: str) -> None:
    for door in SERVICES[name].get("ports", []):
        assert re.match(r"(\$\{([A-Z]+_)?BIND_ADDRESS:-127\.0\.0\.1\}|127\.0\.0\.1):", door)
    published = [door.split("}")[0] for service in SERVICES.values() for door in service.get("ports", [])]
    assert len(set(published)) == len(published) == 7  # an address for each


@pytest.mark.parametrize("name", SERVICES)
def test_no_secret_stands_in_its_command(name: str) -> None:
    service = SERVICES[name]
    said = str([service.get("command"), service.get("entrypoint"), service.get("healthcheck")])
    assert not re.search("PASSWORD|TOKEN|SECRET|KEY", said)


@pytest.mark.parametrize("name", SERVICES)
def test_no_secret_stands_in_an_address_where_some_characters_mean_something_else(name: str) -> None:
    for value in (SERVICES[name].get("environment") or {}).values():
        assert not re.search(r"://.*(PASSWORD|TOKEN|SECRET|KEY)", str(value)), value


@pytest.mark.parametrize("project", PROJECTS)
def test_every_default_is_that_of_the_one_list(project: str) -> None:
    for file in (ROOT / project).glob("compose*.yaml"):
        for name, operator, default in REFERENCE.findall(file.read_text()):
            if name in ("CODE_VERSION", "DOTENV") or operator == ":+":
                continue
            assert name in EXAMPLE, f"{file.name}: {name} is not in .env.example"
            if operator == ":-":
                known = EXAMPLE[name] if name != "MLFLOW_PUBLIC_URL" else default
                assert default in (known, ""), f"{file.name}: {name} is {default} here and {known} in .env.example"
            elif file.name == "compose.yaml":
                assert not EXAMPLE[name], f"{file.name}: {name} has a default that this file does not know"


def test_every_secret_is_asked_for_and_has_no_default() -> None:
    secrets = re.findall(r"^([A-Z_]+)=(.*)$", (ROOT / ".env.example").read_text().split("# --- Secrets")[1], re.M)
    assert len(secrets) >= 10 and not any(value for _, value in secrets)
    files = "".join((ROOT / name / "compose.yaml").read_text() for name in PROJECTS)
    assert [name for name, _ in secrets if f"${{{name}:?" not in files] == []


@pytest.mark.parametrize("name", SERVICES)
def test_a_base_image_can_be_named_by_digest(name: str) -> None:
    service = SERVICES[name]
    ours = (service.get("image") or "").startswith("${PROJECT_PREFIX:-}")
    assert ours or re.fullmatch(r"\$\{[A-Z]+_IMAGE:-([a-z]+/)?[a-z]+:[a-z0-9.-]+\}", service["image"])
    if "build" in service:
        assert service["build"]["args"]["PYTHON_IMAGE"] == "${PYTHON_IMAGE:-python:3.11-slim-bookworm}"


def test_nothing_calls_home() -> None:
    dockerfile = (ROOT / "Dockerfile").read_text()
    assert {name: dockerfile.count(f"{name}={value}") for name, value in QUIET.items()} == dict.fromkeys(QUIET, 1)
    assert "AIRFLOW__USAGE_DATA_COLLECTION__ENABLED=False" in (ROOT / "airflow/airflow.env").read_text()
