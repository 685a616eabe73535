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


def test_a_processor_is_told_by_what_it_computes_with_and_not_by_its_clock(tmp_path: Path) -> None:
    told = tmp_path / "cpuinfo"
    text = "processor : {}\nmodel name : X\ncpu MHz : {}\nflags : {}\n"
    told.write_text(text.format(0, 2000, "avx2") + text.format(1, 2100, "avx2"))
    first = machine.processor(told)
    told.write_text(text.format(0, 1900, "avx2"))
    assert machine.processor(told) == first and len(first) == 2
    told.write_text(text.format(0, 1900, "avx2 avx512_vnni"))
    assert machine.processor(told) != first
    assert machine.processor(tmp_path / "none") == []
