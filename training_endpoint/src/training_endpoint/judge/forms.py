"""Which form of a classifier is served: the fastest whose answers cannot be told from fp32's."""

import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from model_runner import Encoded, Model, Probabilities, machine, scores
from model_runner.artifact import Form
from training_endpoint import aside
from training_endpoint.data.snapshot import Rows
from training_endpoint.judge.compare import mcnemar
from training_endpoint.judge.evaluate import Labels

if TYPE_CHECKING:
    from training_endpoint.judge.smooth import Peaks

log = logging.getLogger(__name__)

ROWS = 1000
"""Rows on which a form is compared with fp32: test rows first, then training rows, for no label is needed."""
DIFFERING = 0.01
"""The share of these rows on which its answer may be another."""
STEP, DOUBT = 100, 0.05
"""After each so many rows it is looked whether those so far tell: more differ already than may of all, or so few that
a form which differs on more than `DIFFERING` gives as few or fewer with a probability of `DOUBT` at most."""
LEAST = 300
"""Rows that tell of a form which differs on none."""
SIGNIFICANCE = 0.05
"""Of McNemar's exact test: below it, a form's accuracy on the test rows is another than fp32's."""
TIMED, TIMES = 8, 3
"""Rows, one text a call, that tell a form's speed, and how often each is answered."""
CALIBRATED = 16
"""Training texts on which the sizes of values are measured: more change nothing."""
EXACT = 1 / 3
"""The share of the products, the first ones, that the last form tried leaves in fp32.

What is lost in the first layers all that follow pass on: in a model of six, three quarters of it is lost in two.
"""

FP32 = Form("fp32", "model.fp32.onnx")
# In the order in which they are tried: the quickest first, and of those the one that every processor can run. Without
# VNNI pairs of products are added in 16 bits, which weights of 8 bits overflow; with 7 all processors do the same.
INT8 = Form("int8", "model.int8.onnx")
INT8_FULL = Form("int8-full", "model.int8-full.onnx", frozenset({machine.VNNI}))
INT8_MIXED = Form("int8-mixed", "model.int8-mixed.onnx", frozenset({machine.VNNI}))
QUANTISED = (INT8, INT8_FULL, INT8_MIXED)


@dataclass(frozen=True)
class Trial:
    """One form against fp32."""

    form: str
    passed: bool
    rows: int
    differing: float
    """Share of the rows whose answer is another than fp32's."""
    accuracy: float
    fp32_accuracy: float
    p_value: float
    """McNemar's, on the test rows among them, as the accuracies."""
    speedup: float
    """One text a call, one thread."""

    def __str__(self) -> str:
        told = (
            f"{self.form}: {self.differing:.2%} of {self.rows:,} rows answered otherwise than by fp32 "
            f"(limit {DIFFERING:.0%}), "
            f"accuracy {self.accuracy:.4f} against {self.fp32_accuracy:.4f} (p = {self.p_value:.2g}), "
            f"{self.speedup:.1f} times as fast"
        )
        return f"served as {told}" if self.passed else f"not as {told}"


@dataclass(frozen=True)
class Choice:
    """The forms that the version carries, the one served here first, with its answers on the test rows."""

    forms: list[Form]
    models: dict[str, Model]
    """Those that run them, by their names."""
    answers: Probabilities
    trials: list[Trial]

    @property
    def reason(self) -> str:
        """For people."""
        told = [str(trial) for trial in self.trials]
        return "; ".join(told if any(trial.passed for trial in self.trials) else [*told, "served as fp32"])


def choose(run: Callable[[Form], Model], folder: Path, test: Rows, train: Sequence[str], cores: int) -> Choice:
    """Tries the forms of fp32's file in `folder`, and leaves there the files of those that the version carries.

    `run` makes a form's file there a model. Where the best needs what not every processor has, fp32 is carried as well.
    """
    shared = min(len(test), ROWS)
    compared, labels = [*test.texts[:shared], *train[: ROWS - shared]], test.labels[:shared].astype(np.int64)
    fp32 = run(FP32)
    models = {FP32.name: fp32}
    reference = _Answers(fp32, compared, cores)
    # What makes the first form keeps one core busy, and not all the time.
    least = aside.begun("fp32", partial(reference.first, LEAST))
    try:
        known = measure(folder, [one.ids for one in fp32.encode(list((train or test.texts)[:CALIBRATED]))])
    except MemoryError:
        raise
    except Exception as error:  # there is no list of what is not known of graphs
        log.warning("the sizes of values in this model's graph cannot be measured: %s", error)
        known = {}
    trials: list[Trial] = []
    for form in QUANTISED:
        if not form.needs <= machine.features():
            continue
        try:
            quantise(folder, form, known)
            model = run(form)
            answers = _Answers(model, compared, cores)
            least.result()
            _compare(answers, reference)
        except MemoryError:
            raise
        except Exception as error:  # as above
            log.warning("no form %s can be made of this model: %s", form.name, error)
            (folder / form.file).unlink(missing_ok=True)
            continue
        trial = _trial(form, answers.given, reference.given, labels, _speedup(fp32, model, test.texts))
        trials.append(trial)
        if trial.passed:
            forms = [form, FP32] if form.needs else [form]
            if FP32 not in forms:
                (folder / FP32.file).unlink()
            return Choice(forms, models | {form.name: model}, _all(answers, test), trials)
        (folder / form.file).unlink()
    least.result()
    return Choice([FP32], models, _all(reference, test), trials)


