"""MLflow: the run of a job, the registered versions, and the alias, which moves here and nowhere else."""

import importlib.metadata
import platform
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import mlflow
import numpy as np
from mlflow import MlflowClient
from mlflow.entities import Metric, Param
from mlflow.entities.model_registry import ModelVersion
from mlflow.exceptions import MlflowException
from mlflow.models import ModelSignature
from mlflow.types import ColSpec, Schema

from training_endpoint.clock import Clock
from training_endpoint.data.snapshot import Rows, Snapshot
from training_endpoint.errors import UnknownVersion
from training_endpoint.judge.checks import ChampionAnswers
from training_endpoint.judge.evaluate import predict
from training_endpoint.learn.classifier import Classifier
from training_endpoint.learn.encoding import usable_length
from training_endpoint.release import ledger, peers
from training_endpoint.settings import Settings

JOB_TAG = "job_id"
PACKAGES = ("torch", "transformers", "tokenizers", "onnxruntime", "mlflow", "numpy")
ABSENT = ("RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE")


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


def log_dataset(taken: Snapshot) -> None:
    """Logs train and test rows as the run's inputs, with the snapshot's digest, and their counts by class."""
    import pandas  # noqa: PLC0415 - takes a second

    for split, rows in (("train", taken.train), ("test", taken.test)):
        frame = pandas.DataFrame({"text": rows.texts, "label": [taken.label_names[label] for label in rows.labels]})
        dataset = mlflow.data.from_pandas(
            frame, name=f"{taken.name}_{split}", targets="label", digest=f"{split}-{taken.digest[:24]}"
        )
        mlflow.log_input(dataset, context="training" if split == "train" else "evaluation")


def class_counts(rows: Rows, label_names: Sequence[str]) -> dict[str, int]:
    """Rows by label name."""
    return {name: rows.labels.count(index) for index, name in enumerate(label_names)}


def log_metrics(settings: Settings, mlflow_run: str, values: Mapping[str, float], step: int, at_ms: int) -> None:
    """Logs `values` at `step` from a thread of MLflow's: training neither waits for the server nor fails without it."""
    metrics = [Metric(name, float(value), at_ms, step) for name, value in values.items()]
    client(settings).log_batch(mlflow_run, metrics=metrics, synchronous=False)


def champion_answers(
    settings: Settings, taken: Snapshot, max_length: int, device: Any, clock: Clock
) -> ChampionAnswers | None:
    """What the Champion answers on the test rows of `taken`, computed on `device`; None before the first.

    A class that it does not know gets probability 0 from it.
    """
    version = champion(settings)
    if version is None:
        return None
    number = int(version.version)
    try:
        with clock("comparing"):
            classifier = load(settings, version, max_length)
        with clock("evaluating"):
            classifier.model.to(device)
            answers = predict(classifier, taken.test.texts)
    except Exception as error:
        peers.check_mlflow(settings)
        reason = f"version {number} cannot be loaded ({type(error).__name__}: {error}); promote by hand if it is lost"
        return ChampionAnswers(number, None, trouble=reason[:500])
    aligned = np.zeros((len(answers), len(taken.label_names)))
    for index, name in enumerate(taken.label_names):
        if name in classifier.label_names:
            aligned[:, index] = answers[:, classifier.label_names.index(name)]
    return ChampionAnswers(number, aligned, classifier.label_names)


def champion(settings: Settings) -> ModelVersion | None:
    """The version that the alias names; None before the first."""
    try:
        return client(settings).get_model_version_by_alias(settings.model_name, settings.model_alias)
    except MlflowException as error:
        if error.error_code in ABSENT:
            return None
        raise


def load(settings: Settings, version: ModelVersion, max_length: int) -> Classifier:
    """A registered version's PyTorch model; raises MlflowException or OSError when it has none that loads."""
    uri = f"models:/{settings.model_name}/{version.version}"
    client(settings)
    parts = mlflow.transformers.load_model(uri, return_type="components", device="cpu")
    model, tokenizer = parts["model"], parts["tokenizer"]
    names = [str(model.config.id2label[index]) for index in range(model.config.num_labels)]
    return Classifier(model.float(), tokenizer, names, usable_length(tokenizer, model.config, max_length))


def register(settings: Settings, mlflow_run: str, classifier: Classifier, files: Path, tags: Mapping[str, str]) -> int:
    """Logs the model with what the folder `files` holds, then registers both as one version; returns its number.

    A run has one version: when it is there already, its tags and files are replaced.
    """
    mlflow_client = client(settings)
    registered = mlflow_client.search_model_versions(f"name = '{settings.model_name}' and run_id = '{mlflow_run}'")
    if registered:
        version = int(registered[0].version)
        tag(settings, version, tags)
        mlflow_client.log_model_artifacts(registered[0].source.removeprefix("models:/"), str(files))
        return version
    requirements = [f"{name}=={importlib.metadata.version(name)}" for name in ("torch", "transformers")]
    info = mlflow.transformers.log_model(
        transformers_model={"model": classifier.model, "tokenizer": classifier.tokenizer},
        name="model",
        task="text-classification",
        pip_requirements=requirements,
        signature=ModelSignature(
            Schema([ColSpec("string")]), Schema([ColSpec("string", "label"), ColSpec("double", "score")])
        ),
    )
    mlflow_client.log_model_artifacts(info.model_id, str(files))
    try:
        mlflow_client.create_registered_model(settings.model_name)
    except MlflowException as error:
        if error.error_code != "RESOURCE_ALREADY_EXISTS":
            raise
    created = mlflow_client.create_model_version(
        settings.model_name,
        source=f"models:/{info.model_id}",
        run_id=mlflow_run,
        tags=dict(tags),
        model_id=info.model_id,
    )
    return int(created.version)


def tag(settings: Settings, version: int, tags: Mapping[str, str]) -> None:
    """Sets tags of a registered version."""
    for name, value in tags.items():
        client(settings).set_model_version_tag(settings.model_name, str(version), name, value)


def move_alias(
    settings: Settings,
    version: int,
    *,
    who: str,
    verdict: str,
    reason: str,
    evidence: dict[str, Any],
    job_id: str | None,
) -> int | None:
    """Writes the ledger, then moves the alias to `version`; returns the version that had it. Call in `ledger.alone`.

    Raises `UnknownVersion`, or what `ledger.record` raises; then the alias has not moved.
    """
    mlflow_client = client(settings)
    try:
        mlflow_client.get_model_version(settings.model_name, str(version))
    except MlflowException as error:
        if error.error_code not in ABSENT:
            raise
        raise UnknownVersion(
            f"{settings.model_name} has no version {version}: MLflow's model page lists those that it has."
        ) from error
    before = champion(settings)
    previous = int(before.version) if before else None
    ledger.record(
        settings.database_url,
        who=who,
        model_name=settings.model_name,
        from_version=previous,
        to_version=version,
        verdict=verdict,
        reason=reason,
        evidence=evidence,
        job_id=job_id,
    )
    set_alias(settings, version)
    return previous


def set_alias(settings: Settings, version: int) -> None:
    """Moves the alias to a version that the ledger names."""
    client(settings).set_registered_model_alias(settings.model_name, settings.model_alias, str(version))
