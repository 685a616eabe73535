"""What can keep the relay from delivering. All of it is waited out; the message says what would end the wait.

`passes` says whether it may end by itself, or somebody has to do what the message says.
"""

from typing import Self

import psycopg

from mlops_contract.errors import PlatformError


class DatabaseUnavailable(PlatformError):
    """The training database does not answer, or not as it should."""

    status = 503
    code = "database_unavailable"

    @classmethod
    def because(cls, error: psycopg.Error) -> Self:
        """Says the first line of what PostgreSQL or the connection said."""
        lines = str(error).strip().splitlines() or [type(error).__name__]
        return cls(f"The training database fails: {lines[0]}")


class AirflowUnavailable(PlatformError):
    """Airflow does not answer, or with a 5xx: the outcome of the call is not known."""

    status = 503
    code = "airflow_unavailable"


class AirflowLoginRefused(PlatformError):
    """User or password are wrong, or may not start the DAG."""

    status = 503
    code = "airflow_login_refused"
    passes = False


class DagMissing(PlatformError):
    """Airflow does not know the DAG (yet)."""

    status = 503
    code = "dag_missing"


class DagPaused(PlatformError):
    """Airflow accepts runs, but starts none."""

    status = 503
    code = "dag_paused"
    passes = False


class RunRefused(PlatformError):
    """Airflow refuses the run itself, which repeating it does not mend."""

    status = 503
    code = "run_refused"
    passes = False


class RowsNotTrained(PlatformError):
    """Runs ended without training on some rows, and were tried too often."""

    status = 503
    code = "rows_not_trained"
    passes = False
