#!/usr/bin/env python3
"""Starts the training pipeline through Airflow's REST API: python3 manually_trigger.py [--classifier NAME] [--wait] …

Standard library only, Python 3.9 or newer, and readable from standard input: it also runs where only Python is.
Addresses and the account come from the environment (AIRFLOW_URL, AIRFLOW_USER, AIRFLOW_PASSWORD, TRAINING_URL,
NGINX_URL), else from the .env that launch.sh writes.
"""

from __future__ import annotations

import argparse
import json
import os
import ssl
import sys
import time
import urllib.error
import urllib.parse
import urllib.request
import uuid
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Callable

DAG = "machine-learning-training-pipeline"
TASKS = ("Training_Data_Update", "Train_Model", "Switch_Latest_Model")
ENDED = ("success", "failed")
POLL_S = 1.0
PATIENCE_S = 300  # how long a run is followed while nothing answers
ROOT = Path(globals().get("__file__", "manually_trigger.py")).resolve().parent


class Problem(Exception):
    """Why it cannot go on, in one sentence for people."""


class Unreachable(Exception):
    """Nothing answers at an address."""


@dataclass(frozen=True)
class Platform:
    """Where the platform's doors are, and Airflow's account."""

    airflow: str
    airflow_page: str  # where people's browsers reach it
    training: str
    nginx: str
    user: str
    password: str
    token: str = ""

    @classmethod
    def load(cls) -> Platform:
        """From the environment, else from .env; raises Problem where neither says."""
        given = settings()

        def address(variable: str, door: str, default: int, bind: str = "", scheme: str = "http") -> str:
            host = given.get(bind or f"{door}_BIND_ADDRESS") or "127.0.0.1"
            if host in ("0.0.0.0", "::"):  # noqa: S104 - a comparison
                host = "127.0.0.1"
            return (given.get(variable) or f"{scheme}://{host}:{given.get(f'{door}_PORT') or default}").rstrip("/")

        airflow = address("AIRFLOW_URL", "AIRFLOW", 8080)
        scheme = "https" if given.get("NGINX_CERTIFICATE") else "http"
        user, password = given.get("AIRFLOW_USER") or "admin", given.get("AIRFLOW_PASSWORD") or "admin"
        # The platform's own account goes on when people change theirs; the environment may name another.
        if "AIRFLOW_PASSWORD" not in os.environ and given.get("AIRFLOW_RELAY_PASSWORD"):
            user, password = "relay", given["AIRFLOW_RELAY_PASSWORD"]
        return cls(
            airflow=airflow,
            airflow_page=given.get("AIRFLOW_PUBLIC_URL") or airflow,
            training=address("TRAINING_URL", "TRAINING", 9999),
            nginx=address("NGINX_URL", "NGINX", 8000, "BIND_ADDRESS", scheme),
            user=user,
            password=password,
            token=given.get("PLATFORM_TOKEN") or "",
        )


def settings() -> dict[str, str]:
    """The settings of .env, over which the environment's win; raises Problem where launch.sh has not run."""
    if not (ROOT / ".env").exists():
        if "AIRFLOW_URL" not in os.environ:
            raise Problem(f"There is no {ROOT / '.env'}: run `sh launch.sh` first, it sets the platform up.")
        return dict(os.environ)
    from launch import dotenv  # noqa: PLC0415 - where there is a .env there is launch/, else perhaps neither

    try:
        return {**dotenv.settings(ROOT), **os.environ}
    except ValueError as error:
        raise Problem(str(error)) from error


