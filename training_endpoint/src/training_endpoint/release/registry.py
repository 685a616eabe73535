"""MLflow, as far as it is told things: the run of a job, its versions, and the alias, which follows the ledger."""

import hashlib
import importlib.metadata
import json
import platform
import shutil
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import mlflow
import numpy as np
import requests
from mlflow import MlflowClient
from mlflow.entities import Dataset, DatasetInput, InputTag, LoggedModelOutput, LoggedModelStatus, Metric, Param
from mlflow.exceptions import MlflowException
from mlflow.models import ModelSignature
from mlflow.types import ColSpec, Schema

from mlops_contract.errors import PlatformError
from mlops_contract.voucher import Voucher
from training_endpoint.data.snapshot import Rows, Snapshot
from training_endpoint.errors import UnknownVersion
from training_endpoint.learn.classifier import Classifier
from training_endpoint.release import artifacts
from training_endpoint.settings import Settings

JOB_TAG = "job_id"
TAG_CHARS = 5000  # as many as MLflow keeps
PACKAGES = ("torch", "transformers", "tokenizers", "onnxruntime", "mlflow", "numpy")


def client(settings: Settings) -> MlflowClient:
    """A client of the tracking server; the fluent functions of this process use the same one."""
    mlflow.set_tracking_uri(settings.mlflow_tracking_uri)
    return MlflowClient(settings.mlflow_tracking_uri)


def start_run(settings: Settings, run_id: str, job_id: str) -> str:
    """Opens the MLflow run of a job, the same one again when the job is resumed; returns its id."""
    mlflow_client = client(settings)
    experiment = mlflow.set_experiment(settings.experiment_name)
    found = mlflow_client.search_runs([experiment.experiment_id], f"tags.{JOB_TAG} = '{job_id}'", max_results=1)
    run = mlflow.start_run(
        run_id=found[0].info.run_id if found else None,
        run_name=run_id,
        tags=None if found else {JOB_TAG: job_id, "pipeline_run": run_id},
        log_system_metrics=False,
    )
    return str(run.info.run_id)


def log_parameters(mlflow_run: str, settings: Settings, parameters: Mapping[str, Any]) -> None:
    """Logs `parameters` with the environment that they ran in; a resumed run has them already."""
    environment = {f"version_{name}": importlib.metadata.version(name) for name in PACKAGES}
    all_of_them = {**parameters, **environment, "python": platform.python_version(), "code": settings.code_version}
    wanted = {name: str(value)[:500] for name, value in all_of_them.items()}
    mlflow_client = client(settings)
    known = mlflow_client.get_run(mlflow_run).data.params
    missing = [Param(name, value) for name, value in wanted.items() if name not in known]
    mlflow_client.log_batch(mlflow_run, params=missing)


def log_dataset(mlflow_run: str, settings: Settings, taken: Snapshot) -> None:
    """Logs train and test rows as the run's inputs, with the snapshot's digest, and their number: no row of them."""
    columns = [{"type": "string", "name": name, "required": True} for name in ("text", "label")]
    inputs = []
    for split, context, rows in (("train", "training", taken.train), ("test", "evaluation", taken.test)):
        dataset = Dataset(
            name=f"{taken.name}_{split}",
            digest=f"{split}-{taken.digest[:24]}",
            source_type="code",
            source="{}",
            schema=json.dumps({"mlflow_colspec": columns}),
            profile=json.dumps({"num_rows": len(rows), "num_elements": 2 * len(rows)}),
        )
        inputs.append(DatasetInput(dataset, [InputTag("mlflow.data.context", context)]))
    client(settings).log_inputs(mlflow_run, inputs)


def class_counts(rows: Rows, label_names: Sequence[str]) -> dict[str, int]:
    """Rows by label name."""
    counts = np.bincount(rows.labels, minlength=len(label_names))
    return {name: int(count) for name, count in zip(label_names, counts, strict=True)}


def log_metrics(settings: Settings, mlflow_run: str, values: Mapping[str, float], step: int, at_ms: int) -> None:
    """Logs `values` at `step` from a thread of MLflow's: training neither waits for the server nor fails without it."""
    metrics = [Metric(name, float(value), at_ms, step) for name, value in values.items()]
    client(settings).log_batch(mlflow_run, metrics=metrics, synchronous=False)


