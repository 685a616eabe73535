import itertools
import os
import re
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import psutil
import psycopg
import pytest
from mlflow import MlflowClient

from tests import training
from tests.services import wait_until
from training_endpoint import errors
from training_endpoint.http.api import create_app
from training_endpoint.jobs.queue import Jobs, view
from training_endpoint.jobs.report import Reporter
from training_endpoint.jobs.runner import Runner
from training_endpoint.settings import Settings

RESULT: dict[str, Any] = {"verdict": "promoted", "mlflow_run_id": "r1", "model_version": 3, "verdict_text": "better"}
# A job's process in the tests: {} is where it says what it does.
CHILD = """
import os, signal, sys, time
from pathlib import Path
from training_endpoint.jobs.queue import Jobs
jobs, folder = Jobs(os.environ["DATABASE_URL"]), Path(os.environ["STATE_DIR"])
job_id = (sys.stdin.readline().split() or sys.exit())[0]
"""


@pytest.fixture
def jobs(database: str) -> Jobs:
    return Jobs(database)


@contextmanager
def runner(settings: Settings, code: str, retry_s: float = 0.1) -> Iterator[Runner]:
    """A running Runner whose child processes execute `code`."""
    made = Runner(settings, (sys.executable, "-c", CHILD + code), retry_s=retry_s)
    made.start()
    try:
        yield made
    finally:
        made.stop()


@pytest.fixture
def settings(database: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    monkeypatch.setenv("DATABASE_URL", database)
    monkeypatch.setenv("STATE_DIR", str(tmp_path))
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(sys.path))
    return training.settings(database, tmp_path, CANCEL_GRACE_S="1")


def status(jobs: Jobs, job_id: str) -> str:
    return str(jobs.get(job_id)["status"])


