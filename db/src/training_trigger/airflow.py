"""The few calls of Airflow's REST API that the relay makes."""

from typing import Any
from urllib.parse import quote

import requests

from training_trigger.errors import AirflowLoginRefused, AirflowUnavailable, DagMissing, RunRefused
from training_trigger.events import Delivery
from training_trigger.settings import Settings

MAY_PASS = (408, 425, 429)
"""Refusals that speak of the moment, not of what was asked."""
MOST_QUEUED = 100  # as many as Airflow lists at once


class Airflow:
    """A client that logs in when it has to. Every method raises one of `errors` when Airflow does not do its part."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._dag = f"/api/v2/dags/{settings.dag_id}"
        self._session = requests.Session()
        self._session.trust_env = False  # Airflow is a neighbour: no proxy, no netrc
        self._token: str | None = None

    def start_run(self, delivery: Delivery) -> None:
        """Has Airflow accept the run. Safe to repeat: it answers 409 to an id that it already has."""
        body = {"dag_run_id": delivery.dag_run_id, "logical_date": None, "conf": delivery.conf}
        self._call("dag_run_id", "POST", f"{self._dag}/dagRuns", json=body)

    def queued(self) -> set[str | None]:
        """The classifiers of which a run waits for the one before it; None stands for the default one."""
        waiting = {"state": "queued", "limit": MOST_QUEUED}
        runs = self._call("dag_runs", "GET", f"{self._dag}/dagRuns", params=waiting) or []
        return {(run.get("conf") or {}).get("classifier") for run in runs}

    def is_paused(self) -> bool:
        return bool(self._call("is_paused", "GET", self._dag))

    def run_state(self, dag_run_id: str) -> str | None:
        """queued, running, success or failed; None when Airflow knows the DAG, but not (or no longer) this run."""
        try:
            return str(self._call("state", "GET", f"{self._dag}/dagRuns/{quote(dag_run_id, safe='')}"))
        except DagMissing:
            self.is_paused()  # raises where it is the DAG that is missing
            return None

    def _call(self, field: str, method: str, path: str, **arguments: Any) -> Any:
        """The answer's `field`, or None for a 409. A refused token is renewed once.

        An answer without that field is not Airflow's, whatever its status: a proxy's page accepts no run.
        """
        for renewed in (False, True):
            if self._token is None:
                self._token = self._login()
            headers = {"Authorization": f"Bearer {self._token}"}
            response = self._send(method, path, headers=headers, **arguments)
            answer = _json(response)
            if response.status_code == 409:
                return None
            if response.ok and field in answer:
                return answer[field]
            if response.status_code not in (401, 403):
                break
            self._token = None
            if renewed:
                raise AirflowLoginRefused(
                    f"Airflow lets {self._settings.airflow_user} log in but answers {response.status_code} to {method} "
                    f"{path}: give that account a role that may start and read runs of the DAG."
                )
        if response.status_code == 404:
            raise DagMissing(
                f"Airflow does not know the DAG {self._settings.dag_id}: check DAG_ID and the DAG processor's log."
            )
        if 400 <= response.status_code < 500 and response.status_code not in MAY_PASS:
            raise RunRefused(
                f"Airflow answers {response.status_code} to {method} {path}: {' '.join(response.text.split())[:300]} "
                "Change what the DAG accepts; its rows are tried again by themselves."
            )
        raise self._unavailable(f"answers {response.status_code} to {method} {path}, without {field}")

    def _login(self) -> str:
        settings = self._settings
        body = {"username": settings.airflow_user, "password": settings.airflow_password}
        response = self._send("POST", "/auth/token", json=body)
        if response.status_code in (401, 403):
            raise AirflowLoginRefused(
                f"Airflow refuses the login of {settings.airflow_user}: its password is not the one that the relay has "
                "(AIRFLOW_RELAY_PASSWORD in .env); `sh launch.sh` makes them one."
            )
        token = _json(response).get("access_token") if response.ok else None
        if not token:
            raise self._unavailable(f"answers {response.status_code} to a login")
        return str(token)

    def _send(self, method: str, path: str, **arguments: Any) -> requests.Response:
        timeout = self._settings.request_timeout_seconds
        try:
            return self._session.request(
                method, self._settings.airflow_url + path, timeout=timeout, allow_redirects=False, **arguments
            )
        except requests.Timeout as error:
            raise self._unavailable(f"does not answer within {timeout:g} s") from error
        except requests.RequestException as error:
            raise self._unavailable("cannot be reached") from error

    def _unavailable(self, what: str) -> AirflowUnavailable:
        return AirflowUnavailable(f"Airflow at {self._settings.airflow_url} {what}: see that it runs.")


def _json(response: requests.Response) -> dict[str, Any]:
    """The JSON object of an answer, empty where there is none."""
    try:
        answer = response.json()
    except requests.JSONDecodeError:
        return {}
    return answer if isinstance(answer, dict) else {}
