"""What the tracking server is told by its environment."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from mlops_contract.env import Env, SettingError

SHORTEST_PASSWORD = 12  # MLflow's own rule


@dataclass(frozen=True)
class Settings:
    """docs/settings/mlflow.md explains each. Without `auth` the accounts are empty."""

    auth: bool
    database_url: str
    artifacts: Path | None
    """The folder of the artifacts; None where they are kept elsewhere, as in s3://…"""
    keep_deleted_days: float
    people: tuple[str, str]
    training: tuple[str, str]
    serving: tuple[str, str]

    @classmethod
    def from_env(cls, variables: Mapping[str, str]) -> "Settings":
        """Reads the environment; raises SettingError, which names the variable."""
        env = Env(variables)
        database_url = env.text("MLFLOW_BACKEND_STORE_URI")
        destination = env.text("MLFLOW_ARTIFACTS_DESTINATION", "./mlartifacts")
        artifacts = None if "://" in destination else Path(destination).absolute()
        keep_deleted_days = env.number("KEEP_DELETED_DAYS", 7, 0, 36_500)
        if env.choice("MLFLOW_AUTH", ("on", "off"), "on") == "off":
            return cls(False, database_url, artifacts, keep_deleted_days, ("", ""), ("", ""), ("", ""))
        env.text("MLFLOW_FLASK_SERVER_SECRET_KEY")
        people = env.text("MLFLOW_USER", "admin")
        if people in ("training", "serving"):
            raise SettingError(f"MLFLOW_USER is {people!r}: that is the account of a service, choose another name")
        passwords = {}
        for name in ("MLFLOW_PASSWORD", "MLFLOW_TRAINING_PASSWORD", "MLFLOW_SERVING_PASSWORD"):
            passwords[name] = env.text(name)
            if len(passwords[name]) < SHORTEST_PASSWORD:
                raise SettingError(f"{name} is too short: MLflow wants at least {SHORTEST_PASSWORD} characters")
        return cls(
            auth=True,
            database_url=database_url,
            artifacts=artifacts,
            keep_deleted_days=keep_deleted_days,
            people=(people, passwords["MLFLOW_PASSWORD"]),
            training=("training", passwords["MLFLOW_TRAINING_PASSWORD"]),
            serving=("serving", passwords["MLFLOW_SERVING_PASSWORD"]),
        )
