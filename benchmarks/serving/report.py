"""Readings become a table of medians and a plot."""

from collections.abc import Callable
from pathlib import Path
from statistics import median

from benchmarks.serving.ours import Switching

LIMIT = "in process"
Readings = dict[str, list[dict[str, float]]]
COLUMNS = [
    ("one32", "1 text, 32 connections: requests/s", "{:.0f}"),
    ("one8", "8 connections: requests/s", "{:.0f}"),
    ("p50_8", "p50 ms", "{:.1f}"),
    ("p99_8", "p99 ms", "{:.1f}"),
    ("p50_1", "1 connection: p50 ms", "{:.1f}"),
    ("many", "32 texts, 4 connections: texts/s", "{:.0f}"),
    ("failed", "failed", "{:.0f}"),
    ("memory", "one replica: MB", "{:.0f}"),
]


def table(readings: Readings) -> str:
    """Medians over the rounds, one line for each system."""
    lines = ["| system | " + " | ".join(title for _, title, _ in COLUMNS) + " |", "| --- " * (len(COLUMNS) + 1) + "|"]
    for name, rounds in readings.items():
        cells = [
            form.format(median(one[key] for one in rounds)) if key in rounds[0] else "–" for key, _, form in COLUMNS
        ]
        lines.append(f"| {name} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def goals(readings: Readings, switching: Switching | None) -> str:
    """What is asked for and what is reached; of comparisons the medians of the ratios within each round."""
    others = [name for name in readings if name not in ("ours", LIMIT, "old", "mlflow", "mlserver fp32")]
    lines = ["| what | wanted | reached |", "| --- | --- | --- |"]

    def line(
        what: str,
        wanted: str,
        against: list[str],
        ratio: Callable[[dict[str, float], float], float],
        *,
        key: str,
        best: Callable[[list[float]], float] = max,
    ) -> None:
        if all(name in readings for name in against) and against and "ours" in readings:
            rounds = zip(readings["ours"], *(readings[name] for name in against), strict=True)
            found = median(ratio(ours, best([one[key] for one in rest])) for ours, *rest in rounds)
            lines.append(f"| {what} | {wanted} | {found:.2f} |")

    line("1 text, 32 connections / old design", "≥ 6", ["old"], lambda a, b: a["one32"] / b, key="one32")
    line("… / mlflow models serve", "≥ 10", ["mlflow"], lambda a, b: a["one32"] / b, key="one32")
    line("… / best other peer", "≥ 1.2", others, lambda a, b: a["one32"] / b, key="one32")
    line("… / MLServer, the same file", "≥ 1.3", ["mlserver"], lambda a, b: a["one32"] / b, key="one32")
    line("… / MLServer, fp32", "≥ 2.5", ["mlserver fp32"], lambda a, b: a["one32"] / b, key="one32")
    line("… / in process", "≥ 0.85", [LIMIT], lambda a, b: a["one32"] / b, key="one32")
    line("1 connection, p50 / best peer", "≤ 0.7", others, lambda a, b: a["p50_1"] / b, key="p50_1", best=min)
    line("32 texts / in process", "≥ 1.0", [LIMIT], lambda a, b: a["many"] / b, key="many")
    line("32 texts / best other peer", "≥ 1.8", others, lambda a, b: a["many"] / b, key="many")
    line("8 connections, p99 / p50", "≤ 3", ["ours"], lambda a, _: a["p99_8"] / a["p50_8"], key="p50_8")
    line("memory of one replica, MB", "< 350", ["ours"], lambda a, _: a["memory"], key="memory")
    return "\n".join([*lines, *(_switching_goals(switching) if switching else [])])


def _switching_goals(seen: Switching) -> list[str]:
    calm = (seen.before.p99 + seen.after.p99) / 2
    memory = f"{seen.memory[0]:.0f}, then {min(seen.memory[1:]):.0f} to {max(seen.memory[1:]):.0f}"
    found = [
        (f"memory over {seen.count} switches, MB", "flat, < 350", memory),
        (f"requests during {seen.count} switches", "≥ 10,000", f"{seen.during.requests}"),
        ("… failed", "0", f"{seen.during.failed}"),
        ("… p99 / p99 without switches", "≤ 2", f"{seen.during.p99 / calm:.2f}"),
    ]
    return [f"| {what} | {wanted} | {reached} |" for what, wanted, reached in found]


def switching_table(seen: Switching) -> str:
    """The loads with and without switches."""
    lines = ["| load at 32 connections | requests | failed | requests/s | p50 ms | p99 ms | longest ms |"]
    lines.append("| --- " * 7 + "|")
    for name, one in (("before", seen.before), (f"{seen.count} switches", seen.during), ("after", seen.after)):
        times = " | ".join(f"{1000 * seconds:.1f}" for seconds in (one.p50, one.p99, one.longest))
        lines.append(f"| {name} | {one.requests} | {one.failed} | {one.rate:.0f} | {times} |")
    lines.append(f"\nOne switch: median {median(seen.switch_seconds):.2f} s, longest {max(seen.switch_seconds):.2f} s.")
    return "\n".join(lines)


def plot(readings: Readings, file: Path) -> None:
    """Bars for the two throughputs."""
    import matplotlib  # noqa: PLC0415 - a second, only for the picture

    matplotlib.use("agg")
    import matplotlib.pyplot as plt  # noqa: PLC0415

    figure, axes = plt.subplots(1, 2, figsize=(10, 0.5 * len(readings) + 1.5), sharey=True)
    names = list(readings)[::-1]
    titles = {"one32": "one text a request, 32 connections\nrequests/s", "many": "32 texts a request\ntexts/s"}
    for axis, (key, title) in zip(axes, titles.items(), strict=True):
        values = [median(one[key] for one in readings[name]) for name in names]
        colours = ["#3056d3" if name == "ours" else "#98a2b3" if name == LIMIT else "#c7d3fb" for name in names]
        axis.bar_label(axis.barh(names, values, color=colours), fmt="%.0f", padding=3)
        axis.set_title(title, fontsize=10)
        axis.margins(x=0.15)
        axis.spines[["top", "right"]].set_visible(False)
    figure.tight_layout()
    figure.savefig(file, dpi=120)
