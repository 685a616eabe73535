"""All settings of the training endpoint, and the only place that reads its environment."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from mlops_contract import addresses
from mlops_contract.env import Env, SettingError
from mlops_contract.tokens import Tokens

MODES = ("auto", "full")
CHOICES = ("random", "margin")
POLICIES = ("sequential", "better", "significant", "always")


@dataclass(frozen=True)
class Settings:
    """docs/settings/training_endpoint.md explains each; empty text means 'not set'."""

    database_url: str
    mlflow_tracking_uri: str
    mlflow_public_url: str
    mlflow_user: str
    mlflow_password: str
    model_name: str
    model_alias: str
    experiment_name: str
    dataset: str
    text_column: str
    label_column: str
    encoding: str
    base_model: str
    huggingface_token: str
    slack_url: str
    model_endpoints: tuple[str, ...]
    switch_seconds: float
    hold_seconds: float
    reconcile_seconds: float
    adopt_alias_moves: bool
    platform_token: Tokens
    extra_hosts: str
    door_hosts: str
    door_addresses: tuple[str, ...]
    """At which this machine lets others come to the console."""
    console_password: str
    state_dir: Path
    code_version: str
    training_mode: str
    full_every: int
    promotion_policy: str
    promotion_metric: str
    significance: float
    max_overlap: float
    latency_budget_ms: float
    max_text_chars: int
    new_class_rows: int
    max_attempts: int
    max_queued_jobs: int
    cancel_grace_s: float
    clean_hours: float
    keep_versions: int
    keep_rejected_versions: int
    keep_rejected_hours: float
    keep_runs_days: float
    keep_cache_days: float
    feedback_at_once: bool
    alarm_loss: float
    alarm_starts_run: bool
    shadow: bool
    label_shares: tuple[int, int, int]
    """Of what people are asked: disagreements, texts to train on, audits; 100 together."""
    label_choice: str
    label_open: int
    hub_cache: Path
    host: str
    port: int

    @property
    def mlflow_account(self) -> tuple[str, str] | None:
        """Name and password in MLflow; None where it asks for none."""
        return (self.mlflow_user, self.mlflow_password) if self.mlflow_user else None

    @classmethod
    def from_env(cls, variables: Mapping[str, str]) -> "Settings":
        """Reads `variables`; raises `SettingError` that names the first wrong one."""
        env = Env(variables)
        tracking_uri = env.text("MLFLOW_TRACKING_URI")
        state_dir = Path(env.text("STATE_DIR", "/state"))
        return cls(
            database_url=env.text("DATABASE_URL"),
            mlflow_tracking_uri=tracking_uri,
            mlflow_public_url=env.text("MLFLOW_PUBLIC_URL", tracking_uri).rstrip("/"),
            mlflow_user=env.text("MLFLOW_TRACKING_USERNAME", ""),
            mlflow_password=env.text("MLFLOW_TRACKING_PASSWORD", ""),
            model_name=env.model_name("MODEL_NAME", "text-classifier"),
            model_alias=env.model_alias("MODEL_ALIAS", "Champion"),
            experiment_name=env.text("EXPERIMENT_NAME", "text-classification"),
            dataset=env.text("DATASET", "sample"),
            text_column=env.text("TEXT_COLUMN", ""),
            label_column=env.text("LABEL_COLUMN", ""),
            encoding=env.text("ENCODING", ""),
            base_model=env.text("BASE_MODEL", "embedded"),
            huggingface_token=env.text("HUGGINGFACE_TOKEN", ""),
            slack_url=env.text("SLACK_URL", ""),
            model_endpoints=addresses.split(env.text("MODEL_ENDPOINTS", "")),
            switch_seconds=env.number("MODEL_SWITCH_SECONDS", 300, 1, 3600),
            hold_seconds=env.number("MODEL_HOLD_SECONDS", 2, 0.1, 30),
            reconcile_seconds=env.number("RECONCILE_SECONDS", 2, 0.05, 3600),
            adopt_alias_moves=env.choice("ADOPT_ALIAS_MOVES", ("on", "off"), "on") == "on",
            platform_token=Tokens.read(env),
            extra_hosts=env.text("TRAINING_EXTRA_HOSTS", ""),
            door_hosts=env.text("NGINX_EXTRA_HOSTS", ""),
            door_addresses=(env.text("BIND_ADDRESS", "127.0.0.1"), env.text("TRAINING_BIND_ADDRESS", "127.0.0.1")),
            console_password=env.text("CONSOLE_PASSWORD", ""),
            state_dir=state_dir,
            code_version=env.text("CODE_VERSION", "unknown"),
            training_mode=env.choice("TRAINING_MODE", MODES, MODES[0]),
            full_every=env.integer("FULL_EVERY", 10, 1, 1_000),
            promotion_policy=env.choice("PROMOTION_POLICY", POLICIES, POLICIES[0]),
            promotion_metric=env.choice("PROMOTION_METRIC", ("accuracy", "macro_f1", "log_loss"), "accuracy"),
            significance=env.number("SIGNIFICANCE", 0.05, 0.0001, 0.5),
            max_overlap=env.number("MAX_OVERLAP", 0.05, 0, 1),
            latency_budget_ms=env.number("LATENCY_BUDGET_MS", 250, 1, 60_000),
            max_text_chars=env.integer("MAX_TEXT_CHARS", 100_000, 100, 10_000_000),
            new_class_rows=env.integer("NEW_CLASS_ROWS", 10, 1, 1_000_000),
            max_attempts=env.integer("MAX_ATTEMPTS", 3, 1, 100),
            max_queued_jobs=env.integer("MAX_QUEUED_JOBS", 20, 1, 10_000),
            cancel_grace_s=env.number("CANCEL_GRACE_S", 10, 0, 600),
            clean_hours=env.number("CLEAN_HOURS", 1, 0, 8760),
            keep_versions=env.integer("KEEP_VERSIONS", 5, 2, 1_000_000),
            keep_rejected_versions=env.integer("KEEP_REJECTED_VERSIONS", 3, 0, 1_000_000),
            keep_rejected_hours=env.number("KEEP_REJECTED_HOURS", 24, 0, 876_000),
            keep_runs_days=env.number("KEEP_RUNS_DAYS", 90, 1, 36_500),
            keep_cache_days=env.number("KEEP_CACHE_DAYS", 30, 1, 36_500),
            feedback_at_once=env.choice("FEEDBACK", ("at_once", "review"), "at_once") == "at_once",
            alarm_starts_run=env.choice("ALARM_STARTS_RUN", ("on", "off"), "off") == "on",
            shadow=env.choice("SHADOW", ("on", "off"), "on") == "on",
            alarm_loss=env.number("ALARM_LOSS", 0.02, 0, 1),
            label_shares=_shares(env),
            label_choice=env.choice("LABEL_CHOICE", CHOICES, CHOICES[0]),
            label_open=env.integer("LABEL_OPEN", 200, 0, 100_000),
            hub_cache=Path(env.text("HF_HOME", str(state_dir / "huggingface"))),
            host=env.text("HOST", "0.0.0.0"),  # noqa: S104 - inside its container; compose binds the host's side
            port=env.integer("PORT", 9999, 1, 65_535),
        )


def _shares(env: Env) -> tuple[int, int, int]:
    shares = (
        env.integer("LABEL_DISAGREEMENTS", 40, 0, 100),
        env.integer("LABEL_UNCERTAIN", 40, 0, 100),
        env.integer("LABEL_AUDIT", 20, 0, 100),
    )
    if sum(shares) != 100:
        said = "LABEL_DISAGREEMENTS, LABEL_UNCERTAIN and LABEL_AUDIT"
        raise SettingError(f"{said} are {shares[0]}, {shares[1]} and {shares[2]}: together they must be 100.")
    return shares
