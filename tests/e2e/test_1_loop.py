"""The product's promise, in the order in which a user sees it."""

import base64
import re
import stat

import pytest

from tests.e2e.platform import Platform
from tests.services import wait_until

pytestmark = pytest.mark.timeout(1200)

FILM = "What a wonderful film"


def test_launch_ends_with_a_prediction(platform: Platform) -> None:
    said = platform.launch()
    assert re.search(rf'"{FILM}" → \w+ \(\d+\.\d%\), by sample version 1', said)
    for port in ("NGINX_PORT", "AIRFLOW_PORT", "MLFLOW_PORT"):
        assert f"localhost:{platform.ports[port]}" in said
    assert stat.S_IMODE((platform.folder / ".env").stat().st_mode) == 0o600


def test_predict_answers_with_scores_and_version(platform: Platform) -> None:
    answer, headers = platform.predict(FILM)
    (prediction,) = answer["predictions"]
    assert prediction["label"] == "positive"
    assert prediction["score"] == max(prediction["scores"].values())
    assert sum(prediction["scores"].values()) == pytest.approx(1, abs=1e-3)
    assert answer["model"]["name"] == "sample"
    assert answer["model"]["run_id"] == headers["X-Model-Run-Id"]
    assert len(platform.versions_by_replica()) == 2


def test_what_was_answered_is_in_the_log_under_its_requests_id(platform: Platform) -> None:
    _, headers = platform.predict("A film for the log")
    by_id = f"WHERE request_id = '{headers['X-Request-Id']}'"
    asked = f"SELECT classifier, version, label, text FROM prediction_log.answers {by_id}"
    wait_until("it is in the log", lambda: "A film for the log" in platform.sql(asked), 30)
    assert "sample" in platform.sql(asked)


def test_second_launch_trains_nothing(platform: Platform) -> None:
    said = platform.launch()
    assert "Training the first Champion" not in said
    assert "by sample version 1" in said


def test_management_is_not_reachable_from_outside(platform: Platform) -> None:
    assert platform.status_of("/change_model", "POST") == 404
    assert platform.status_of("/models") == 404
    assert platform.status_of("/metrics") == 404


def test_nobody_is_let_in_without_an_account_a_token_or_under_another_name(platform: Platform) -> None:
    champion = "/api/2.0/mlflow/registered-models/alias?name=sample&alias=Champion"
    account = f"{platform.setting('MLFLOW_USER')}:{platform.setting('MLFLOW_PASSWORD')}"
    basic = f"Basic {base64.b64encode(account.encode()).decode()}"
    assert platform.ask("MLFLOW_PORT", champion) == 401
    assert platform.ask("MLFLOW_PORT", champion, Authorization=basic) == 200
    for path in ("/datasets", "/train", "/promote"):
        assert platform.ask("TRAINING_PORT", path, "POST") == 401
    evil = "evil.example"
    assert platform.ask("NGINX_PORT", "/ready", Host=evil) == 403
    assert platform.ask("TRAINING_PORT", "/train", Host=evil) == 403
    assert platform.ask("AIRFLOW_PORT", "/api/v2/monitor/health", Host=evil) == 403
    assert platform.ask("MLFLOW_PORT", champion, Host=evil, Authorization=basic) == 403
    for port in ("NGINX_PORT", "TRAINING_PORT", "AIRFLOW_PORT"):
        assert platform.ask(port, "/", Host=f"localhost:{platform.ports[port]}") != 403


def test_inserted_rows_become_the_served_version(platform: Platform) -> None:
    done = platform.run("python3", "database_trigger.py", "--wait")
    assert done.returncode == 0, done.stdout
    assert platform.versions_by_replica() and all(seen == {"2"} for seen in platform.versions_by_replica().values())


def test_manual_run_can_be_followed_to_its_verdict(platform: Platform) -> None:
    done = platform.run("python3", "manually_trigger.py", "--wait")
    assert done.returncode == 0, done.stdout
    for task in ("Training_Data_Update", "Train_Model", "Switch_Latest_Model"):
        assert task in done.stdout
    assert re.search(r'sh launch\.sh promote 3 --classifier sample --reason "…"', done.stdout), (
        "a run on unchanged rows promotes nothing"
    )
    assert all(seen == {"2"} for seen in platform.versions_by_replica().values())


def test_status_and_logs(platform: Platform) -> None:
    said = platform.launch("status")
    for service in ("tracking-server", "training-endpoint", "training-trigger", "airflow-scheduler", "model-endpoint"):
        assert service in said
    assert "version 2" in said
    assert platform.launch("logs", "training-endpoint").strip()
