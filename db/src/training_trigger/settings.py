"""The relay's settings, the only place that reads the environment."""

from collections.abc import Mapping
from dataclasses import dataclass

from mlops_contract.env import Env


@dataclass(frozen=True)
class Settings:
    """What docs/settings/relay.md explains. Times in seconds unless the name says otherwise."""

    database_url: str
    airflow_url: str
    airflow_user: str
    airflow_password: str
    dag_id: str
    quiet_seconds: float
    max_wait_seconds: float
    min_rows: int
    poll_seconds: float
    retry_cap_seconds: float
    request_timeout_seconds: float
    run_attempts: int
    retry_run_seconds: float
    retention_days: float
    prediction_log_days: int
    host: str
    port: int

    @classmethod
    def from_env(cls, variables: Mapping[str, str]) -> "Settings":
        """Raises SettingError with the name of the setting that is missing or wrong."""
        env = Env(variables)
        return cls(
            database_url=env.text("DATABASE_URL"),
            airflow_url=env.text("AIRFLOW_URL").rstrip("/"),
            airflow_user=env.text("AIRFLOW_USER"),
            airflow_password=env.text("AIRFLOW_PASSWORD"),
            dag_id=env.text("DAG_ID", "machine-learning-training-pipeline"),
            quiet_seconds=env.number("QUIET_SECONDS", 2, 0, 3600),
            max_wait_seconds=env.number("MAX_WAIT_SECONDS", 60, 0, 604_800),
            min_rows=env.integer("MIN_ROWS", 1, 1, 1_000_000),
            poll_seconds=env.number("POLL_SECONDS", 0.2, 0.01, 60),
            retry_cap_seconds=env.number("RETRY_CAP_SECONDS", 30, 0.1, 3600),
            request_timeout_seconds=env.number("REQUEST_TIMEOUT_SECONDS", 10, 0.1, 300),
            run_attempts=env.integer("RUN_ATTEMPTS", 6, 1, 1000),
            retry_run_seconds=env.number("RETRY_RUN_SECONDS", 60, 0, 86_400),
            retention_days=env.number("RETENTION_DAYS", 90, 0.01, 36_500),
            prediction_log_days=env.integer("PREDICTION_LOG_DAYS", 30, 1, 36_500),
            host=env.text("HOST", "0.0.0.0"),  # noqa: S104 - inside its container, whose port is not published
            port=env.integer("PORT", 9997, 1, 65_535),
        )
