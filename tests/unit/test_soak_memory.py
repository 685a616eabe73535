"""When the soak calls memory growing."""

from pathlib import Path

from tests.chaos import drill
from tests.soak.memory import Memory


def test_a_leak_is_told_and_a_warm_up_or_a_peak_is_not(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("PLATFORM_ID=x\n")
    memory = Memory(drill.Platform(tmp_path))
    mega = 1_000_000
    memory.seen["warm"] = [n * 10 * mega for n in range(30)] + [300 * mega] * 70
    memory.seen["busy"] = [(900 if n % 3 else 200) * mega for n in range(100)]
    memory.seen["leaks"] = [(100 + 3 * n) * mega for n in range(100)]
    assert [said.split()[0] for said in memory.grown()] == ["leaks"]
    assert "| busy | 200 | 200 | 900 |" in memory.table()
