"""A version of the embedded model as a training job makes it: trained on the sample, judged, and exported."""

import shutil
import tempfile
from pathlib import Path

import torch

from benchmarks.training.task import SAMPLE, texts
from training_endpoint.clock import Clock
from training_endpoint.data.snapshot import Rows
from training_endpoint.judge import export
from training_endpoint.learn import classifier as classifiers
from training_endpoint.learn import device, trainer
from training_endpoint.learn.classifier import Classifier
from training_endpoint.learn.hyperparameters import Hyperparameters


def untrained(labels: list[str], seed: int) -> Classifier:
    """The embedded base model with a new head."""
    trainer.seed_all(seed)
    return classifiers.load(classifiers.find_base("embedded"), labels, Hyperparameters().max_length)


def trained(train: Rows, labels: list[str], seed: int, work: Path | None = None) -> Classifier:
    """The same, trained on some rows as a job does it; goes on from the checkpoint in the folder `work`."""
    where, precision = device.prepare()
    made = untrained(labels, seed)
    with tempfile.TemporaryDirectory() as folder:
        trainer.train(made, train, Hyperparameters(seed=seed), work or Path(folder), device=where, precision=precision)
    made.model.to("cpu")
    classifiers.round_weights(made)
    return made


def kept(train: Rows, labels: list[str], seed: int, file: Path) -> Classifier:
    """The same, or what an earlier run left of it in `file`, even where that ended in the middle."""
    if file.exists():
        model = untrained(labels, seed)
        model.model.load_state_dict(torch.load(file, weights_only=True))
        model.model.eval()
        return model
    work = file.with_suffix(".work")
    work.mkdir(parents=True, exist_ok=True)
    model = trained(train, labels, seed, work)
    torch.save(model.model.state_dict(), file)
    shutil.rmtree(work)
    return model


def make(folder: Path, seed: int = 0) -> Classifier:
    """Writes `serving/` and `model/` into `folder`, and says in which form it is served; returns what was trained."""
    train, test, labels = texts(SAMPLE, None)
    made = trained(train, labels, seed)
    weights = classifiers.save_weights(made, folder / "model")
    served, _ = export.export(made, test, train.texts, folder / "serving", Clock(), weights=weights)
    print(f"A version in the form {served.precision}: {served.reason}", flush=True)
    return made


def lay_out(version: Path, folder: Path) -> Path:
    """Its files as they lie where it is served: `model/` below the others."""
    shutil.copytree(version / "serving", folder)
    shutil.copytree(version / "model", folder / "model")
    return folder
