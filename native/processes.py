"""The process list. Environments come from the compose files; here stand commands, ports, folders and health."""

import hashlib
import os
import sys
import tempfile
from dataclasses import dataclass, field, replace
from pathlib import Path

from launch import dotenv
from native import compose, database, nginx
from native.account import Account
from native.health import Check, answers, reports, succeeds
from native.layout import AIRFLOW_PYTHON, DATA, ROOT, RUN, Layout


@dataclass(frozen=True)
class Process:
    """One supervised process. A `once` one runs to its end; the others start again whenever they end."""

    name: str
    command: list[str]
    health: Check
    environment: dict[str, str] = field(default_factory=dict)
    files: dict[str, str] = field(default_factory=dict)  # what it reads from .platform/run, by name
    stop_signal: str = "TERM"
    stop_seconds: int = 20
    once: bool = False
    account: Account | None = None  # whom it runs as; None for whoever launches
    one_by_one: bool = False  # whether others do its work while it is started again
    reload_signal: str = ""  # what makes it read its files again

    @property
    def folder(self) -> Path:
        """Its working directory, which holds what it keeps."""
        return DATA / self.name


def processes(layout: Layout) -> list[Process]:
    """All of them, in the order of starting."""
    listed = [
        _postgres(layout),
        _tracking_server(layout),
        _training_endpoint(layout),
        *[_model_endpoint(layout, name, port) for name, port in layout.model_endpoints.items()],
        _training_trigger(layout),
        *([_backup(layout)] if layout.settings.get("BACKUP_FOLDER") else []),
        *([_nginx(layout, layout.nginx)] if layout.nginx else []),
        *_airflow(layout),
    ]
    return [*(replace(process, account=layout.account) for process in listed), _watch(layout)]


def _watch(layout: Layout) -> Process:
    """Whoever launches, because it tells the supervisor what to start again."""
    known = {name: layout.settings[name] for name in dotenv.read(ROOT / ".env.example") if name in layout.settings}
    return Process(
        name="watch",
        command=[sys.executable, "-m", "native", "watch"],
        health=lambda: True,
        environment={**known, "PYTHONPATH": str(ROOT), "SOURCE_STATE": _state([ROOT / "native"])},
    )


def _environment(layout: Layout, project: str, service: str, *sources: str) -> dict[str, str]:
    """What compose gives to the service, with the addresses of this machine; `sources` go on the Python path."""
    given = compose.environment(ROOT / project / "compose.yaml", service, layout.settings)
    folders = [ROOT / source / "src" for source in sources]
    return {name: layout.localize(value) for name, value in given.items()} | {
        "PYTHONPATH": ":".join(map(str, folders)),
        "PYTHONUNBUFFERED": "1",
        "SOURCE_STATE": _state(folders),  # a change of the code is a change of the process: `up` starts it again
    }


def _state(folders: list[Path]) -> str:
    files = [ROOT / "requirements/native.lock", *(file for folder in folders for file in sorted(folder.rglob("*.*")))]
    state = hashlib.sha256()
    for file in files:
        if file.is_file() and file.suffix != ".pyc":
            state.update(file.read_bytes())
    return state.hexdigest()


def _of_this_machine(folder: Path) -> dict[str, str]:
    """What compose sets for a container's own file system."""
    return {"HOME": str(folder), "TMPDIR": tempfile.gettempdir()}


def _postgres(layout: Layout) -> Process:
    return Process(
        name="postgres",
        command=database.server(layout),
        health=succeeds(database.ready(layout)),
        stop_signal="INT",  # ends sessions and writes everything down
    )


def _tracking_server(layout: Layout) -> Process:
    port = str(layout.port("MLFLOW_PORT"))
    folder = DATA / "tracking-server"
    serve = ["--host", layout.bind("MLFLOW"), "--port", port, "--workers", "1", "--serve-artifacts"]
    return Process(
        name="tracking-server",
        command=[sys.executable, "-m", "tracking_server", *serve],
        health=answers(f"http://{layout.host('MLFLOW')}:{port}/health"),
        environment=_environment(layout, "mlflow_server", "tracking-server", "contract", "mlflow_server")
        | {"MLFLOW_ARTIFACTS_DESTINATION": str(folder / "artifacts"), **_of_this_machine(folder)},
    )


