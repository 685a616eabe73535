"""Our side: `python -m benchmarks.training.ours TASK.json` trains as a job does."""

import sys
import tempfile
from pathlib import Path

import numpy as np

from benchmarks.training.task import Task, timed
from training_endpoint.judge import evaluate
from training_endpoint.learn import classifier, device, trainer


def main(task: Task, work: Path) -> None:
    """Trains and tests in this process."""
    where, precision = device.prepare()
    trainer.seed_all(task.parameters.seed)
    base = classifier.find_base(task.parameters.base_model)
    model = classifier.load(base, task.label_names, task.parameters.max_length)
    timed(
        task,
        lambda: trainer.train(model, task.train, task.parameters, work, device=where, precision=precision),
        lambda: evaluate.metrics(evaluate.predict(model, task.test.texts), np.asarray(task.test.labels))["accuracy"],
    )


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        main(Task.load(Path(sys.argv[1])), Path(folder))
