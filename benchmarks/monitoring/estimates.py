"""Estimated against true accuracy by window, as sentences lose words and letters."""

import csv
import random
import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np

from benchmarks.version import lay_out, trained
from model_runner import load, machine
from model_runner import scores as runner_scores
from training_endpoint.clock import Clock
from training_endpoint.data.snapshot import Rows
from training_endpoint.judge import export
from training_endpoint.learn import classifier as classifiers
from training_endpoint.monitor import estimate

WINDOW = 200
TRAIN_ROWS = 800
LOSSES = (0, 0.2, 0.4)


def measure(folder: Path, say: Callable[[str], None]) -> list[str]:
    """Lines of a table: half of the test rows calibrate, the others are what is asked."""
    names, train, test = _rows(folder)
    tested, asked = Rows(test.texts[::2], test.labels[::2]), Rows(test.texts[1::2], test.labels[1::2])
    made = trained(Rows(train.texts[:TRAIN_ROWS], train.labels[:TRAIN_ROWS]), names, 0)
    with tempfile.TemporaryDirectory() as home:
        serving = Path(home) / "serving"
        weights = classifiers.save_weights(made, Path(home) / "model")
        served, answers = export.export(made, tested, train.texts[:TRAIN_ROWS], serving, Clock(), weights=weights)
        known = estimate.reference(np.asarray(answers, np.float64), np.array(tested.labels), names, tested.texts)
        say(f"served as {served.precision}: {known.accuracy:.3f} right, temperature {known.temperature:.2f}")
        model = load(lay_out(Path(home), Path(home) / "laid"), "onnx")
        errors: dict[str, list[float]] = {}
        lines = []
        for kind, spoil in (("words dropped", _drop), ("letters misspelt", _misspell)):
            for share in LOSSES:
                rng = random.Random(1)
                texts = [spoil(text, share, rng) for text in asked.texts]
                scores = np.asarray(runner_scores(model, texts, machine.cores()), np.float64).round(6)
                right = scores.argmax(axis=1) == np.array(asked.labels)
                sure = estimate.confidences(scores, known.temperature)
                for start in range(0, len(texts) - WINDOW + 1, WINDOW // 2):
                    part = slice(start, start + WINDOW)
                    summary = estimate.summarise(sure[part], [0] * WINDOW, ["x"] * WINDOW, known.threshold)
                    true = float(right[part].mean())
                    for name, found in (("cbpe", estimate.cbpe), ("atc", estimate.atc)):
                        errors.setdefault(name, []).append(abs(found(summary, known).accuracy - true))
                say(f"{share:.0%} {kind}: {right.mean():.3f} right, {sure.mean():.3f} by CBPE")
        for name, found_errors in errors.items():
            lines.append(
                f"| {name}: mean absolute error by window of {WINDOW}, points | ≤ 3 |"
                f" {100 * float(np.mean(found_errors)):.1f} ({len(found_errors)} windows) |"
            )
    return lines


def _rows(folder: Path) -> tuple[list[str], Rows, Rows]:
    found = []
    for name in ("train", "test"):
        with (folder / f"{name}.tsv").open(newline="") as stream:
            rows = list(csv.DictReader(stream, dialect="excel-tab", quoting=csv.QUOTE_NONE))
        found.append(([row["text"] for row in rows], [row["label"] for row in rows]))
    names = sorted(set(found[0][1]))
    train, test = (Rows(texts, [names.index(label) for label in labels]) for texts, labels in found)
    order = list(range(len(train.texts)))
    random.Random(0).shuffle(order)
    return names, Rows([train.texts[i] for i in order], [train.labels[i] for i in order]), test


def _drop(text: str, share: float, rng: random.Random) -> str:
    return " ".join(word for word in text.split() if rng.random() >= share) or text.split(maxsplit=1)[0]


def _misspell(text: str, share: float, rng: random.Random) -> str:
    """Of that share of the words two letters change places."""
    words = text.split()
    for index, word in enumerate(words):
        if len(word) > 2 and rng.random() < share:
            place = rng.randrange(len(word) - 1)
            words[index] = word[:place] + word[place + 1] + word[place] + word[place + 2 :]
    return " ".join(words)