def request(
    method: str, url: str, body: object = None, token: str = "", timeout: float = 30, verify: bool = True
) -> tuple[int, Any, dict[str, str]]:
    """One call; returns the status, the parsed JSON (else the text) and the headers, raises Unreachable."""
    context = None if verify else ssl._create_unverified_context()  # noqa: S323 - for what is public anyway
    # No proxy leads to the platform's doors.
    direct = urllib.request.build_opener(urllib.request.ProxyHandler({}), urllib.request.HTTPSHandler(context=context))
    headers = {"Content-Type": "application/json", "Accept": "application/json"}
    if token:
        headers["Authorization"] = f"Bearer {token}"
    data = None if body is None else json.dumps(body).encode()
    call = urllib.request.Request(url, data, headers, method=method)  # noqa: S310 - http by contract
    try:
        with direct.open(call, timeout=timeout) as answer:
            status, text, received = answer.status, answer.read(), dict(answer.headers)
    except urllib.error.HTTPError as error:
        status, text, received = error.code, error.read(), dict(error.headers)
    except (OSError, ValueError) as error:
        raise Unreachable(f"{url}: {getattr(error, 'reason', None) or error}") from error
    try:
        return status, json.loads(text), received
    except ValueError:
        return status, text.decode(errors="replace"), received


class Airflow:
    """The few calls of Airflow's REST API that the pipeline needs."""

    def __init__(self, platform: Platform) -> None:
        self.platform = platform
        self.token = ""

    def call(self, method: str, path: str, body: object = None) -> tuple[int, Any]:
        """The status and the answer, logging in when needed; raises Problem for a wrong account, Unreachable."""
        url = f"{self.platform.airflow}/api/v2/{path}"
        status, answer = 401, None
        if self.token:
            status, answer, _ = request(method, url, body, self.token)
        if status in (401, 403):  # a token is good for a day
            self._log_in()
            status, answer, _ = request(method, url, body, self.token)
        if status >= 500:
            raise Unreachable(f"{url}: status {status}")
        return status, answer

    def _log_in(self) -> None:
        account = {"username": self.platform.user, "password": self.platform.password}
        status, answer, _ = request("POST", f"{self.platform.airflow}/auth/token", account)
        if status in (401, 403):
            raise Problem(
                f"Airflow refuses the account {self.platform.user!r}: its password in .env "
                "is not what Airflow has; `sh launch.sh` sets it there."
            )
        if status >= 500:
            raise Unreachable(f"{self.platform.airflow}/auth/token: status {status}")
        if not isinstance(answer, dict) or "access_token" not in answer:
            raise Problem(f"What answers at {self.platform.airflow} is not Airflow: look at AIRFLOW_PORT in .env.")
        self.token = answer["access_token"]

    def trigger(self, conf: dict[str, Any]) -> str:
        """Starts a run and returns its id; raises Problem when the DAG is unknown or paused, or refuses `conf`."""
        status, dag = self.call("GET", f"dags/{DAG}")
        if status == 404:
            raise Problem(f"Airflow has no DAG {DAG}: `sh launch.sh logs airflow-dag-processor` says why.")
        if status == 200 and dag["is_paused"]:
            raise Problem(
                f"The DAG is paused, no run would start: unpause it at {self.platform.airflow_page}/dags/{DAG}."
            )
        whose = f"{conf['classifier']}__" if conf.get("classifier") else ""
        run_id = f"manual__{whose}{time.strftime('%Y-%m-%dT%H:%M:%SZ', time.gmtime())}_{uuid.uuid4().hex[:6]}"
        body = {"dag_run_id": run_id, "logical_date": None, "conf": conf}
        status, answer = self.call("POST", f"dags/{DAG}/dagRuns", body)
        if status != 200:
            reason = answer.get("detail", answer) if isinstance(answer, dict) else answer
            raise Problem(f"Airflow refuses the run ({status}): {str(reason).strip().splitlines()[0]}")
        return run_id

    def run_state(self, run_id: str) -> str:
        """queued, running, success or failed."""
        status, answer = self.call("GET", f"dags/{DAG}/dagRuns/{urllib.parse.quote(run_id)}")
        if status == 404:
            raise Problem(f"Airflow has no run {run_id} any more: somebody deleted it.")
        return str(answer["state"])

    def task_states(self, run_id: str) -> dict[str, str | None]:
        """Task name to state; None before the scheduler looked at it."""
        _, answer = self.call("GET", f"dags/{DAG}/dagRuns/{urllib.parse.quote(run_id)}/taskInstances")
        return {task["task_id"]: task["state"] for task in answer["task_instances"]}

    def failure(self, run_id: str) -> str:
        """The last error in the log of the task that failed, and where to read on."""
        for task, state in self.task_states(run_id).items():
            if state == "failed":
                path = f"dags/{DAG}/dagRuns/{urllib.parse.quote(run_id)}/taskInstances/{task}"
                _, instance = self.call("GET", path)
                _, log = self.call("GET", f"{path}/logs/{instance['try_number']}")
                reasons = [reason for line in log.get("content", []) for reason in _errors(line)]
                return f"{task} failed: {reasons[-1] if reasons else 'its log says why'}"
        return "it was ended by hand"

    def page(self, run_id: str) -> str:
        """The run's page for people."""
        return f"{self.platform.airflow_page}/dags/{DAG}/runs/{urllib.parse.quote(run_id)}"