class _Answers:
    """What `model` answers on `texts`, as far as it was asked."""

    def __init__(self, model: Model, texts: Sequence[str], cores: int) -> None:
        self.model, self.texts, self.cores = model, texts, cores
        self.given: Probabilities = np.empty((0, len(model.labels)))

    def first(self, rows: int) -> Probabilities:
        more = scores(self.model, self.texts[len(self.given) : rows], self.cores)
        self.given = np.concatenate([self.given, more])
        return self.given[:rows]


def _compare(answers: _Answers, reference: _Answers) -> None:
    """Has both answer as many rows as tell whether they differ on too many."""
    from scipy.stats import binom  # noqa: PLC0415 - takes a second

    most = DIFFERING * len(answers.texts)
    for rows in range(STEP, len(answers.texts) + STEP, STEP):
        found, wanted = (one.first(rows).argmax(axis=1) for one in (answers, reference))
        differing = int((found != wanted).sum())
        if differing > most or binom.cdf(differing, len(found), DIFFERING) <= DOUBT:
            return


def _all(answers: _Answers, test: Rows) -> Probabilities:
    """On all test rows."""
    known = answers.given[: len(test)]
    return np.concatenate([known, scores(answers.model, test.texts[len(known) :], answers.cores)])


def measure(folder: Path, texts: Sequence[Sequence[int]]) -> "Peaks":
    """How large the values become that are going to be bytes, in fp32's file, on `texts` of token ids."""
    from training_endpoint.judge import smooth  # noqa: PLC0415 - it imports onnx

    return smooth.peaks(folder / FP32.file, texts)


def quantise(folder: Path, form: Form, peaks: "Peaks") -> None:
    """Makes the file of `form` from fp32's.

    Embeddings stay as they are: one scale for all words would cost more than all the rest.
    """
    from training_endpoint.judge import rows  # noqa: PLC0415 - it imports onnx

    bits, exact = (7 if form is INT8 else 8), (EXACT if form is INT8_MIXED else 0)
    rows.quantise(folder / FP32.file, folder / form.file, bits=bits, peaks=peaks, exact=exact)


def _trial(form: Form, answers: Probabilities, reference: Probabilities, labels: Labels, speedup: float) -> Trial:
    """`labels` belong to the first rows, of which as many count as `answers` has."""
    reference, labels = reference[: len(answers)], labels[: len(answers)]
    found, wanted = answers.argmax(axis=1), reference.argmax(axis=1)
    right, fp32_right = found[: len(labels)] == labels, wanted[: len(labels)] == labels
    differing, p_value = float((found != wanted).mean()), mcnemar(right, fp32_right)
    return Trial(
        form=form.name,
        passed=bool(np.isfinite(answers).all()) and differing <= DIFFERING and p_value >= SIGNIFICANCE,
        rows=len(answers),
        differing=differing,
        accuracy=float(right.mean()),
        fp32_accuracy=float(fp32_right.mean()),
        p_value=p_value,
        speedup=speedup,
    )


def _speedup(fp32: Model, other: Model, texts: Sequence[str]) -> float:
    """How many times as fast `other` is, one text a call: by turns, of each text the quickest, of these the median.

    So it is told on a busy machine as well.
    """
    ratios = []
    for text in fp32.encode(list(texts[:TIMED])):
        seconds = [(_seconds(fp32, text), _seconds(other, text)) for _ in range(TIMES)]
        slow, quick = map(min, zip(*seconds, strict=True))
        ratios.append(slow / quick)
    return float(np.median(ratios))


def _seconds(model: Model, text: Encoded) -> float:
    start = time.perf_counter()
    model.logits([text])
    return time.perf_counter() - start
