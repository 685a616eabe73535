"""What a replica is told by its environment."""

import re
import socket
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from mlops_contract.env import Env, SettingError
from mlops_contract.tokens import Tokens


@dataclass(frozen=True)
class Settings:
    """One replica's settings; docs/settings/model_endpoint.md explains each. Times are in seconds."""

    mlflow_url: str
    mlflow_user: str
    mlflow_password: str
    model_name: str
    token: Tokens
    extra_hosts: str
    endpoints: str
    host: str
    port: int
    replica: str
    cache: Path
    cache_versions: int
    hold_seconds: float
    backend: str
    cores: int
    memory_mb: int
    max_requests: int
    max_body_bytes: int
    max_texts: int
    max_characters: int
    max_tokens: int
    answer_seconds: float
    cors_origins: tuple[str, ...]
    database_url: str
    prediction_log: str
    prediction_log_share: float
    feedback_token: str

    @property
    def mlflow_account(self) -> tuple[str, str] | None:
        """Name and password in MLflow; None where it asks for none."""
        return (self.mlflow_user, self.mlflow_password) if self.mlflow_user else None

    @classmethod
    def from_env(cls, variables: Mapping[str, str]) -> "Settings":
        """Reads and checks the environment; raises SettingError, which names the variable."""
        env = Env(variables)
        port = env.integer("MODEL_ENDPOINT_PORT", 9998, 1, 65535)
        return cls(
            mlflow_url=env.text("MLFLOW_TRACKING_URI", "http://tracking-server:5001").rstrip("/"),
            mlflow_user=env.text("MLFLOW_TRACKING_USERNAME", ""),
            mlflow_password=env.text("MLFLOW_TRACKING_PASSWORD", ""),
            model_name=env.model_name("MODEL_NAME", "text-classifier"),
            token=Tokens.read(env),
            extra_hosts=env.text("NGINX_EXTRA_HOSTS", ""),
            endpoints=env.text("MODEL_ENDPOINTS", "model-endpoint:9998"),
            host=env.text("MODEL_ENDPOINT_HOST", "0.0.0.0"),  # noqa: S104 - a container's only door
            port=port,
            replica=env.text("MODEL_REPLICA_NAME", f"{socket.gethostname()}:{port}"),
            cache=Path(env.text("MODEL_CACHE", "/cache")),
            cache_versions=env.integer("MODEL_CACHE_VERSIONS", 3, 1, 100),
            hold_seconds=env.number("MODEL_HOLD_SECONDS", 2, 0.1, 30),
            backend=env.choice("MODEL_BACKEND", ("auto", "onnx", "torch"), "auto"),
            cores=env.integer("MODEL_CORES", 0, 0, 1024),
            memory_mb=env.integer("MODEL_MEMORY_MB", 2048, 1, 1 << 24),
            max_requests=env.integer("MODEL_MAX_REQUESTS", 64, 1, 1000),
            max_body_bytes=env.integer("MODEL_MAX_BODY_BYTES", 4 << 20, 1024, 1 << 30),
            max_texts=env.integer("MODEL_MAX_TEXTS", 512, 1, 100_000),
            max_characters=env.integer("MODEL_MAX_CHARACTERS", 100_000, 1, 10_000_000),
            max_tokens=env.integer("MODEL_MAX_TOKENS", 32_768, 16, 100_000_000),
            answer_seconds=env.number("MODEL_ANSWER_SECONDS", 10, 0.1, 3600),
            cors_origins=_origins(env.text("MODEL_CORS_ORIGINS", "")),
            database_url=env.text("DATABASE_URL", ""),
            prediction_log=env.choice("PREDICTION_LOG", ("full", "hashed", "off"), "full"),
            feedback_token=env.text("FEEDBACK_TOKEN", ""),
            prediction_log_share=env.number("PREDICTION_LOG_SHARE", 1, 0, 1),
        )


def _origins(text: str) -> tuple[str, ...]:
    """Whose pages may ask: `*`, or addresses without a path, comma separated."""
    origins = tuple(part.strip().rstrip("/") for part in text.split(",") if part.strip())
    for origin in origins:
        if origin != "*" and not re.fullmatch(r"https?://[^\s/?#,*]+", origin):
            raise SettingError(
                f"MODEL_CORS_ORIGINS has {origin!r}: an origin is * or, without a path, https://app.example.org"
            )
    return origins
