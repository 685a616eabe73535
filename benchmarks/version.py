"""A version of the embedded model as a training job makes it: trained on the sample, judged, and exported."""

import shutil
import tempfile
from pathlib import Path

from benchmarks.training.task import SAMPLE, texts
from training_endpoint.clock import Clock
from training_endpoint.judge import export
from training_endpoint.learn import classifier as classifiers
from training_endpoint.learn import device, trainer
from training_endpoint.learn.classifier import Classifier
from training_endpoint.learn.hyperparameters import Hyperparameters


def make(folder: Path, seed: int = 0) -> Classifier:
    """Writes `serving/` and `model/` into `folder`, and says in which form it is served; returns what was trained."""
    train, test, labels = texts(SAMPLE, None)
    parameters = Hyperparameters(seed=seed)
    where, precision = device.prepare()
    trainer.seed_all(seed)
    made = classifiers.load(classifiers.find_base("embedded"), labels, parameters.max_length)
    with tempfile.TemporaryDirectory() as work:
        trainer.train(made, train, parameters, Path(work), device=where, precision=precision)
    made.model.to("cpu")
    classifiers.round_weights(made)
    weights = classifiers.save_weights(made, folder / "model")
    served, _ = export.export(made, test, train.texts, folder / "serving", Clock(), weights=weights)
    print(f"A version in the form {served.precision}: {served.reason}", flush=True)
    return made


def lay_out(version: Path, folder: Path) -> Path:
    """Its files as they lie where it is served: `model/` below the others."""
    shutil.copytree(version / "serving", folder)
    shutil.copytree(version / "model", folder / "model")
    return folder
