"""Readings become a table of what is wanted and what is reached.

Medians of all readings; a ratio is the median of the ratios between readings taken one right after the other.
"""

from statistics import median

from benchmarks.trigger import old
from benchmarks.trigger.delivery import BURST
from benchmarks.trigger.load import CLIENTS, COPIED_ROWS

Reading = dict[str, float]
Readings = dict[str, list[Reading]]
"""What was measured -> each time it was; none where it could not be."""


def table(readings: Readings, airflow: str) -> str:
    """One line for each figure; `airflow` is the one that the latency was measured with."""
    lines = ["| what | wanted | reached | from |", "| --- | --- | --- | --- |"]

    def line(what: str, wanted: str, reached: str, source: str) -> None:
        lines.append(f"| {what} | {wanted} | {reached} | {source} |")

    def ratio(part: str, what: str, wanted: str, kinds: tuple[str, str], form: str = "{:,.0f} commits/s") -> None:
        if taken := readings.get(part):
            above, below = kinds
            found = median(one[above] / one[below] for one in taken)
            line(
                what,
                wanted,
                f"{found:.2f}",
                " / ".join(form.format(median(one[kind] for one in taken)) for kind in kinds),
            )

    against_plain = ("watched", "plain")
    ratio("copy", f"COPY of {COPIED_ROWS:,} rows, with / without", "≤ 1.03", against_plain, "{:.3f} s")
    ratio("insert", f"one-row INSERTs, {CLIENTS} clients, with / without", "≥ 0.85", against_plain)
    ratio("relay", "the same, Airflow down / up, no error", "no difference", ("down", "up"))
    ratio("old", "the same with the old per-row HTTP trigger / without", "–", against_plain)
    if readings.get("old") == []:
        line("the old per-row HTTP trigger", "–", "–", old.MISSING)
    if taken := readings.get("old down"):
        failed = sum(one["failed"] for one in taken)
        line(
            "inserts that fail with the old trigger, Airflow down",
            "–",
            f"{failed:.0f}",
            f"of {old.ATTEMPTS * len(taken)}",
        )
    if taken := readings.get("burst"):
        runs = max(one["runs"] for one in taken)
        line(
            f"runs for {BURST:,} one-row transactions in a burst",
            "≤ 2",
            f"{runs:.0f}",
            f"the most of {len(taken)} bursts",
        )
    if taken := readings.get("latency"):
        found = [one["seconds"] for one in taken]
        reached, longest = f"{median(found):.3f} s", f"{airflow}; the longest of {len(found)}: {max(found):.3f} s"
        line("commit to accepted run, beyond the debounce", "< 0.3 s", reached, longest)
    return "\n".join(lines)