def _errors(line: Any) -> list[str]:
    """What a line of a task's log says of the exceptions it carries."""
    details = line.get("error_detail") if isinstance(line, dict) else None
    return [f"{detail['exc_value']}" for detail in details or [] if detail.get("exc_value")]


class Screen:
    """Prints each piece of news once; a terminal also sees the progress move within its line."""

    def __init__(self) -> None:
        self.moving = sys.stdout.isatty()
        self.shown = ""

    def news(self, text: str) -> None:
        """A line that stays."""
        if self.moving and self.shown:
            print("\r\033[K", end="")
        self.shown = ""
        print(text, flush=True)

    def progress(self, text: str, step: object) -> None:
        """A line that the next replaces; where lines cannot move, only another `step` is printed."""
        if self.moving:
            print(f"\r\033[K{text}", end="", flush=True)
            self.shown = text
        elif str(step) != self.shown:
            print(text, flush=True)
            self.shown = str(step)


def training_job(platform: Platform, run_id: str) -> dict[str, Any] | None:
    """The training job of a run; None where there is none yet, or where the training endpoint does not answer."""
    try:
        status, answer, _ = request("GET", f"{platform.training}/train", token=platform.token, timeout=10)
    except Unreachable:
        return None
    jobs = answer["jobs"] if status == 200 else []
    return next((job for job in jobs if job["run_id"] == run_id), None)


def served_version(platform: Platform, classifier: str = "") -> str | None:
    """The version of a classifier, '' for the default one, that answers through nginx; None where none does."""
    place = f"/classifiers/{urllib.parse.quote(classifier)}" if classifier else ""
    try:
        _, _, headers = request("GET", f"{platform.nginx}{place}/ready", timeout=10, verify=False)
    except Unreachable:
        return None
    return {name.lower(): value for name, value in headers.items()}.get("x-model-version")


def progress_line(job: dict[str, Any]) -> str:
    """Phase, per cent, the job's own words, and the time left."""
    if job["status"] in ("failed", "cancelled"):
        return f"  {job['status']:<22}"  # how far it came says nothing any more
    line = f"  {job.get('phase') or job['status']:<22} {job.get('progress') or 0:4.0%}"
    if job.get("message"):
        line += f"  {job['message']}"
    if job.get("eta_s"):
        line += f"  about {job['eta_s']:.0f} s left"
    return line


def never() -> bool:
    """What `follow` asks when no other run can take over."""
    return False


