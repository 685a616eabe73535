"""Pictures of a run for MLflow's UI."""

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from training_endpoint.judge.evaluate import Labels


def comparison(named: Mapping[str, Labels], changes: Mapping[str, float], label_names: Sequence[str]) -> Figure:
    """Confusion matrices [label, predicted] side by side, each row coloured by its share.

    Below them bars: what the challenger's recall of each class gains or loses against the Champion's, if there is one.
    """
    heights = [4.6, 1.2 + 0.4 * len(changes)] if changes else [4.6]
    figure = Figure(figsize=(5 * len(named), sum(heights)), layout="constrained")
    parts = figure.subfigures(len(heights), 1, height_ratios=heights, squeeze=False)[:, 0]
    for axes, (title, matrix) in zip(np.atleast_1d(parts[0].subplots(1, len(named))), named.items(), strict=True):
        _confusion(axes, title, matrix, label_names)
    if changes:
        _changes(parts[1].subplots(), changes)
    return figure


def losses(values: Sequence[float]) -> Figure:
    """Training loss of each step, and its running mean."""
    figure = Figure(figsize=(7, 4), layout="constrained")
    axes = figure.subplots()
    window = max(1, len(values) // 20)
    axes.plot(values, color="#bbbbbb", linewidth=0.8, label="step")
    smooth = np.convolve(values, np.ones(window) / window, mode="valid")
    axes.plot(np.arange(window - 1, len(values)), smooth, color="#264653", label=f"mean of {window}")
    axes.set_xlabel("step")
    axes.set_ylabel("loss")
    axes.legend()
    return figure


def _changes(axes: Axes, changes: Mapping[str, float]) -> None:
    values = list(changes.values())
    axes.barh(list(changes), values, color=["#2a9d8f" if value >= 0 else "#e76f51" for value in values])
    axes.axvline(0, color="#444444", linewidth=0.8)
    axes.set_xlabel("recall, challenger minus Champion")


def _confusion(axes: Axes, title: str, matrix: Labels, label_names: Sequence[str]) -> None:
    shares = matrix / np.maximum(matrix.sum(axis=1, keepdims=True), 1)
    axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    ticks = range(len(label_names))
    axes.set_xticks(ticks, label_names, rotation=30, ha="right")
    axes.set_yticks(ticks, label_names)
    axes.set_xlabel("predicted")
    axes.set_ylabel("label")
    axes.set_title(title)
    if len(label_names) <= 20:
        for row in ticks:
            for column in ticks:
                colour = "white" if shares[row, column] > 0.5 else "black"
                axes.text(column, row, str(matrix[row, column]), ha="center", va="center", color=colour)
