"""A model as a job trains it, of few rows, and what it answers; each is made once and its answers are kept."""

import os
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt

from benchmarks.growth.sets import Set
from benchmarks.training.task import SAMPLE, SST2
from tests.services import ROOT
from training_endpoint.data.rows import Rows
from training_endpoint.judge import evaluate
from training_endpoint.judge.evaluate import Probabilities
from training_endpoint.learn import classifier, device, trainer
from training_endpoint.learn.hyperparameters import Hyperparameters

SETS = (SST2, SST2.with_name("subj"))
SEEDS = 5
KEPT = ROOT / ".platform/bench/labelling"
"""What was made is kept here, so that this can be interrupted."""


def sets() -> Iterator[Set]:
    """SST-2 and Subj; where they are not at hand, the sample."""
    found = [folder for folder in SETS if folder.is_dir()]
    return (Set.read(folder, None) for folder in found or [SAMPLE])


def answers(data: Set, rows: Rows, seed: int, *texts: "list[str]") -> tuple[Probabilities, ...]:
    """What a model that is trained on `rows` by a full run answers to each list of texts, [texts, classes]."""
    parameters = Hyperparameters(seed=seed)
    where, precision = device.prepare()
    if cores := os.environ.get("OMP_NUM_THREADS"):  # a machine that others use too
        import torch  # noqa: PLC0415 - takes seconds

        torch.set_num_threads(int(cores))
    trainer.seed_all(seed)
    model = classifier.load(classifier.find_base(parameters.base_model), data.label_names, parameters.max_length)
    with tempfile.TemporaryDirectory() as work:
        trainer.train(model, rows, parameters, Path(work), device=where, precision=precision)
    return tuple(evaluate.predict(model, some) if some else np.empty((0, len(data.label_names))) for some in texts)


def kept(file: Path, make: Callable[[], dict[str, npt.NDArray[np.generic]]]) -> dict[str, npt.NDArray[np.generic]]:
    """What was made before under that name, or is now."""
    if not file.exists():
        file.parent.mkdir(parents=True, exist_ok=True)
        part = file.with_suffix(".part.npz")
        np.savez(part, **make())  # type: ignore[arg-type] # its types know no keywords
        part.replace(file)
    with np.load(file) as found:
        return dict(found)


def interval(values: "list[float]") -> tuple[float, float, float]:
    """Mean, and the 95 % interval of it by Student's t; of one value alone there is none."""
    from scipy.stats import t  # noqa: PLC0415 - takes a second

    mean = float(np.mean(values))
    if len(values) < 2:
        return mean, float("nan"), float("nan")
    half = float(t.ppf(0.975, len(values) - 1) * np.std(values, ddof=1) / np.sqrt(len(values)))
    return mean, mean - half, mean + half
