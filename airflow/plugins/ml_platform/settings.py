"""The pipeline's settings: the only place in Airflow's code that reads the environment."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from airflow.sdk.exceptions import AirflowFailException

from mlops_contract.env import Env, SettingError

PATIENCE_S = 3600


@dataclass(frozen=True)
class Settings:
    """Where the platform's services are, and how long the pipeline waits for them. Times are in seconds."""

    training_url: str
    token: str
    poll_s: float
    patience_s: int
    deadline_s: int
    switch_timeout_s: int

    @classmethod
    def from_env(cls, variables: Mapping[str, str]) -> "Settings":
        """Reads the environment; raises SettingError, which names the variable."""
        env = Env(variables)
        return cls(
            training_url=env.text("TRAINING_URL").rstrip("/"),
            token=env.text("PLATFORM_TOKEN"),
            poll_s=env.number("TRAINING_POLL_S", 2, 0.1, 60),
            patience_s=env.integer("TRAINING_PATIENCE_S", PATIENCE_S, 1, 604800),
            deadline_s=env.integer("TRAINING_DEADLINE_S", 86400, 1, 2592000),
            switch_timeout_s=env.integer("SWITCH_TIMEOUT_S", 600, 1, 86400),
        )


def patience_s(variables: Mapping[str, str]) -> int:
    """How long an absent training endpoint is waited for. The tasks tell of wrong settings, not the DAG's import."""
    try:
        return Settings.from_env(variables).patience_s
    except SettingError:
        return PATIENCE_S


def of_task(variables: Mapping[str, str]) -> Settings:
    """A task's settings; where one is wrong the task fails for good, with the sentence that names it."""
    try:
        return Settings.from_env(variables)
    except SettingError as error:
        raise AirflowFailException(f"{error}. Correct it in .env, then run sh launch.sh.") from None


@dataclass(frozen=True)
class Accounts:
    """Of people and of the relay, and whether what is encrypted gets another key."""

    user: str
    password: str
    relay_password: str
    key_changes: bool

    @classmethod
    def from_env(cls, variables: Mapping[str, str]) -> "Accounts":
        """Reads the environment; raises SettingError, which names the variable. Passwords are taken as they stand."""
        env = Env(variables)
        names = ("AIRFLOW_USER", "AIRFLOW_PASSWORD", "AIRFLOW_RELAY_PASSWORD")
        user, password, relay_password = (env.text(name) and variables[name] for name in names)
        return cls(user, password, relay_password, key_changes="," in env.text("AIRFLOW__CORE__FERNET_KEY"))


def extra_hosts(variables: Mapping[str, str]) -> str:
    """The names under which the API server answers beside its own, comma separated."""
    return Env(variables).text("AIRFLOW_EXTRA_HOSTS", "")


def keep_days(variables: Mapping[str, str]) -> float:
    """Days for which Airflow's runs and logs are kept."""
    return Env(variables).number("KEEP_AIRFLOW_DAYS", 30, 1, 36_500)


def cleaning_database(variables: Mapping[str, str]) -> str:
    """Airflow's own database, for its clean-up alone."""
    return Env(variables).text("AIRFLOW_CLEANING_DATABASE")


def logs_folder(variables: Mapping[str, str]) -> Path:
    """Where Airflow writes its logs."""
    return Path(Env(variables).text("AIRFLOW_HOME", "/airflow")) / "logs"
