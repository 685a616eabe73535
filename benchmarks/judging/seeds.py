"""How training really varies: models of several seeds, on parts of SST-2 and on the sample, and what each gets right.

    python -m benchmarks.judging.seeds --data ../shared/data/sst2

Each training is a process of its own and keeps its answers, so that this can be interrupted: it takes ten minutes on
two idle cores. The summary goes to measured.json beside this file, which the simulations of gate.py start from.
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
from benchmarks.training.task import SAMPLE, SST2, texts
from tests.services import ROOT
from training_endpoint.data.snapshot import Rows
from training_endpoint.judge import evaluate
from training_endpoint.learn import classifier, device, trainer
from training_endpoint.learn.hyperparameters import Hyperparameters

SEEDS = {("sst2", 320): 2, ("sst2", 1280): 1, ("sample", 320): 4}
"""Data and training rows: how many seeds."""
WHOLE = {"rows": 6920, "seeds": 3, "accuracy": 0.897}
"""All of SST-2, as `python -m benchmarks.training` measured it."""
ALIKE = ("sample", 320)
"""What says how alike seeds are; of 320 rows of SST-2 two epochs are too few steps for that."""
MEASURED = Path(__file__).with_name("measured.json")
KEPT = ROOT / ".platform/bench/judging"

Group = tuple[str, int]
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


def summary(answers: dict[Group, list[Right]]) -> dict[str, Any]:
    """Accuracy by training rows; how seeds agree on rows; how much they differ in what they would score on any rows."""
    groups = {
        group: {"seeds": len(seeds), "accuracy": float(np.mean([right.mean() for right in seeds]))}
        for group, seeds in answers.items()
    }
    alike = answers[ALIKE]
    differ = float(np.mean([(one != other).mean() for one, other in combinations(alike, 2)]))
    spread = float(np.std([right.mean() for right in alike], ddof=1))
    groups[ALIKE] |= {"disagreement": differ, "spread": spread}
    listed = [{"data": data, "rows": rows, **found} for (data, rows), found in groups.items()]
    curve = [one for one in listed if one["data"] == "sst2"] + [WHOLE]
    return {
        "groups": listed,
        "curve": {str(one["rows"]): one["accuracy"] for one in curve},
        "correlation": correlation(groups[ALIKE]["accuracy"], differ),
        # Two models that are equally good differ in accuracy by the rows on which they disagree, and no more.
        "between_seeds": sqrt(max(spread**2 - differ / 2 / len(alike[0]), 0.0)),
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
    parser.add_argument("--one", nargs=3, metavar=("DATA", "ROWS", "SEED"), help="what each process is started with")
    options = parser.parse_args()
    KEPT.mkdir(parents=True, exist_ok=True)
    if options.one:
        data, rows, seed = options.one[0], *map(int, options.one[1:])
        folder = SAMPLE if data == "sample" else options.data
        np.save(KEPT / f"{data}_{rows}_{seed}.npy", measure(folder, rows, seed))
        return
    environment = {**device.ENVIRONMENT, **os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), *PACKAGES])}
    answers: dict[Group, list[Right]] = {}
    for (data, rows), seeds in SEEDS.items():
        for seed in range(seeds):
            file = KEPT / f"{data}_{rows}_{seed}.npy"
            if not file.exists():
                command = [sys.executable, "-m", "benchmarks.judging.seeds", "--one", data, str(rows), str(seed)]
                subprocess.run([*command, "--data", options.data], check=True, env=environment, cwd=ROOT)
            answers.setdefault((data, rows), []).append(np.load(file))
            print(f"{rows} rows of {data}, seed {seed}: accuracy {answers[data, rows][-1].mean():.4f}", flush=True)
    MEASURED.write_text(json.dumps(summary(answers), indent=1) + "\n")


if __name__ == "__main__":
    main()
