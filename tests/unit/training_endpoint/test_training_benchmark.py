"""What the benchmark of training says of whole jobs."""

import pytest

from benchmarks.training import report
from benchmarks.training.job import PHASES


def test_what_a_job_costs_beside_training_has_evaluating_in_it() -> None:
    phases = {**dict.fromkeys(PHASES, 0.5), "training": 100.0, "evaluating": 3.0}
    lines = [line.split("|")[1:4] for line in report.table({}, [phases]).splitlines()]
    found = [(wanted.strip(), float(reached)) for what, wanted, reached in lines if "beside" in what]
    others = 0.5 * (len(PHASES) - 2)
    assert [wanted for wanted, _ in found] == ["≤ 10", "≤ 15"]
    assert [reached for _, reached in found] == pytest.approx([others + 3.0, others])