def follow(airflow: Airflow, run_id: str, screen: Screen, overtaken: Callable[[], bool] = never) -> str:
    """Shows a run's tasks and training until it ends; returns its final state, or "queued" once it is `overtaken`."""
    said: set[tuple[str, str]] = set()  # a task that was deferred, or tries again, starts more than once
    started = last_answer = time.monotonic()
    queued_shown = False
    while True:
        try:
            state, tasks = airflow.run_state(run_id), airflow.task_states(run_id)
            last_answer = time.monotonic()
        except Unreachable as error:
            if time.monotonic() - last_answer > PATIENCE_S:
                raise
            screen.progress(f"  Airflow does not answer, asking again ({error})", "silence")
            time.sleep(POLL_S)
            continue
        if state == "queued" and not queued_shown and time.monotonic() - started > 5 * POLL_S:
            screen.news("  queued behind the run before it")
            queued_shown = True
        if state == "queued" and overtaken():
            return state
        for task in TASKS:
            words = WORDS.get(tasks.get(task) or "")
            if words and (task, words) not in said:
                screen.news(f"  {task:<22} {words}")
                said.add((task, words))
        if state in ENDED:
            return state
        if tasks.get("Train_Model") == "deferred":
            job = training_job(airflow.platform, run_id)
            if job is not None:
                screen.progress(progress_line(job), (job.get("phase"), int((job.get("progress") or 0) * 10)))
        time.sleep(POLL_S)


WORDS = {
    "running": "started",
    "success": "done",
    "failed": "failed",
    "up_for_retry": "waits to try again, its log in Airflow says why",
    "upstream_failed": "does not run, since what comes before it failed",
}


def report(airflow: Airflow, run_id: str, state: str, before: str | None, whose: str = "") -> None:
    """What a finished run of a classifier, '' for the default one, came to; raises Problem for one that failed."""
    job = training_job(airflow.platform, run_id) or {}
    if state != "success":
        reason = job.get("error") if job.get("status") == "failed" else None
        raise Problem(f"The run failed: {reason or airflow.failure(run_id)}. See {airflow.page(run_id)}")
    if job.get("verdict"):
        print(f"Verdict on version {job.get('model_version')}: {job['verdict']} – {job.get('verdict_text')}")
    after = served_version(airflow.platform, whose)
    if after is None:
        raise Problem(
            f"The run succeeded, but nothing is served at {airflow.platform.nginx}: see `sh launch.sh status`."
        )
    print(f"Served now: version {after}" + (f", before it {before}" if before and before != after else ""))


def start(arguments: argparse.Namespace) -> None:
    """Starts a run and, where asked, follows it to its end."""
    conf = arguments.conf
    if arguments.epochs is not None:
        conf = {**conf, "training": {**conf.get("training", {}), "epochs": arguments.epochs}}
    if arguments.classifier:
        conf = {**conf, "classifier": arguments.classifier}
    airflow = Airflow(Platform.load())
    whose = conf.get("classifier") or ""
    before = served_version(airflow.platform, whose) if arguments.wait else None
    run_id = airflow.trigger(conf)
    print(f"Started {run_id}: {airflow.page(run_id)}", flush=True)
    if arguments.wait:
        report(airflow, run_id, follow(airflow, run_id, Screen()), before, whose)


def json_object(text: str) -> dict[str, Any]:
    """An argument that is a JSON object."""
    value = json.loads(text)
    if not isinstance(value, dict):
        raise ValueError("not an object")
    return value


def guarded(action: Any, arguments: argparse.Namespace) -> int:
    """Runs `action(arguments)`; turns what can go wrong into one sentence and an exit status."""
    try:
        action(arguments)
    except Problem as problem:
        print(problem, file=sys.stderr)
        return 1
    except Unreachable as error:
        print(
            f"Airflow does not answer ({error}): start the platform with `sh launch.sh`, or see `sh launch.sh status`.",
            file=sys.stderr,
        )
        return 1
    except KeyboardInterrupt:
        print("\nNo longer followed; what was started goes on.", file=sys.stderr)
        return 130
    return 0


def main() -> int:
    """The command line."""
    parser = argparse.ArgumentParser(description="Starts the training pipeline through Airflow.")
    parser.add_argument("--classifier", metavar="NAME", help="whose rows are trained on (default: the default one's)")
    parser.add_argument("--wait", action="store_true", help="follow the run to its end")
    parser.add_argument("--epochs", type=int, metavar="N", help="train so many epochs instead of the default")
    parser.add_argument("--conf", type=json_object, default={}, metavar="JSON", help="the run's conf")
    return guarded(start, parser.parse_args())


if __name__ == "__main__":
    sys.exit(main())
