import time

import pytest

from training_endpoint.clock import Clock


def test_each_second_belongs_to_one_phase(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [0.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])

    def passes(seconds: float) -> None:
        now[0] += seconds

    clock = Clock({"starting": 0.5})
    with clock("exporting"):
        passes(1)
        for _ in range(2):
            with clock("evaluating"):
                passes(10)
                with clock("comparing"):
                    passes(100)
            passes(2)
    with clock("evaluating"):
        passes(1000)
    assert clock.seconds == {"starting": 0.5, "exporting": 5, "evaluating": 1020, "comparing": 200}
