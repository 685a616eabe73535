"""A real Prometheus reads what runs: each query of the dashboard and each alert finds what it asks for."""

import json
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import requests
import yaml  # type: ignore[import-untyped] # no stubs are locked
from tokenizers import Tokenizer
from tokenizers.models import WordLevel

from model_runner.artifact import WEIGHTS, Manifest
from tests import relay_service, services, training
from tests.database_roles import url_of
from tests.integration.model_endpoint.stack import Serving
from tests.listening import listening
from training_endpoint.monitor import reference
from training_endpoint.monitor.watch import Watch

MONITORING = services.ROOT / "monitoring"
BOARD = json.loads((MONITORING / "grafana/dashboards/platform.json").read_text())
ALERTS = yaml.safe_load((MONITORING / "prometheus/alerts.yaml").read_text())
LABELS = ["negative", "positive"]


def dashboard_queries() -> list[str]:
    return [target["expr"] for panel in BOARD["panels"] for target in panel["targets"]]


def alert_metrics() -> list[str]:
    """The metrics that the alerts look at."""
    expressions = [rule["expr"] for group in ALERTS["groups"] for rule in group["rules"]]
    bare = re.sub(r"\{[^}]*\}|\bby \([^)]*\)|\[[^]]*\]", " ", " ".join(expressions))
    words = "absent count vector quantile_over_time sum rate increase max min histogram_quantile or by"
    return sorted(set(re.findall(r"[a-z_]{2,}", bare)) - set(words.split()))


def know_version(url: str, folder: Path) -> None:
    """Has the training database know version 7 by test rows, which it got right by chance as often as not."""
    folder.mkdir()
    Tokenizer(WordLevel({"[UNK]": 0}, "[UNK]")).save(str(folder / "tokenizer.json"))
    Manifest(LABELS, 256, 0, [WEIGHTS]).write(folder)
    rng = np.random.default_rng(0)
    good = rng.random(400)
    answers, labels = np.stack([1 - good, good], axis=1), (rng.random(400) < good).astype(int)
    reference.keep(url, "text-classifier", 7, answers, labels, LABELS, ["a good film"] * 400, folder)


class Platform:
    """Two replicas, the training endpoint and the relay, as processes or on real sockets, by Prometheus's names."""

    def __init__(self, fleet: Serving, training_endpoint: str, relay: int, watch: Watch) -> None:
        self.fleet, self.watch = fleet, watch
        self.doors = {
            "model-endpoint": [f"127.0.0.1:{one.port}" for one in fleet.replicas],
            "training-endpoint": [training_endpoint],
            "relay": [f"127.0.0.1:{relay}"],
        }

    def ask(self) -> None:
        """Requests of each kind, from everybody."""
        for replica in self.fleet.replicas:
            for text in ("a good film", "a dull film", ""):
                wanted = 200 if text else 400
                assert replica.ask("/predict", input=text).status_code == wanted

    def say_what_was_right(self) -> None:
        (replica, *_) = self.fleet.replicas
        answer = requests.post(f"{replica.url}/predict", json={"input": "a good film"}, timeout=10)
        said = {"request_id": answer.headers["X-Request-Id"], "label": "positive"}
        headers = {"Authorization": "Bearer a-secret-of-theirs"}
        assert requests.post(f"{replica.url}/feedback", json=said, headers=headers, timeout=10).status_code == 202


@pytest.fixture
def platform(database: str, tmp_path: Path) -> Iterator[Platform]:
    url = url_of(database, "platform")
    training.dataset(database, labels=("negative", "positive"))
    know_version(url, tmp_path / "serving")
    settings = training.settings(url, tmp_path, TRAINING_BIND_ADDRESS="0.0.0.0", CONSOLE_PASSWORD="long enough")
    watch = Watch(settings)
    from training_endpoint.http.api import create_app  # heavy: it brings all that training needs

    variables = {"DATABASE_URL": url_of(database, "serving"), "FEEDBACK_TOKEN": "a-secret-of-theirs"}
    stub = "tests.integration.model_endpoint.stubbed"
    fleet = Serving("http://127.0.0.1:9", "text-classifier", tmp_path, variables, stub)
    fleet.add(2)
    relay = relay_service.environment(url, "http://127.0.0.1:9", "relay", "none")
    with (
        fleet.stack,
        listening(create_app(settings, watch=watch)) as endpoint,
        relay_service.relay_process(relay, tmp_path / "relay.log") as process,
    ):
        fleet.start()
        yield Platform(fleet, endpoint, process.port, watch)


