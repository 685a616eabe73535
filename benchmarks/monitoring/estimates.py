"""Estimated against true accuracy by window, as what is asked moves away from what a version was trained and tested on.

A classifier of SST-2's sentences is asked others of them, then subj's reviews, then sentences without some of their
words or with letters changed. subj says of a sentence whether it is of a review, not whether that is a good one: more
than half of its reviews are in the treebank too, so their label is taken from there, and the classifier has seen none.
"""

import csv
import random
import re
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np

from benchmarks.version import kept, lay_out
from model_runner import load, machine
from model_runner import scores as runner_scores
from tests.services import ROOT
from training_endpoint.clock import Clock
from training_endpoint.data.snapshot import Rows
from training_endpoint.judge import export
from training_endpoint.learn import classifier as classifiers
from training_endpoint.monitor import estimate
from training_endpoint.monitor.estimate import Answered, Numbers, Reference
from training_endpoint.monitor.reference import by_word, spoil

WINDOW, STEP = 200, 100
TRAIN_ROWS, ASKED_ROWS = 1600, 2800
LOSSES = (0.2, 0.4)
KEPT = ROOT / ".platform/bench/monitoring"

Pairs = list[tuple[str, str]]


def measure(folder: Path, say: Callable[[str], None], seeds: int) -> list[str]:
    """Lines of a table; `folder` has the folders sst2 and subj.

    What was trained, exported or answered is kept, so that a run that was ended goes on where it was.
    """
    train, test, traffic = _parts(folder)
    names = sorted({label for _, label in train})
    errors: dict[str, dict[str, list[float]]] = {}
    for seed in range(seeds):
        home = KEPT / f"sst2-{TRAIN_ROWS}-{seed}"
        laid, known = _version(_rows(train, names), _rows(test, names), names, seed, home)
        say(f"seed {seed}: {known.accuracy:.3f} right on the test rows, {known.calibration}")
        model = None
        for kind, pairs in traffic.items():
            asked = _rows(pairs, names)
            file = home / f"{kind}, {len(pairs)}.npy"
            if not file.exists():
                model = model or load(laid, "onnx")
                np.save(file, np.asarray(runner_scores(model, asked.texts, machine.cores()), np.float64).round(6))
            scores = np.load(file)
            right = scores.argmax(axis=1) == np.array(asked.labels)
            found = _errors(estimate.confidences(scores, known.calibration, by_word(laid, asked.texts)), right, known)
            for name, some in found.items():
                errors.setdefault(name, {}).setdefault(kind, []).extend(some)
            told = ", ".join(f"{name} {_points(some)}" for name, some in found.items())
            say(f"{kind}: {right.mean():.3f} of {len(right)} right; off by {told} points")
    lines = []
    for name, by_kind in errors.items():
        windows = [one for some in by_kind.values() for one in some]
        each = ", ".join(f"{kind} {_points(some)}" for kind, some in by_kind.items())
        lines.append(
            f"| {name}: mean absolute error by window of {WINDOW}, points | ≤ 3 |"
            f" {_points(windows)} ({len(windows)} windows of {seeds} models; {each}) |"
        )
    return lines


def _version(train: Rows, test: Rows, names: list[str], seed: int, home: Path) -> tuple[Path, Reference]:
    """What a job makes of the rows: the files of the form that is served, and what is known of its answers on the test
    rows."""
    laid, answers = home / "laid", home / "answers.npy"
    if not answers.exists():
        made = kept(train, names, seed, home.with_suffix(".pt"))
        with tempfile.TemporaryDirectory() as folder:
            work = Path(folder)
            weights = classifiers.save_weights(made, work / "model")
            _, found = export.export(made, test, train.texts, work / "serving", Clock(), weights=weights)
            shutil.rmtree(laid, ignore_errors=True)
            lay_out(work, laid)
        np.save(answers, np.asarray(found, np.float64))
    labels = np.array(test.labels, np.int64)
    model = load(laid, "onnx")
    spoilt = spoil(lambda texts: runner_scores(model, texts, machine.cores()), laid, test.texts, labels)
    tested = Answered(np.load(answers), labels, by_word(laid, test.texts))
    return laid, estimate.reference(tested, names, test.texts, spoilt)


def _errors(sure: Numbers, right: np.ndarray, known: Reference) -> dict[str, list[float]]:
    """By estimate how far it is from the truth, of each window."""
    found: dict[str, list[float]] = {}
    for start in range(0, len(right) - WINDOW + 1, STEP):
        part = slice(start, start + WINDOW)
        summary = estimate.summarise(sure[part], [0] * WINDOW, ["x"] * WINDOW, known.threshold)
        true = float(right[part].mean())
        for name, one in (("mean of both", estimate.both), ("CBPE", estimate.cbpe), ("ATC", estimate.atc)):
            found.setdefault(name, []).append(abs(one(summary, known).accuracy - true))
    return found


def _points(errors: list[float]) -> str:
    return f"{100 * float(np.mean(errors)):.1f}"


def _parts(folder: Path) -> tuple[Pairs, Pairs, dict[str, Pairs]]:
    """Rows to train on, to test on, and by kind what is asked: texts with their labels, none in two of them."""
    sentences = {name: _read(folder / "sst2" / f"{name}.tsv") for name in ("train", "dev", "test")}
    label_of = {_letters(text): label for some in sentences.values() for text, label in some}
    of_subj = [pair for name in ("train", "test") for pair in _read(folder / "subj" / f"{name}.tsv")]
    reviews = {_letters(text): text for text, kind in of_subj if kind == "0"}
    moved = [(text, label_of[letters]) for letters, text in reviews.items() if letters in label_of]
    others = {
        name: [(text, label) for text, label in some if _letters(text) not in reviews]
        for name, some in sentences.items()
    }
    rng = random.Random(0)
    for some in (*others.values(), moved):
        rng.shuffle(some)
    asked = (others["train"][TRAIN_ROWS:] + others["dev"])[:ASKED_ROWS]
    moved = moved[:ASKED_ROWS]
    traffic = {"SST-2": asked, "moving to subj's reviews": _blend(asked, moved, rng), "subj's reviews": moved}
    for kind, change in (("dropped", _drop), ("misspelt", _misspell)):
        for share in LOSSES:
            traffic[f"{share:.0%} of words {kind}"] = [(change(text, share, rng), label) for text, label in asked]
    return others["train"][:TRAIN_ROWS], others["test"], traffic


def _blend(one: Pairs, other: Pairs, rng: random.Random) -> Pairs:
    """Of the one ever fewer, of the other ever more."""
    count = min(len(one), len(other))
    return [other[place] if rng.random() * count < place else one[place] for place in range(count)]


def _read(file: Path) -> Pairs:
    with file.open(newline="") as stream:
        rows = csv.DictReader(stream, dialect="excel-tab", quoting=csv.QUOTE_NONE)
        return [(row["text"], row["label"]) for row in rows]


def _letters(text: str) -> str:
    """What is the same of a sentence in both sets, which write brackets and quotes in ways of their own."""
    return re.sub(r"-[lr]rb-|[^a-z0-9]", "", text.lower())


def _rows(pairs: Pairs, names: list[str]) -> Rows:
    return Rows([text for text, _ in pairs], [names.index(label) for _, label in pairs])


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