def register(
    settings: Settings,
    mlflow_run: str,
    files: Path,
    tags: Mapping[str, str],
    metrics: Mapping[str, float],
    is_taken: Callable[[int], bool],
    is_kept: Callable[[str], bool],
) -> Voucher:
    """Stores what the folder `files` holds as one logged model, and registers it as one version.

    What an attempt of the same run stores without coming to its end is deleted, unless a version that `is_kept` lies
    in that folder. A number that `is_taken`, by a version of a registered model that was deleted since, is passed over.
    """
    mlflow_client = client(settings)
    run = mlflow_client.get_run(mlflow_run)
    experiment = run.info.experiment_id
    _discard_begun(settings, mlflow_client, experiment, mlflow_run, is_kept)
    logged = mlflow_client.create_logged_model(experiment, name="model", source_run_id=mlflow_run)
    try:
        mlflow_client.log_model_artifacts(logged.model_id, str(files))
    except (MlflowException, requests.RequestException):
        with suppress(MlflowException, PlatformError):
            _discard_begun(settings, mlflow_client, experiment, mlflow_run, is_kept)
        raise
    mlflow_client.finalize_logged_model(logged.model_id, LoggedModelStatus.READY)
    mlflow_client.log_outputs(mlflow_run, [LoggedModelOutput(logged.model_id, 0)])
    try:
        mlflow_client.create_registered_model(settings.model_name)
    except MlflowException as error:
        if error.error_code != "RESOURCE_ALREADY_EXISTS":
            raise
    while True:
        version = mlflow_client.create_model_version(
            settings.model_name,
            source=f"models:/{logged.model_id}",
            run_id=mlflow_run,
            tags={name: value[:TAG_CHARS] for name, value in tags.items()},
            model_id=logged.model_id,
        )
        if not is_taken(int(version.version)):
            break
        mlflow_client.delete_model_version(settings.model_name, version.version)
    return Voucher(
        name=settings.model_name,
        version=int(version.version),
        run_id=mlflow_run,
        root=root_of(str(logged.artifact_location)),
        files={str(file.relative_to(files)): _sha256(file) for file in sorted(files.rglob("*")) if file.is_file()},
        metrics=dict(metrics),
        tags=dict(tags),
    )


def root_of(location: str) -> str:
    """The folder below the tracking server's artifacts; raises `UnknownVersion` for files that it does not hand out."""
    scheme, _, path = location.partition(":")
    if scheme != "mlflow-artifacts":
        raise UnknownVersion(
            f"The files lie at {location}: only those that the tracking server hands out "
            "(mlflow server --serve-artifacts) can be served."
        )
    # With a host in it (mlflow-artifacts://host/path) the path begins after the host.
    return path.removeprefix("//").partition("/")[2] if path.startswith("//") else path.lstrip("/")


def describe(settings: Settings, voucher: Voucher, verdict: Path, tags: Mapping[str, str]) -> None:
    """Adds the folder `verdict` and `tags` to a registered version, for people; a second time replaces the first."""
    mlflow_client = client(settings)
    for name, value in tags.items():
        mlflow_client.set_model_version_tag(settings.model_name, str(voucher.version), name, value[:TAG_CHARS])
    model_id = mlflow_client.get_model_version(settings.model_name, str(voucher.version)).source.removeprefix(
        "models:/"
    )
    for file in sorted(verdict.iterdir()):
        mlflow_client.log_model_artifact(model_id, str(file), verdict.name)


def _discard_begun(
    settings: Settings, mlflow_client: MlflowClient, experiment: str, mlflow_run: str, is_kept: Callable[[str], bool]
) -> None:
    """Deletes what an attempt that failed or was killed has left of a model."""
    for one in mlflow_client.search_logged_models([experiment], f"source_run_id = '{mlflow_run}'"):
        root = root_of(str(one.artifact_location))
        if not is_kept(root):
            artifacts.delete(settings, root)
            mlflow_client.delete_logged_model(one.model_id)


def pack(classifier: Classifier, folder: Path) -> int:
    """Puts MLflow's transformers flavor beside `serving/`, for whoever loads a version with MLflow: we do not.

    It is written here, not by the server, so that each digest is known before anybody else has the file. The weights
    are those that lie in `model/` already. Returns the bytes of the whole folder.
    """
    requirements = [f"{name}=={importlib.metadata.version(name)}" for name in ("torch", "transformers")]
    shutil.rmtree(folder / "flavor", ignore_errors=True)
    mlflow.transformers.save_model(
        {"model": classifier.model, "tokenizer": classifier.tokenizer},
        str(folder / "flavor"),
        task="text-classification",
        pip_requirements=requirements,
        signature=ModelSignature(
            Schema([ColSpec("string")]), Schema([ColSpec("string", "label"), ColSpec("double", "score")])
        ),
    )
    for file in (folder / "flavor/model").glob("*.safetensors*"):
        file.unlink()
    for file in (folder / "model").glob("*.safetensors*"):
        file.replace(folder / "flavor/model" / file.name)
    for entry in (folder / "flavor").iterdir():
        target = folder / entry.name
        shutil.rmtree(target, ignore_errors=True)
        entry.rename(target)
    (folder / "flavor").rmdir()
    return sum(file.stat().st_size for file in folder.rglob("*"))


def _sha256(file: Path) -> str:
    with file.open("rb") as opened:
        return hashlib.file_digest(opened, "sha256").hexdigest()
