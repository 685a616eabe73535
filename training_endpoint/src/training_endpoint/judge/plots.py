"""Pictures of a run for MLflow's UI, of whatever classes: no picture fails a job."""

import logging
import warnings
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from training_endpoint.judge.evaluate import Labels

NAME_CHARS = 28
"""Of a longer class name so much is shown."""
NAMED_CLASSES = 80
"""Of more classes the matrix is drawn without names."""
COUNTED_CLASSES = 20
"""Of more classes the matrix is drawn without counts."""
CHANGED_CLASSES = 40
"""The classes that changed the most are shown, at most so many."""

log = logging.getLogger(__name__)


def comparison(
    file: Path, named: Mapping[str, Labels], changes: Mapping[str, float], label_names: Sequence[str]
) -> None:
    """Confusion matrices [label, predicted] side by side, each row coloured by its share.

    Below them bars: what the challenger's recall of each class gains or loses against the Champion's, if there is one.
    """
    shown = dict(sorted(changes.items(), key=lambda change: -abs(change[1]))[:CHANGED_CLASSES])
    side = float(np.clip(0.17 * len(label_names), 4.6, 14))
    heights = [side, 1.2 + 0.4 * len(shown)] if shown else [side]
    figure = Figure(figsize=((side + 0.4) * len(named), sum(heights)), layout="constrained")

    def draw() -> None:
        parts = figure.subfigures(len(heights), 1, height_ratios=heights, squeeze=False)[:, 0]
        for axes, (title, matrix) in zip(np.atleast_1d(parts[0].subplots(1, len(named))), named.items(), strict=True):
            _confusion(axes, title, matrix, label_names)
        if shown:
            _changes(parts[1].subplots(), {name: changes[name] for name in changes if name in shown})
        figure.savefig(file)

    _safely(file, draw)


def losses(file: Path, values: Sequence[float]) -> None:
    """Training loss of each step, and its running mean."""
    figure = Figure(figsize=(7, 4), layout="constrained")

    def draw() -> None:
        axes = figure.subplots()
        window = max(1, len(values) // 20)
        axes.plot(values, color="#bbbbbb", linewidth=0.8, label="step")
        if values:
            smooth = np.convolve(values, np.ones(window) / window, mode="valid")
            axes.plot(np.arange(window - 1, len(values)), smooth, color="#264653", label=f"mean of {window}")
        axes.set_xlabel("step")
        axes.set_ylabel("loss")
        axes.legend()
        figure.savefig(file)

    _safely(file, draw)


def _safely(file: Path, draw: Callable[[], None]) -> None:
    """Draws with names as they are written: a dollar begins no formula, and a letter without a picture is a box."""
    try:
        with rc_context({"text.parse_math": False, "text.usetex": False}), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            draw()
    except Exception:
        log.exception("%s could not be drawn; the run goes on without it", file.name)
        file.unlink(missing_ok=True)


def _shown(name: str) -> str:
    """A class name in one line of at most NAME_CHARS printable characters."""
    line = "".join(letter if letter.isprintable() else " " for letter in name)
    return line if len(line) <= NAME_CHARS else line[: NAME_CHARS - 1] + "…"


def _changes(axes: Axes, changes: Mapping[str, float]) -> None:
    values = list(changes.values())
    places = range(len(values))
    axes.barh(places, values, color=["#2a9d8f" if value >= 0 else "#e76f51" for value in values])
    axes.set_yticks(places, [_shown(name) for name in changes])
    axes.axvline(0, color="#444444", linewidth=0.8)
    axes.set_xlabel("recall, challenger minus Champion")


def _confusion(axes: Axes, title: str, matrix: Labels, label_names: Sequence[str]) -> None:
    shares = matrix / np.maximum(matrix.sum(axis=1, keepdims=True), 1)
    axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    ticks = range(len(label_names))
    if len(label_names) <= NAMED_CLASSES:
        few = len(label_names) <= COUNTED_CLASSES
        size = None if few else 7
        names = [_shown(name) for name in label_names]
        axes.set_xticks(ticks, names, rotation=30 if few else 90, ha="right" if few else "center", fontsize=size)
        axes.set_yticks(ticks, names, fontsize=size)
    axes.set_xlabel("predicted")
    axes.set_ylabel("label")
    axes.set_title(title)
    if len(label_names) <= COUNTED_CLASSES:
        for row in ticks:
            for column in ticks:
                colour = "white" if shares[row, column] > 0.5 else "black"
                axes.text(column, row, str(matrix[row, column]), ha="center", va="center", color=colour)
