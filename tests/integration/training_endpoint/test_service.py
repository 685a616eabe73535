"""The service as it is started: one process tree, a database that comes later, and restarts in the middle of a job."""

import itertools
import socket
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import psycopg
import pyarrow.parquet as pq
import pytest
import requests

from tests import services, training
from tests.services import wait_until
from training_endpoint.data import reproduce

TOKEN = {"Authorization": "Bearer secret"}


@contextmanager
def endpoint(database: str, folder: Path, **variables: str) -> Iterator[str]:
    """A running training endpoint; yields its URL once it answers."""
    port = services.free_port()
    url = f"http://127.0.0.1:{port}"
    environment = {
        "DATABASE_URL": database,
        "MLFLOW_TRACKING_URI": "http://127.0.0.1:9",
        "PLATFORM_TOKEN": "secret",
        "STATE_DIR": str(folder / "state"),
        "HOST": "127.0.0.1",
        "PORT": str(port),
        "PYTHONPATH": ":".join(sys.path),
        **variables,
    }
    with services.process([sys.executable, "-m", "training_endpoint"], folder / "endpoint.log", environment):
        wait_until("the endpoint answers", lambda: requests.get(f"{url}/health", timeout=5).ok, 90)
        yield url


def ended(url: str, seconds: float = 120) -> dict[str, Any]:
    """The job at `url` once it is over."""
    job: dict[str, Any] = {}

    def over() -> bool:
        job.update(requests.get(url, timeout=10).json())
        return job["status"] in ("succeeded", "failed", "cancelled")

    wait_until("the job ends", over, seconds, 0.5)
    return job


def test_it_starts_without_a_database_and_recovers_by_itself(postgres_server: str, tmp_path: Path) -> None:
    database = postgres_server.replace("/postgres?", "/comes_later?")
    with endpoint(database, tmp_path) as url:
        absent = requests.post(f"{url}/train", headers=TOKEN, json={"run_id": "r"}, timeout=10)
        assert absent.status_code == 503 and "start it" in absent.json()["error"]["message"]
        services.new_database(postgres_server, "comes_later")
        no_schema = requests.post(f"{url}/train", headers=TOKEN, json={"run_id": "r"}, timeout=10)
        assert no_schema.status_code == 503 and "no schema yet" in no_schema.json()["error"]["message"]
        services.apply_schema(database)
        job = requests.post(f"{url}/train", headers=TOKEN, json={"run_id": "r"}, timeout=10).json()
        end = ended(url + job["url"])
    assert end["status"] == "failed" and end["error"].startswith("No dataset has been imported")


SLOW = {
    "nothing": b"",
    "half a head": b"GET /health HTTP/1.1\r\nHost: localhost\r\nX-A: ",
    "half a body": b"POST /train HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000\r\n\r\n{",
    "half a chunk": b"POST /train HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nab",
}


def test_clients_that_never_finish_hold_up_nobody_and_are_let_go(database: str, tmp_path: Path) -> None:
    with endpoint(database, tmp_path) as url, ExitStack() as opened:
        port = int(url.rpartition(":")[2])
        slow = [opened.enter_context(socket.create_connection(("127.0.0.1", port), 5)) for _ in range(25) for _ in SLOW]
        for one, said in zip(slow, itertools.cycle(SLOW.values()), strict=False):
            one.sendall(said)
        for _ in range(3):
            assert requests.get(f"{url}/health", timeout=5).ok
            assert (
                requests.post(f"{url}/train", headers=TOKEN, json={"run_id": "r" * 300}, timeout=5).status_code == 422
            )
        for one in slow:
            one.settimeout(30)
            assert one.recv(4096) == b""


