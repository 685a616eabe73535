"""All settings of the training endpoint, and the only place that reads its environment."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from mlops_contract.env import Env


@dataclass(frozen=True)
class Settings:
    """docs/settings/training_endpoint.md explains each; empty text means 'not set'."""

    database_url: str
    mlflow_tracking_uri: str
    mlflow_public_url: str
    model_name: str
    model_alias: str
    experiment_name: str
    dataset: str
    text_column: str
    label_column: str
    base_model: str
    huggingface_token: str
    slack_url: str
    model_endpoints: tuple[str, ...]
    platform_token: str
    state_dir: Path
    code_version: str
    promotion_policy: str
    promotion_metric: str
    significance: float
    max_overlap: float
    latency_budget_ms: float
    max_text_chars: int
    max_attempts: int
    cancel_grace_s: float
    host: str
    port: int

    @classmethod
    def from_env(cls, variables: Mapping[str, str]) -> "Settings":
        """Reads `variables`; raises `SettingError` that names the first wrong one."""
        env = Env(variables)
        tracking_uri = env.text("MLFLOW_TRACKING_URI")
        return cls(
            database_url=env.text("DATABASE_URL"),
            mlflow_tracking_uri=tracking_uri,
            mlflow_public_url=env.text("MLFLOW_PUBLIC_URL", tracking_uri).rstrip("/"),
            model_name=env.model_name("MODEL_NAME", "text-classifier"),
            model_alias=env.model_alias("MODEL_ALIAS", "Champion"),
            experiment_name=env.text("EXPERIMENT_NAME", "text-classification"),
            dataset=env.text("DATASET", "sample"),
            text_column=env.text("TEXT_COLUMN", ""),
            label_column=env.text("LABEL_COLUMN", ""),
            base_model=env.text("BASE_MODEL", "embedded"),
            huggingface_token=env.text("HUGGINGFACE_TOKEN", ""),
            slack_url=env.text("SLACK_URL", ""),
            model_endpoints=_addresses(env.text("MODEL_ENDPOINTS", "")),
            platform_token=env.text("PLATFORM_TOKEN"),
            state_dir=Path(env.text("STATE_DIR", "/state")),
            code_version=env.text("CODE_VERSION", "unknown"),
            promotion_policy=env.choice("PROMOTION_POLICY", ("better", "significant", "always"), "better"),
            promotion_metric=env.choice("PROMOTION_METRIC", ("accuracy", "macro_f1", "log_loss"), "accuracy"),
            significance=env.number("SIGNIFICANCE", 0.05, 0.0001, 0.5),
            max_overlap=env.number("MAX_OVERLAP", 0.05, 0, 1),
            latency_budget_ms=env.number("LATENCY_BUDGET_MS", 250, 1, 60_000),
            max_text_chars=env.integer("MAX_TEXT_CHARS", 100_000, 100, 10_000_000),
            max_attempts=env.integer("MAX_ATTEMPTS", 3, 1, 100),
            cancel_grace_s=env.number("CANCEL_GRACE_S", 10, 0, 600),
            host=env.text("HOST", "0.0.0.0"),  # noqa: S104 - inside its container; compose binds the host's side
            port=env.integer("PORT", 9999, 1, 65_535),
        )


def _addresses(text: str) -> tuple[str, ...]:
    """host:port parts of a comma-separated list."""
    return tuple(part.strip() for part in text.split(",") if part.strip())