def alive(pid: int) -> bool:
    """Whether the process is there and not a zombie."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except FileNotFoundError:
        return False


def test_a_new_job_need_not_wait_for_the_next_look(
    jobs: Jobs, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("training_endpoint.jobs.runner.POLL_S", 600)
    with runner(settings, "jobs.fail(job_id, 'done')") as made:
        client = create_app(settings, wake=made.wake).test_client()
        for run_id in ("first", "second"):
            told = client.post("/train", json={"run_id": run_id}, headers={"Authorization": "Bearer secret"})
            ended = partial(jobs.get, told.get_json()["job_id"])
            wait_until("it has run", lambda: ended()["status"] == "failed", 60, 0.1)  # noqa: B023 - it is called here


def test_who_waits_is_told_his_place_and_when_it_will_be_his_turn(jobs: Jobs, database: str) -> None:
    with psycopg.connect(database) as connection:
        connection.execute(
            "INSERT INTO training_jobs (job_id, run_id, status, verdict, detail, started_at, finished_at)"
            " SELECT 'old' || n, 'old' || n, 'succeeded', 'promoted', jsonb_build_object('dataset',"
            " jsonb_build_object('name', 'mails')), now() - interval '1 day' - make_interval(secs => n),"
            " now() - interval '1 day' FROM unnest(ARRAY[290, 300, 310]) n"
        )
    first, _ = jobs.submit("first", {}, classifier="mails")
    assert view(first)["message"] == "waiting: place 1 in the queue"
    assert jobs.claim()
    second, _ = jobs.submit("second", {}, classifier="mails")
    third, _ = jobs.submit("third", {}, classifier="other")
    assert view(second)["place"] == 1 and view(second)["message"].endswith("begins in about 5 min")
    seen = view(jobs.get(third["job_id"]))
    assert seen["place"] == 2 and 590 < seen["starts_in_s"] <= 600
    assert [view(job)["place"] for job in jobs.newest(3)] == [2, 1, None]
    running = view(jobs.get(first["job_id"]))
    assert running["status"] == "running" and running["place"] is running["starts_in_s"] is None


def test_the_same_run_is_the_same_job(jobs: Jobs) -> None:
    first, created = jobs.submit("run-1", {"epochs": 3})
    again, created_again = jobs.submit("run-1", {"epochs": 9})
    assert created and not created_again and again == first
    assert view(first)["status"] == view(first)["phase"] == "queued" and first["request"] == {"epochs": 3}


def test_no_more_jobs_wait_than_may_however_many_come_at_once(jobs: Jobs) -> None:
    most, asked = 5, 40
    together = threading.Barrier(8)

    def submit(number: int) -> bool:
        if number < together.parties:
            together.wait(20)
        try:
            return jobs.submit(f"run-{number}", {}, most)[1]
        except errors.QueueFull:
            return False

    with ThreadPoolExecutor(together.parties) as pool:
        created = list(pool.map(submit, range(asked)))
    assert sum(created) == most == jobs.counts()["queued"]


def test_jobs_are_listed_newest_first_and_unknown_ones_are_said(jobs: Jobs) -> None:
    for number in range(3):
        jobs.submit(f"run-{number}", {})
    assert [job["run_id"] for job in jobs.newest(2)] == ["run-2", "run-1"]
    with pytest.raises(errors.JobNotFound, match="no job nothing"):
        jobs.get("nothing")


def test_success_covers_the_events_and_failure_does_not(jobs: Jobs, database: str) -> None:
    training.dataset(database)
    failed, good = (jobs.submit(run, {}, classifier="films")[0] for run in ("run-1", "run-2"))
    jobs.claim()
    assert jobs.fail(failed["job_id"], "no luck")["error"] == "no luck"
    with psycopg.connect(database) as connection:
        events = [row[0] for row in connection.execute("SELECT id FROM training_events").fetchall()]
        assert connection.execute("SELECT count(*) FROM training_coverage").fetchone() == (0,)
    jobs.claim()
    ended = jobs.succeed(good["job_id"], RESULT, events)
    assert (ended["status"], ended["progress"], ended["model_version"]) == ("succeeded", 1, 3)
    with psycopg.connect(database) as connection:
        seen = connection.execute("SELECT run, state, version FROM training_data_coverage").fetchall()
    assert seen == [("run-2", "succeeded", 3)] * 2


def test_a_cancelled_job_stays_cancelled_and_promotes_nothing(jobs: Jobs, database: str) -> None:
    job_id = jobs.submit("run-1", {})[0]["job_id"]
    jobs.claim()
    jobs.cancel(job_id)
    assert jobs.cancel(job_id)["status"] == "cancelled"
    with pytest.raises(errors.JobEnded):
        jobs.succeed(job_id, RESULT, [])
    assert jobs.get(job_id)["status"] == "cancelled"


def test_an_ended_job_cannot_be_cancelled(jobs: Jobs) -> None:
    job_id = jobs.submit("run-1", {})[0]["job_id"]
    jobs.claim()
    jobs.fail(job_id, "no luck")
    with pytest.raises(errors.JobEnded, match="failed already"):
        jobs.cancel(job_id)


def test_progress_is_written_while_the_job_runs_and_bad_numbers_become_null(jobs: Jobs) -> None:
    job_id = jobs.submit("run-1", {})[0]["job_id"]
    jobs.claim()
    with Reporter(jobs, job_id) as report:
        report(phase="training", progress=0.25, step=5, steps=20, metrics={"loss": float("nan"), "accuracy": 0.5})
        wait_until("progress is there", lambda: bool(jobs.get(job_id)["progress"] == 0.25), 10)
        report(step=6, message="epoch 1")
    seen = view(jobs.get(job_id))
    assert (seen["phase"], seen["step"], seen["steps"], seen["message"]) == ("training", 6, 20, "epoch 1")
    assert seen["metrics"] == {"loss": None, "accuracy": 0.5}


def test_jobs_run_one_after_another_in_their_order(jobs: Jobs, settings: Settings) -> None:
    ids = [jobs.submit(f"run-{number}", {})[0]["job_id"] for number in range(3)]
    code = f"jobs.succeed(job_id, {RESULT!r}, [])"
    with runner(settings, code):
        wait_until("all succeeded", lambda: jobs.counts() == {"succeeded": 3}, 30)
    ended = [jobs.get(job_id) for job_id in ids]
    for earlier, later in itertools.pairwise(ended):
        assert earlier["finished_at"] <= later["started_at"]


def test_a_process_waits_for_the_next_job_and_one_that_died_meanwhile_is_replaced(
    jobs: Jobs, settings: Settings
) -> None:
    def waiting() -> list[psutil.Process]:
        # process_iter leaves out what ended while it looked, and says None for the words of one not reaped yet.
        ours = (one for one in psutil.process_iter(["ppid", "cmdline"]) if one.info["ppid"] == os.getpid())
        return [one for one in ours if any(CHILD in word for word in one.info["cmdline"] or [])]

    with runner(settings, f"jobs.succeed(job_id, {RESULT!r}, [])"):
        wait_until("one waits", lambda: len(waiting()) == 1, 30)
        waiting()[0].kill()
        jobs.submit("run-1", {})
        wait_until("done", lambda: jobs.counts() == {"succeeded": 1}, 30)
        wait_until("the next one waits", lambda: len(waiting()) == 1, 30)
    assert not waiting()


@pytest.mark.parametrize(
    ("code", "said"),
    [
        ("os.kill(os.getpid(), signal.SIGKILL)", "memory was full"),
        ("os.kill(os.getpid(), signal.SIGSEGV)", "crashed .SIGSEGV."),
        ("sys.exit(3)", "status 3 and without a result"),
    ],
)
def test_a_process_that_dies_fails_its_job_with_the_reason(
    jobs: Jobs, settings: Settings, code: str, said: str
) -> None:
    job_id = jobs.submit("run-1", {})[0]["job_id"]
    with runner(settings, code):
        wait_until("failed", lambda: status(jobs, job_id) == "failed", 30)
    job = jobs.get(job_id)
    assert re.search(said, job["error"])
    assert job["detail"]["attempts"] == (settings.max_attempts if "SIGKILL" in code else 1)


@pytest.mark.parametrize("end", ["FAILED", "KILLED"])
def test_no_mlflow_run_stays_open_when_its_process_is_killed(
    jobs: Jobs, settings: Settings, mlflow_url: str, end: str
) -> None:
    client = MlflowClient(mlflow_url)
    run = client.create_run("0").info.run_id
    job_id = jobs.submit("run-1", {})[0]["job_id"]
    code = f"""
