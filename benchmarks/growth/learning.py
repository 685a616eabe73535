"""What runs from the Champion learn, against full runs on the same rows: test accuracy, by the code that a job runs.

Each model is trained once and kept, so a measurement that was interrupted goes on.
"""

import json
import tempfile
from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import torch

from benchmarks.growth.sets import Set
from training_endpoint.data.rows import Rows
from training_endpoint.judge import evaluate
from training_endpoint.learn import classifier, device, trainer, warm
from training_endpoint.learn.classifier import Classifier
from training_endpoint.learn.hyperparameters import Hyperparameters

RUNS = 10
GROWTH = 0.1
"""Share of the rows that ten runs in a row add."""
CORRECTED = DELETED = 0.05


class Learning:
    """Trains on one set with one seed; models are kept in `folder`."""

    def __init__(self, data: Set, seed: int, folder: Path, parameters: Hyperparameters) -> None:
        self.data, self.seed, self.folder = data, seed, folder
        self.parameters = replace(parameters, seed=seed)
        self.base = classifier.find_base(parameters.base_model)
        folder.mkdir(parents=True, exist_ok=True)

    def figures(self) -> dict[str, float]:
        """Accuracies after a full run, after ten that grew, after rows were corrected, after rows were deleted."""
        train, size = self.data.train, len(self.data.train)
        full = self.kept("full", lambda: self.full(train))
        grown = self.kept("grown", self.grown)

        wrong = np.random.default_rng(7).random(size) < CORRECTED
        others = np.random.default_rng(8).integers(1, len(self.data.label_names), size)
        labels = np.where(wrong, (train.labels + others) % len(self.data.label_names), train.labels)
        mistaken = self.kept("mistaken", lambda: self.full(Rows(train.texts, labels)))
        corrected = self.kept("corrected", lambda: self.goes_on(mistaken, train, wrong, self.seed))

        stays = np.flatnonzero(~wrong)
        deleted = self.kept(
            "deleted", lambda: self.goes_on(full, train.pick(stays), np.zeros(len(stays), bool), self.seed)
        )
        without = self.kept("without", lambda: self.full(train.pick(stays)))
        found = {"full": full, "grown": grown, "mistaken": mistaken, "corrected": corrected}
        found |= {"deleted": deleted, "without": without}
        return {name: self.accuracy(name, model) for name, model in found.items()}

    def new(self) -> Classifier:
        """The base model with a new head."""
        trainer.seed_all(self.seed)
        return classifier.load(self.base, self.data.label_names, self.parameters.max_length)

    def full(self, rows: Rows) -> Classifier:
        """A full run."""
        made = self.new()
        self.train(made, rows, self.parameters)
        return made

    def grown(self) -> Classifier:
        """A full run on nine tenths of the rows, then ten that each add a hundredth."""
        train = self.data.train
        ends = np.linspace(round(len(train) * (1 - GROWTH)), len(train), RUNS + 1).astype(int)
        model = self.kept("begun", lambda: self.full(train.pick(np.arange(ends[0]))))
        for number, (before, end) in enumerate(pairwise(ends)):
            new = np.arange(end) >= before
            model = self.goes_on(model, train.pick(np.arange(end)), new, self.seed + number)
        return model

    def goes_on(
        self, start: Classifier, rows: Rows, new: "np.ndarray[tuple[int], np.dtype[np.bool_]]", seed: int
    ) -> Classifier:
        """A run from `start`, which stays as it is."""
        made = self.new()
        made.model.load_state_dict(start.model.state_dict())
        classifier.round_weights(made)  # as a version has them
        before = warm.weights(made.model)
        told = replace(
            self.parameters,
            seed=seed,
            epochs=self.parameters.warm_epochs,
            learning_rate=self.parameters.warm_learning_rate,
        )
        self.train(made, rows.pick(warm.places(new, seed)), told)
        warm.average(made.model, before)
        return made

    def train(self, made: Classifier, rows: Rows, parameters: Hyperparameters) -> None:
        """As a job does."""
        where, precision = device.prepare()
        with tempfile.TemporaryDirectory() as work:
            trainer.train(made, rows, parameters, Path(work), device=where, precision=precision)

    def kept(self, name: str, make: Callable[[], Classifier]) -> Classifier:
        """The model that was made before under that name, or is now."""
        file = self.folder / f"{self.data.name}-{self.seed}-{name}.pt"
        if not file.exists():
            made = make()
            torch.save(made.model.state_dict(), file.with_suffix(".part"))
            file.with_suffix(".part").replace(file)
            return made
        made = self.new()
        made.model.load_state_dict(torch.load(file, weights_only=True))
        return made

    def accuracy(self, name: str, model: Classifier) -> float:
        """On the test rows."""
        file = self.folder / f"{self.data.name}-{self.seed}-{name}.json"
        if not file.exists():
            answers = evaluate.predict(model, self.data.test.texts).argmax(axis=1)
            file.write_text(json.dumps(float((answers == self.data.test.labels).mean())))
        return float(json.loads(file.read_text()))
