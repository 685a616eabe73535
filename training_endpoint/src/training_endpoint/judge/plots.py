"""Pictures of a run for MLflow's UI, of whatever classes: no picture fails a job."""

import logging
import warnings
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.text import Text

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


def save(file: Path, draw: Callable[[], Figure]) -> None:
    """Writes what `draw` makes; where that cannot be, the log says why and there is no file."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # a letter that the font lacks is drawn as a box
            draw().savefig(file)
    except Exception:
        log.exception("%s could not be drawn; the run goes on without it", file.name)
        file.unlink(missing_ok=True)


def comparison(named: Mapping[str, Labels], changes: Mapping[str, float], label_names: Sequence[str]) -> Figure:
    """Confusion matrices [label, predicted] side by side, each row coloured by its share.

    Below them bars: what the challenger's recall of each class gains or loses against the Champion's, if there is one.
    """
    most = sorted(changes, key=lambda name: -abs(changes[name]))[:CHANGED_CLASSES]
    side = float(np.clip(0.17 * len(label_names), 4.6, 14))
    heights = [side, 1.2 + 0.4 * len(most)] if most else [side]
    figure = Figure(figsize=((side + 0.4) * len(named), sum(heights)), layout="constrained")
    parts = figure.subfigures(len(heights), 1, height_ratios=heights, squeeze=False)[:, 0]
    for axes, (title, matrix) in zip(np.atleast_1d(parts[0].subplots(1, len(named))), named.items(), strict=True):
        _confusion(axes, title, matrix, label_names)
    if most:
        _changes(parts[1].subplots(), {name: change for name, change in changes.items() if name in most})
    for text in figure.findobj(Text):
        text.set_parse_math(False)  # a dollar in a name begins no formula
    return figure


def losses(values: Sequence[float]) -> Figure:
    """Training loss of each step, and its running mean."""
    figure = Figure(figsize=(7, 4), layout="constrained")
    axes = figure.subplots()
    window = max(1, len(values) // 20)
    axes.plot(values, color="#bbbbbb", linewidth=0.8, label="step")
    if values:
        smooth = np.convolve(values, np.ones(window) / window, mode="valid")
        axes.plot(np.arange(window - 1, len(values)), smooth, color="#264653", label=f"mean of {window}")
    axes.set_xlabel("step")
    axes.set_ylabel("loss")
    axes.legend()
    return figure


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