signal.signal(signal.SIGTERM, signal.SIG_IGN)
jobs.progress(job_id, {{"mlflow_run_id": {run!r}}})
{"time.sleep(600)" if end == "KILLED" else "os.kill(os.getpid(), signal.SIGKILL)"}
"""
    with runner(replace(settings, mlflow_tracking_uri=mlflow_url), code):
        wait_until("it runs", lambda: bool(jobs.get(job_id)["mlflow_run_id"]), 30)
        if end == "KILLED":
            jobs.cancel(job_id)
        wait_until("the run is closed", lambda: bool(client.get_run(run).info.status == end), 30)


def test_cancelling_ends_the_process_and_what_it_started_even_if_deaf(jobs: Jobs, settings: Settings) -> None:
    code = """
signal.signal(signal.SIGTERM, signal.SIG_IGN)
grandchild = os.fork()
(folder / ("grandchild" if grandchild == 0 else "child")).write_text(str(os.getpid()))
time.sleep(600)
"""
    job_id = jobs.submit("run-1", {})[0]["job_id"]
    with runner(settings, code):
        files = [settings.state_dir / name for name in ("child", "grandchild")]
        wait_until("both run", lambda: all(file.exists() and bool(file.read_text()) for file in files), 30)
        jobs.cancel(job_id)
        wait_until("both are gone", lambda: not any(alive(int(file.read_text())) for file in files), 30)
    assert status(jobs, job_id) == "cancelled"


def test_a_restart_takes_the_interrupted_job_up_again_in_its_folder(jobs: Jobs, settings: Settings) -> None:
    code = f"""
work = folder / "jobs" / job_id
if work.exists():
    jobs.succeed(job_id, {RESULT!r}, [])
else:
    work.mkdir(parents=True)
    time.sleep(600)
"""
    job_id = jobs.submit("run-1", {})[0]["job_id"]
    with runner(settings, code):
        wait_until("it runs", (settings.state_dir / "jobs" / job_id).exists, 30)
    assert status(jobs, job_id) == "running"
    jobs.submit("run-2", {})
    with runner(settings, code):
        wait_until("it is done", lambda: status(jobs, job_id) == "succeeded", 30)
    assert jobs.get(job_id)["detail"]["attempts"] == 2


def test_a_job_that_is_always_interrupted_fails_in_the_end(jobs: Jobs, settings: Settings) -> None:
    job_id = jobs.submit("run-1", {})[0]["job_id"]
    with runner(settings, "sys.exit(os.EX_TEMPFAIL)"):
        wait_until("failed", lambda: status(jobs, job_id) == "failed", 30)
    assert "Interrupted 3 times" in jobs.get(job_id)["error"]


def test_folders_of_ended_jobs_are_removed(jobs: Jobs, settings: Settings) -> None:
    folder = settings.state_dir / "jobs" / "of-a-lost-database"
    folder.mkdir(parents=True)
    jobs.submit("run-1", {})
    with runner(settings, f"jobs.succeed(job_id, {RESULT!r}, [])"):
        wait_until("done", lambda: jobs.counts() == {"succeeded": 1}, 30)
    assert not folder.exists()


def test_the_runner_waits_for_an_absent_database(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    absent = training.settings(f"postgresql://x@/x?host={tmp_path}", tmp_path)
    with runner(absent, "pass"):
        deadline = time.monotonic() + 10
        while caplog.text.count("does not answer") < 2 and time.monotonic() < deadline:
            time.sleep(0.05)
    assert caplog.text.count("does not answer") >= 2
