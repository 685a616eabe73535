"""How training really varies: models of several seeds on growing parts of SST-2, and which test rows each gets right.

    python -m benchmarks.judging.seeds --data ../shared/data/sst2

Each training is a process of its own and keeps its answers, so that this can be interrupted: it takes a quarter of an
hour on two idle cores. The summary goes to measured.json beside this file, which the simulations of gate.py start from.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from itertools import combinations
from math import sqrt
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from benchmarks.judging import PACKAGES
from benchmarks.training.task import SST2, texts
from tests.services import ROOT
from training_endpoint.data.snapshot import Rows
from training_endpoint.judge import evaluate
from training_endpoint.learn import classifier, device, trainer
from training_endpoint.learn.hyperparameters import Hyperparameters

SEEDS = {320: 2, 640: 2, 1280: 4, 2560: 2}
"""Training rows: how many seeds."""
WHOLE = {"seeds": 3, "accuracy": 0.897}
"""All 6,920 rows, as `python -m benchmarks.training` measured it."""
SETTLED = 1000
"""With fewer rows two epochs are too few steps to say how alike trained models are."""
MEASURED = Path(__file__).with_name("measured.json")
KEPT = ROOT / ".platform/bench/judging"

Right = npt.NDArray[np.bool_]


def measure(data: Path, rows: int, seed: int) -> Right:
    """Trains as a job does on the first `rows` rows; which test rows the model answers right."""
    train, test, labels = texts(data, None)
    where, precision = device.prepare()
    parameters = Hyperparameters(seed=seed)
    trainer.seed_all(seed)
    model = classifier.load(classifier.find_base(parameters.base_model), labels, parameters.max_length)
    part = Rows(train.texts[:rows], train.labels[:rows])
    with tempfile.TemporaryDirectory() as work:
        trainer.train(model, part, parameters, Path(work), device=where, precision=precision)
    predicted = evaluate.predict(model, test.texts).argmax(axis=1)
    return np.asarray(predicted == np.asarray(test.labels, np.int64), np.bool_)


def summary(answers: dict[int, list[Right]]) -> dict[str, Any]:
    """Accuracy by training rows; how seeds agree on rows; how much they differ in what they would score on any rows."""
    sizes, correlations, excess = {}, [], []
    for rows, seeds in sorted(answers.items()):
        accuracies = [float(right.mean()) for right in seeds]
        sizes[str(rows)] = {"seeds": len(seeds), "accuracy": float(np.mean(accuracies))}
        if len(seeds) < 2:
            continue
        differ = float(np.mean([(one != other).mean() for one, other in combinations(seeds, 2)]))
        sizes[str(rows)] |= {"disagreement": differ, "spread": float(np.std(accuracies, ddof=1))}
        if rows < SETTLED:
            continue
        correlations += [correlation(float(np.mean(accuracies)), differ)] * (len(seeds) - 1)
        # Two models that are equally good differ in accuracy by the rows on which they disagree, and no more.
        excess += [float(np.var(accuracies, ddof=1)) - differ / 2 / len(seeds[0])] * (len(seeds) - 1)
    return {
        "test_rows": len(next(iter(answers.values()))[0]),
        "sizes": {**sizes, "6920": WHOLE},
        "correlation": float(np.mean(correlations)),
        "between_seeds": sqrt(max(float(np.mean(excess)), 0.0)),
    }


def correlation(accuracy: float, disagreement: float) -> float:
    """Of two models' liability to be right on the same row, with which they disagree on that share of the rows."""
    from scipy.optimize import brentq  # noqa: PLC0415 - takes a second
    from scipy.stats import multivariate_normal, norm  # noqa: PLC0415

    at = norm.ppf(accuracy)

    def excess(shared: float) -> float:
        both = multivariate_normal.cdf([at, at], cov=[[1, shared], [shared, 1]])
        return float(2 * (accuracy - both) - disagreement)

    return float(brentq(excess, 0, 0.9999))


def main() -> None:
    """Measures what is not kept yet, and writes the summary."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=SST2)
    parser.add_argument("--one", type=int, nargs=2, metavar=("ROWS", "SEED"), help="what each process is started with")
    options = parser.parse_args()
    KEPT.mkdir(parents=True, exist_ok=True)
    if options.one:
        rows, seed = options.one
        np.save(KEPT / f"sst2_{rows}_{seed}.npy", measure(options.data, rows, seed))
        return
    environment = {**device.ENVIRONMENT, **os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), *PACKAGES])}
    answers: dict[int, list[Right]] = {}
    for rows, seeds in SEEDS.items():
        for seed in range(seeds):
            file = KEPT / f"sst2_{rows}_{seed}.npy"
            if not file.exists():
                command = [sys.executable, "-m", "benchmarks.judging.seeds", "--one", str(rows), str(seed)]
                subprocess.run([*command, "--data", options.data], check=True, env=environment, cwd=ROOT)
            answers.setdefault(rows, []).append(np.load(file))
            print(f"{rows} training rows, seed {seed}: accuracy {answers[rows][-1].mean():.4f}", flush=True)
    MEASURED.write_text(json.dumps(summary(answers), indent=1) + "\n")


if __name__ == "__main__":
    main()