def test_requests_of_every_form_arrive(database: str, tmp_path: Path) -> None:
    with endpoint(database, tmp_path) as url:
        body = b'{"run_id": "' + b"r" * 300 + b'"}'
        headers = {**TOKEN, "Content-Type": "application/json"}
        chunks = iter([body[:5], body[5:200], body[200:]])
        for data in (body, chunks, b"{" * 100, body + b" " * 60_000):
            assert requests.post(f"{url}/train", headers=headers, data=data, timeout=10).status_code in (400, 422)
        assert requests.post(f"{url}/train", headers=headers, data=b" " * 400_000, timeout=10).status_code == 413
        with socket.create_connection(("127.0.0.1", int(url.rpartition(":")[2])), 5) as one:
            for byte in b"GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n":
                one.sendall(bytes([byte]))
            assert one.recv(4096).startswith(b"HTTP/1.1 200")
        with requests.Session() as session:
            assert [session.get(f"{url}/health", timeout=5).status_code for _ in range(5)] == [200] * 5


def test_bad_data_ends_the_job_with_a_sentence(database: str, tmp_path: Path) -> None:
    training.dataset(database, train=[("a", "good"), ("b", "good")])
    with endpoint(database, tmp_path) as url:
        end = ended(url + requests.post(f"{url}/train", headers=TOKEN, json={"run_id": "r"}, timeout=10).json()["url"])
    assert end["status"] == "failed" and "labelled 'good'" in end["error"] and end["model_version"] is None


GOOD = ("a joy to watch", "warm and funny", "simply wonderful", "a great evening", "I loved it")
BAD = ("a mess to watch", "cold and dull", "simply awful", "a wasted evening", "I hated it")
WHO = (
    "she said",
    "he wrote",
    "they told us",
    "we think",
    "my aunt says",
    "the paper had it",
    "as one hears",
    "so be it",
)


def films(who: tuple[str, ...]) -> list[tuple[str, str]]:
    rows = [(f"{text}, {mark}", "good") for text in GOOD for mark in who]
    return rows + [(f"{text}, {mark}", "bad") for text in BAD for mark in who]


@pytest.mark.timeout(900)
def test_a_job_killed_with_its_service_is_resumed_promoted_covered_and_reproducible(
    database: str, mlflow_url: str, tmp_path: Path
) -> None:
    model = f"m-{tmp_path.name}"  # nobody else's
    training.dataset(database, train=films(WHO[:5]), test=films(WHO[6:]), model=model)
    platform = {"MLFLOW_TRACKING_URI": mlflow_url, "MODEL_NAME": model, "LATENCY_BUDGET_MS": "60000"}
    with endpoint(database, tmp_path, **platform) as url:
        body = {"run_id": "killed", "epochs": 8, "batch_size": 8, "seed": 1}
        path = requests.post(f"{url}/train", headers=TOKEN, json=body, timeout=10).json()["url"]
        work = tmp_path / "state/jobs" / path.rsplit("/", 1)[1]
        wait_until("a checkpoint", (work / "checkpoint.pt").exists, 400)
    training.insert(database, "film_train", [("came later", "good")])
    with endpoint(database, tmp_path, **platform) as url:
        job = ended(url + path, 400)
    assert job["status"] == "succeeded", job["error"]
    assert job["attempts"] == 2 and job["verdict"] == "first_champion" and job["model_version"] == 1
    assert job["dataset"]["train_rows"] == 50 and job["progress"] == 1 and job["metrics"]["accuracy"] > 0.8
    with psycopg.connect(database) as connection:
        states = connection.execute("SELECT state, version FROM training_data_coverage ORDER BY event").fetchall()
        moves = connection.execute("SELECT to_version, verdict, job_id FROM promotion_ledger").fetchall()
    assert states == [("succeeded", 1), ("succeeded", 1), ("pending", None)]
    assert moves == [(1, "first_champion", job["job_id"])]

    settings = training.settings(database, tmp_path, **platform)
    out = tmp_path / "rows.parquet"
    assert reproduce.main(["1", "--out", str(out)], settings) == 0
    assert pq.read_table(out).num_rows == 70
    with psycopg.connect(database) as connection:
        connection.execute("DELETE FROM film_train WHERE text = 'warm and funny, she said'")
    assert reproduce.main(["1"], settings) == 1
    assert reproduce.main(["2"], settings) == 2
