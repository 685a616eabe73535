from pathlib import Path
from typing import Any

import psycopg
import pytest
from flask.testing import FlaskClient

from tests import training
from training_endpoint.http.api import create_app
from training_endpoint.jobs.queue import Jobs


@pytest.fixture
def client(database: str, tmp_path: Path) -> FlaskClient:
    return with_token(create_app(training.settings(database, tmp_path)).test_client())


def with_token(client: FlaskClient) -> FlaskClient:
    client.environ_base["HTTP_AUTHORIZATION"] = "Bearer secret"
    return client


CHANGES = [
    ("POST", "/datasets"),
    ("POST", "/train"),
    ("DELETE", "/train/x"),
    ("POST", "/promote"),
    ("PUT", "/anything"),
]


@pytest.mark.parametrize(("method", "path"), CHANGES)
@pytest.mark.parametrize("given", [{}, {"Authorization": "Bearer other"}, {"Authorization": "secret"}])
def test_nobody_changes_anything_without_the_token(
    client: FlaskClient, method: str, path: str, given: dict[str, str]
) -> None:
    client.environ_base.pop("HTTP_AUTHORIZATION")
    answer = client.open(path, method=method, json={"run_id": "r", "dataset": "/", "version": 1}, headers=given)
    assert answer.status_code == 401 and "PLATFORM_TOKEN" in answer.get_json()["error"]["message"]
    assert client.get("/train").get_json() == {"jobs": []}


@pytest.mark.parametrize(
    "host", ["evil.example", "evil.example:9999", "localhost.evil.example", "127.0.0.1.evil.example"]
)
def test_a_page_of_another_name_learns_nothing(client: FlaskClient, host: str) -> None:
    for path in ("/health", "/train", "/datasets/current", "/metrics", "/nothing"):
        answer = client.get(path, headers={"Host": host})
        assert answer.status_code == 403 and "TRAINING_EXTRA_HOSTS" in answer.get_json()["error"]["message"]


def test_more_names_can_be_set(database: str, tmp_path: Path) -> None:
    named = create_app(training.settings(database, tmp_path, TRAINING_EXTRA_HOSTS="ml.example.org")).test_client()
    assert named.get("/health", headers={"Host": "ML.example.org:9999"}).status_code == 200
    assert named.get("/health", headers={"Host": "training-endpoint:9999"}).status_code == 200


def test_so_many_jobs_wait_and_no_more(database: str, tmp_path: Path) -> None:
    app = create_app(training.settings(database, tmp_path, MAX_QUEUED_JOBS="2"))
    client = with_token(app.test_client())
    for run in ("a", "b"):
        assert client.post("/train", json={"run_id": run}).status_code == 202
    full = client.post("/train", json={"run_id": "c"})
    assert full.status_code == 429 and "MAX_QUEUED_JOBS" in full.get_json()["error"]["message"]
    known = client.post("/train", json={"run_id": "a"})
    assert known.status_code == 200
    client.delete(known.get_json()["url"])
    assert client.post("/train", json={"run_id": "c"}).status_code == 202


def test_a_job_is_accepted_once_seen_and_cancelled(client: FlaskClient) -> None:
    answer = client.post("/train", json={"run_id": "manual__2026-01-01T00:00:00+00:00", "epochs": 3})
    job = answer.get_json()
    assert answer.status_code == 202 and answer.headers["Location"] == job["url"] == f"/train/{job['job_id']}"
    assert job["status"] == job["phase"] == "queued" and job["request"] == {"epochs": 3}
    again = client.post("/train", json={"run_id": "manual__2026-01-01T00:00:00+00:00"})
    assert again.status_code == 200 and again.get_json() == job
    assert client.get(job["url"]).get_json() == job
    assert [listed["job_id"] for listed in client.get("/train").get_json()["jobs"]] == [job["job_id"]]
    assert client.delete(job["url"]).get_json()["status"] == "cancelled"
    assert client.delete(job["url"]).status_code == 200


def test_a_job_has_every_field_of_the_contract(client: FlaskClient) -> None:
    wanted = (
        "job_id run_id status phase progress step steps epoch eta_s metrics message error mlflow_run_id model_version"
        " verdict verdict_text champion_version dataset created_at started_at finished_at timings"
    )
    assert set(wanted.split()) <= set(client.post("/train", json={"run_id": "r"}).get_json())


@pytest.mark.parametrize(
    ("body", "status", "said"),
    [
        ({}, 422, "run_id must be text of 1 to 250"),
        ({"run_id": 7}, 422, "run_id must be"),
        ({"run_id": "x" * 251}, 422, "run_id must be"),
        ({"run_id": "a\u0000b"}, 422, "run_id must be"),
        ({"run_id": "r", "epochs": 0}, 422, "epochs is 0: it must be a whole number from 1 to 100"),
        ({"run_id": "r", "epochs": True}, 422, "epochs"),
        ({"run_id": "r", "learning_rate": float("nan")}, 422, "learning_rate"),
        ({"run_id": "r", "start_from": "scratch"}, 422, "start_from"),
        ({"run_id": "r", "epoch": 1}, 422, "'epoch' is not a field"),
        ([], 400, "must be a JSON object"),
        ("text", 400, "must be a JSON object"),
    ],
)
def test_a_wrong_request_says_what_is_wrong_and_queues_nothing(
    client: FlaskClient, body: Any, status: int, said: str
) -> None:
    answer = client.post("/train", json=body)
    assert answer.status_code == status and said in answer.get_json()["error"]["message"]
    assert client.get("/train").get_json() == {"jobs": []}


