"""The forms of models: how much faster than fp32, what they cost, and whether scores hold to the last bit.

Each model is trained and exported as a job does it.
"""

import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from benchmarks.training.task import SAMPLE, texts
from benchmarks.version import kept
from model_endpoint.cores import Cores
from model_runner import load, machine, softmax
from tests.services import ROOT
from training_endpoint.clock import Clock
from training_endpoint.data.snapshot import Rows
from training_endpoint.judge import export
from training_endpoint.learn import classifier as classifiers

COLUMNS = ("model", "form", "served", "times as fast", "rows answered otherwise", "accuracy, points", "p")
KEPT = ROOT / ".platform/bench/judging/models"
OTHERS = 31
WITH_VNNI, WITHOUT = 2.0, 1.5


def report(data: Path | None, seeds: int, most: int | None, models: Path) -> str:
    """The table; `data` has a folder for each set beside the sample, `most` is how many rows are taken of each file.

    Trained models are kept in the folder `models`, and taken from there.
    """
    sets = [SAMPLE, *(sorted(one for one in data.iterdir() if one.is_dir()) if data else [])]
    lines = [_line(COLUMNS), _line(["---"] * len(COLUMNS))]
    fast: list[float] = []
    different = 0
    for folder in sets:
        for seed in range(seeds):
            train, test, labels = texts(folder, most)
            model = kept(train, labels, seed, models / f"{folder.name}-{seed}-{most or 'all'}.pt")
            with tempfile.TemporaryDirectory() as name:
                weights = classifiers.save_weights(model, Path(name) / "model")
                start = time.perf_counter()
                served, _ = export.export(model, test, train.texts, Path(name) / "serving", Clock(), weights=weights)
                seconds = time.perf_counter() - start
                weights.rename(served.folder / weights.name)  # as a replica has it
                different += not _same_bits(served.folder, test)
            for trial in served.evidence["trials"]:
                lines.append(
                    _line(
                        [
                            f"{folder.name} {seed}",
                            trial["form"],
                            "yes" if trial["passed"] else "",
                            f"{trial['speedup']:.2f}",
                            f"{trial['differing']:.2%} of {trial['rows']:,}",
                            f"{(trial['accuracy'] - trial['fp32_accuracy']) * 100:+.2f}",
                            f"{trial['p_value']:.2g}",
                        ]
                    )
                )
            fast.append(next((one["speedup"] for one in served.evidence["trials"] if one["passed"]), 1.0))
            print(f"{folder.name} {seed}: {served.reason}; {seconds:.1f} s for all of it", file=sys.stderr, flush=True)
    wanted = WITH_VNNI if machine.features() else WITHOUT
    return "\n".join(
        [
            *lines,
            "",
            f"{sum(one >= wanted for one in fast)} of {len(fast)} models are served {wanted:g} times as fast as fp32"
            f" or faster, one text a call; the median is {np.median(fast):.2f}. Scores alone, among {OTHERS} others and"
            f" by another replica differ by a bit or more in {different} of them.",
        ]
    )


def _same_bits(folder: Path, test: Rows) -> bool:
    """Whether texts get the same scores alone, among others, and by a second model loaded from the same files."""
    first, second = load(folder, "onnx"), load(folder, "onnx")
    some = list(test.texts[: OTHERS + 1])
    among = softmax(Cores(machine.cores()).logits(first, first.encode(some)))
    alone = np.concatenate([softmax(second.logits(second.encode([text]))) for text in some])
    return bool(np.array_equal(among, alone))


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"