def _training_endpoint(layout: Layout) -> Process:
    port = str(layout.port("TRAINING_PORT"))
    state = DATA / "training-endpoint/state"
    return Process(
        name="training-endpoint",
        command=[sys.executable, "-m", "training_endpoint"],
        health=answers(f"http://{layout.host('TRAINING')}:{port}/health"),
        environment=_environment(
            layout, "training_endpoint", "training-endpoint", "contract", "runner", "training_endpoint"
        )
        | {
            **_of_this_machine(DATA / "training-endpoint"),
            "HOST": layout.bind("TRAINING"),
            "PORT": port,
            "STATE_DIR": str(state),
            "HF_HOME": str(state / "huggingface"),
            "CODE_VERSION": layout.settings.get("CODE_VERSION", "unknown"),
        },
        stop_seconds=40,
    )


def _model_endpoint(layout: Layout, name: str, port: int) -> Process:
    return Process(
        name=name,
        command=[sys.executable, "-m", "model_endpoint"],
        health=answers(f"http://127.0.0.1:{port}/health"),
        environment=_environment(layout, "model_endpoint", "model-endpoint", "contract", "runner", "model_endpoint")
        | {
            "MODEL_ENDPOINT_HOST": "127.0.0.1" if layout.nginx else layout.bind(),
            "MODEL_ENDPOINT_PORT": str(port),
            "MODEL_REPLICA_NAME": name,
            "MODEL_CACHE": str(DATA / name / "cache"),
        },
        one_by_one=bool(layout.nginx),
    )


def _training_trigger(layout: Layout) -> Process:
    port = str(layout.inner["relay"])
    return Process(
        name="training-trigger",
        command=[sys.executable, "-m", "training_trigger"],
        health=answers(f"http://127.0.0.1:{port}/live"),
        environment=_environment(layout, "db", "training-trigger", "contract", "db")
        | {"HOST": "127.0.0.1", "PORT": port},
    )


def backup_environment(layout: Layout) -> dict[str, str]:
    """What the scripts of launch/backup are told."""
    return _environment(layout, "mlflow_server", "backup") | {
        "PATH": f"{database.programs()}:{os.defpath}",
        "ARTIFACTS": str(DATA / "tracking-server/artifacts"),
        "BACKUP_FOLDER": layout.settings.get("BACKUP_FOLDER", ""),
    }


def _backup(layout: Layout) -> Process:
    return Process(
        name="backup",
        command=["sh", str(ROOT / "launch/backup/nightly.sh")],
        health=(DATA / "backup/backup-is-healthy").exists,
        environment=backup_environment(layout) | {"TMPDIR": str(DATA / "backup")},
    )


def _nginx(layout: Layout, program: str) -> Process:
    return Process(
        name="nginx",
        command=[program, "-e", "stderr", "-p", f"{DATA}/nginx/", "-c", str(RUN / "nginx.conf")],
        files={"nginx.conf": nginx.configuration(layout)},
        health=answers(f"{layout.door}/nginx-health"),
        stop_signal="QUIT",  # lets requests end
        reload_signal="HUP",
    )


def _airflow(layout: Layout) -> list[Process]:
    """Airflow's account and schema first, then its four processes."""
    health = f"http://{layout.host('AIRFLOW')}:{layout.port('AIRFLOW_PORT')}/api/v2/monitor/health"
    own = {
        "AIRFLOW_HOME": str(DATA / "airflow"),
        "AIRFLOW__CORE__DAGS_FOLDER": str(ROOT / "airflow/dags"),
        "AIRFLOW__CORE__PLUGINS_FOLDER": str(ROOT / "airflow/plugins"),
        "AIRFLOW__API__HOST": layout.bind("AIRFLOW"),
        "AIRFLOW__API__PORT": str(layout.port("AIRFLOW_PORT")),
        "AIRFLOW__SCHEDULER__SCHEDULER_HEALTH_CHECK_SERVER_PORT": str(layout.inner["scheduler-health"]),
    }

    def process(name: str, command: list[str], health: Check, once: bool = False) -> Process:
        environment = _environment(layout, "airflow", name, "contract") | own
        return Process(name, [str(AIRFLOW_PYTHON), *command], health, environment, stop_seconds=60, once=once)

    return [
        process("airflow-init", [str(ROOT / "airflow/initialise.py")], lambda: True, once=True),
        process("airflow-apiserver", ["-m", "airflow", "api-server"], reports(health, "metadatabase")),
        process("airflow-scheduler", ["-m", "airflow", "scheduler", "--skip-serve-logs"], reports(health, "scheduler")),
        process("airflow-dag-processor", ["-m", "airflow", "dag-processor"], reports(health, "dag_processor")),
        process("airflow-triggerer", ["-m", "airflow", "triggerer", "--skip-serve-logs"], reports(health, "triggerer")),
    ]