@pytest.mark.parametrize("path", ["/train", "/datasets", "/promote"])
def test_only_json_is_taken(client: FlaskClient, path: str) -> None:
    headers = {"Authorization": "Bearer secret"}
    assert client.post(path, data="run_id=r", headers=headers).status_code == 415
    assert client.post(path, data="{}", content_type="text/plain", headers=headers).status_code == 415
    broken = client.post(path, data="{", content_type="application/json", headers=headers)
    assert broken.status_code == 400 and "code" in broken.get_json()["error"]
    bytes_of_another_code = client.post(
        path, data=b'{"run_id": "\xff"}', content_type="application/json", headers=headers
    )
    assert bytes_of_another_code.status_code == 400
    huge = client.post(path, data=b'"' + b"x" * 100_000 + b'"', content_type="application/json", headers=headers)
    assert huge.status_code == 413


def test_what_is_not_there_is_a_404_and_a_wrong_method_a_405(client: FlaskClient) -> None:
    assert client.get("/train/nothing").get_json()["error"]["code"] == "no_such_job"
    assert client.delete("/train/nothing").status_code == 404
    assert client.get("/datasets/current").get_json()["error"]["code"] == "no_dataset"
    assert client.put("/train").status_code == 405
    assert client.get("/train?limit=0").status_code == 422


@pytest.mark.parametrize(
    ("change", "code", "named"),
    [
        ("ALTER TABLE mails RENAME COLUMN label TO spam", "missing_column", "'label'"),
        ("ALTER TABLE mails RENAME COLUMN text TO body", "missing_column", "'text'"),
        ("DROP TABLE mails", "missing_table", "mails"),
        ("REVOKE ALL ON mails FROM platform", "not_readable", "SELECT"),
        ("CREATE SCHEMA x; ALTER TABLE mails SET SCHEMA x", "missing_table", "mails"),
    ],
)
def test_a_classifier_whose_table_is_another_now_says_so_at_once(
    client: FlaskClient, database: str, change: str, code: str, named: str
) -> None:
    with psycopg.connect(database, autocommit=True) as connection:
        connection.execute("CREATE TABLE mails (text text, label text)")
        connection.execute("SELECT create_classifier('spam', 'mails')")
        assert client.get("/classifiers/spam").status_code == 200
        connection.execute(change)
    url = database.replace("//postgres:@", "//platform:@")
    told = with_token(create_app(training.settings(url, Path("/nowhere"))).test_client()).get("/classifiers/spam")
    error = told.get_json()["error"]
    assert (told.status_code, error["code"], error.get("passes", False)) == (422, code, False), error
    assert named in error["message"]


def test_promotion_wants_the_token_a_version_and_a_reason(client: FlaskClient) -> None:
    body: dict[str, Any] = {"version": 1, "reason": "rollback"}
    client.environ_base.pop("HTTP_AUTHORIZATION")
    assert client.post("/promote", json=body).status_code == 401
    headers = {"Authorization": "Bearer secret"}
    for wrong in ({"reason": "x"}, {"version": 0, "reason": "x"}, {"version": True, "reason": "x"}, {"version": 1}):
        answer = client.post("/promote", json=wrong, headers=headers)
        assert answer.status_code == 422, wrong
    unknown = client.post("/promote", json=body, headers=headers)
    assert unknown.status_code == 404 and unknown.get_json()["error"]["code"] == "unknown_version"


def test_ready_says_which_peer_is_absent(client: FlaskClient, database: str, mlflow_url: str, tmp_path: Path) -> None:
    absent = client.get("/ready")
    assert absent.status_code == 503 and "MLFLOW_TRACKING_URI" in absent.get_json()["error"]["message"]
    with_mlflow = create_app(training.settings(database, tmp_path, MLFLOW_TRACKING_URI=mlflow_url)).test_client()
    assert with_mlflow.get("/ready").status_code == 200


def test_without_a_database_it_is_healthy_and_says_503(tmp_path: Path) -> None:
    client = with_token(create_app(training.settings(f"postgresql://x@/x?host={tmp_path}", tmp_path)).test_client())
    assert client.get("/health").status_code == 200
    for answer in (client.get("/ready"), client.get("/train"), client.post("/train", json={"run_id": "r"})):
        assert answer.status_code == 503 and "start it, then try again" in answer.get_json()["error"]["message"]
    assert "training_database_up 0.0" in client.get("/metrics").text


def test_metrics_count_jobs_and_show_the_last_result(client: FlaskClient, database: str) -> None:
    jobs = Jobs(database)
    job_id = jobs.submit("r1", {})[0]["job_id"]
    jobs.submit("r2", {})
    jobs.claim()
    result = {"verdict": "promoted", "mlflow_run_id": "x", "model_version": 1}
    jobs.succeed(job_id, {**result, "metrics": {"accuracy": 0.9}, "timings": {"training": 3.5}}, [])
    text = client.get("/metrics").text
    assert 'training_jobs{status="succeeded"} 1.0' in text and 'training_jobs{status="queued"} 1.0' in text
    assert 'training_last_job{of="accuracy"} 0.9' in text and 'training_last_job{of="training_seconds"} 3.5' in text