class Prometheus:
    """One that runs with the platform's own files, but for where the services are and how often it reads them."""

    def __init__(self, url: str) -> None:
        self.url = url

    def get(self, path: str, **parameters: str) -> Any:
        answer = requests.get(f"{self.url}/api/v1/{path}", params=parameters, timeout=10).json()
        assert answer["status"] == "success", answer
        return answer["data"]

    def finds(self, query: str) -> bool:
        """Whether it answers with a number."""
        found = self.get("query", query=query)["result"]
        return any(value["value"][1] != "NaN" for value in found)


@pytest.fixture
def prometheus(platform: Platform, tmp_path: Path) -> Iterator[Prometheus]:
    program = shutil.which("prometheus")
    if program is None:
        pytest.skip("no Prometheus on this machine (Debian: apt-get install prometheus)")
    config = yaml.safe_load((MONITORING / "prometheus/prometheus.yaml").read_text())
    config["global"] = {"scrape_interval": "1s", "scrape_timeout": "1s", "evaluation_interval": "1s"}
    config["rule_files"] = [str(MONITORING / "prometheus/alerts.yaml")]
    assert {job["job_name"] for job in config["scrape_configs"]} == platform.doors.keys()
    for job in config["scrape_configs"]:
        targets = tmp_path / f"{job['job_name']}.json"
        targets.write_text(json.dumps([{"targets": platform.doors[job["job_name"]]}]))
        job.pop("dns_sd_configs", None)
        job.pop("static_configs", None)
        job["file_sd_configs"] = [{"files": [str(targets)]}]
        if "authorization" in job:
            assert job["authorization"] == {"credentials_file": "/run/secrets/PLATFORM_TOKEN"}, "as compose.yaml has it"
            job["authorization"]["credentials_file"] = str(tmp_path / "token")
    (tmp_path / "token").write_text("secret")
    (tmp_path / "prometheus.yaml").write_text(yaml.safe_dump(config))
    address = f"127.0.0.1:{services.free_port()}"
    command = [program, f"--config.file={tmp_path}/prometheus.yaml", f"--storage.tsdb.path={tmp_path}/prometheus"]
    with services.process([*command, f"--web.listen-address={address}"], tmp_path / "prometheus.log"):
        services.wait_until("Prometheus answers", lambda: requests.get(f"http://{address}/-/ready", timeout=2).ok)
        yield Prometheus(f"http://{address}")


def test_every_query_and_every_alert_finds_its_data(platform: Platform, prometheus: Prometheus) -> None:
    queries = [query.replace("$__rate_interval", "30s") for query in dashboard_queries()]
    missing = [*queries, *alert_metrics()]
    assert len(queries) >= 20 and {"up", "model_version", "monitor_alarm"} <= set(missing)
    platform.say_what_was_right()

    def found() -> bool:
        platform.ask()
        platform.watch.look()
        missing[:] = [query for query in missing if not prometheus.finds(query)]
        return not missing

    try:
        services.wait_until("every query has data", found, 90, 0.5)
    except AssertionError as late:
        raise AssertionError(f"{late}: {missing}") from None
    rules = [rule for group in prometheus.get("rules")["groups"] for rule in group["rules"]]
    assert {rule["health"] for rule in rules} == {"ok"}, rules
    assert not prometheus.finds('ALERTS{alertname=~"No.*|Errors|Replica.*|.*Down|Versions.*"}')


def test_a_newer_prometheus_reads_every_page(platform: Platform) -> None:
    for doors in platform.doors.values():  # from 3.0 on it refuses one that does not say what it is
        for door in doors:
            headers = {"Authorization": "Bearer secret"}
            page = requests.get(f"http://{door}/metrics", headers=headers, timeout=10)
            assert page.ok and page.headers["Content-Type"].startswith("text/plain")
