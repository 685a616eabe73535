"""Readings become tables of medians and a plot."""

from collections.abc import Sequence
from pathlib import Path
from statistics import median

Readings = dict[str, list[dict[str, float]]]
Phases = Sequence[dict[str, float]]
# What a job is for; all the rest is what it costs beside.
WORK = ("training", "evaluating")


def table(readings: Readings, phases: Phases) -> str:
    """What is asked for and what is reached: medians over the seeds, ratios within each seed."""
    lines = ["| what | wanted | reached |", "| --- | --- | --- |"]

    def line(what: str, wanted: str, reached: str) -> None:
        lines.append(f"| {what} | {wanted} | {reached} |")

    for place, name in (("cpu", "CPU"), ("gpu", "GPU")) if readings else ():
        ours, plain = readings.get(f"ours {place}"), readings.get(f"plain {place}")
        if not ours or not plain:
            line(f"samples/s on the {name} / plain Trainer recipe", "≥ 2.0", f"no {name} here")
            continue
        rates = [median(one["samples_per_s"] for one in side) for side in (ours, plain)]
        ratio = median(a["samples_per_s"] / b["samples_per_s"] for a, b in zip(ours, plain, strict=True))
        reached = f"{ratio:.2f} ({rates[0]:.0f} / {rates[1]:.0f})"
        line(f"samples/s on the {name} / plain Trainer recipe", "≥ 2.0", reached)
        points = median(100 * (a["accuracy"] - b["accuracy"]) for a, b in zip(ours, plain, strict=True))
        line(f"… test accuracy, points above the recipe's ({name})", "≥ -0.5", f"{points:+.2f}")
        line(f"… test accuracy ({name})", "≥ 0.88", f"{median(one['accuracy'] for one in ours):.4f}")
    line("a job beside training, s", "≤ 10", f"{median(sum(one.values()) - one['training'] for one in phases):.1f}")
    line("… and beside evaluation, s", "≤ 15", f"{median(map(beside, phases)):.1f}")
    return "\n".join(lines)


def phase_table(phases: Phases) -> str:
    """Seconds of each phase of a whole job."""
    lines = ["| phase of a job | seconds |", "| --- | --- |"]
    for name in phases[0]:
        lines.append(f"| {name}{' (not counted)' if name in WORK else ''} | {_median(phases, name):.2f} |")
    return "\n".join(lines)


def beside(phases: dict[str, float]) -> float:
    """Seconds of one job that are neither training nor evaluation."""
    return sum(seconds for name, seconds in phases.items() if name not in WORK)


def _median(phases: Phases, name: str) -> float:
    return median(one[name] for one in phases)


def plot(readings: Readings, phases: Phases, file: Path) -> None:
    """Bars for the speed of both sides, and for what a job costs beside."""
    from matplotlib.figure import Figure  # noqa: PLC0415 - a second, only for the picture

    figure = Figure(figsize=(10, 3.6), layout="constrained")
    speed, cost = figure.subplots(1, 2)
    names = list(readings)[::-1]
    values = [median(one["samples_per_s"] for one in readings[name]) for name in names]
    colours = ["#3056d3" if name.startswith("ours") else "#98a2b3" for name in names]
    speed.bar_label(speed.barh(names, values, color=colours), fmt="%.0f", padding=3)
    speed.set_title("training, samples/s", fontsize=10)
    names = [name for name in phases[0] if name not in WORK][::-1]
    cost.bar_label(cost.barh(names, [_median(phases, name) for name in names], color="#3056d3"), fmt="%.1f", padding=3)
    cost.set_title("a job beside training and evaluation, s", fontsize=10)
    for axis in (speed, cost):
        axis.margins(x=0.15)
        axis.spines[["top", "right"]].set_visible(False)
    figure.savefig(file, dpi=120)
