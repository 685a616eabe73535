import os
from pathlib import Path

from model_runner import machine


def test_cores_are_those_of_the_quota_and_at_least_one(tmp_path: Path) -> None:
    allowed = len(os.sched_getaffinity(0))
    quota = tmp_path / "cpu.max"
    assert machine.cores(quota) == allowed
    for text, expected in (
        ("max 100000", allowed),
        ("100000 100000", 1),
        ("50000 100000", 1),
        ("9900000 100000", allowed),
    ):
        quota.write_text(text)
        assert machine.cores(quota) == expected, text


def test_full_range_int8_needs_a_processor_that_adds_up_in_32_bits(tmp_path: Path) -> None:
    cpuinfo = tmp_path / "cpuinfo"
    for text, expected in (
        ("processor : 0\nflags : fpu avx2 avx512f avx512_vnni\n", {"vnni"}),
        ("flags : fpu avx2 avx_vnni\n", {"vnni"}),
        ("flags\t\t: fpu avx2 avx512f\n", set()),
        ("Features : fp asimd asimddp\n", {"vnni"}),
        ("", set()),
    ):
        cpuinfo.write_text(text)
        assert machine.features(cpuinfo) == expected, text
    assert machine.features(tmp_path / "none") == set()
