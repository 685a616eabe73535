"""The few calls of Airflow's REST API that the relay makes."""

from typing import Any

import requests

from training_trigger.errors import AirflowLoginRefused, AirflowUnavailable, DagMissing, RunRefused
from training_trigger.events import Delivery
from training_trigger.settings import Settings


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
        self._call("POST", f"{self._dag}/dagRuns", accept=(200, 201, 409), json=body)

    def run_is_queued(self) -> bool:
        """True while a run waits for the one before it."""
        answer = self._call("GET", f"{self._dag}/dagRuns", params={"state": "queued", "limit": 1})
        return bool(answer["total_entries"])

    def is_paused(self) -> bool:
        return bool(self._call("GET", self._dag)["is_paused"])

    def _call(self, method: str, path: str, accept: tuple[int, ...] = (200,), **arguments: Any) -> dict[str, Any]:
        """Calls with the token at hand, and once more with a new one when that is refused."""
        for renewed in (False, True):
            if self._token is None:
                self._token = self._login()
            headers = {"Authorization": f"Bearer {self._token}"}
            response = self._send(method, path, headers=headers, **arguments)
            if response.status_code in accept:
                return _json(response)
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
        if response.status_code in (400, 422):
            raise RunRefused(
                f"Airflow answers {response.status_code} to {method} {path}: {response.text[:300]} "
                "Change what the DAG accepts; the relay tries again by itself."
            )
        raise self._unavailable(f"answers {response.status_code}")

    def _login(self) -> str:
        settings = self._settings
        body = {"username": settings.airflow_user, "password": settings.airflow_password}
        response = self._send("POST", "/auth/token", json=body)
        if response.status_code in (401, 403):
            raise AirflowLoginRefused(
                f"Airflow refuses the login of {settings.airflow_user}: set AIRFLOW_USER and AIRFLOW_PASSWORD "
                "in .env to an account of Airflow's, then start the relay again."
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
    """The JSON object of an answer, empty where there is none: the status alone decides."""
    try:
        answer = response.json()
    except requests.JSONDecodeError:
        return {}
    return answer if isinstance(answer, dict) else {}
