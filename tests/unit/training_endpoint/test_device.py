from pathlib import Path

from training_endpoint.learn import device


def test_bf16_is_used_only_where_the_processor_has_it(tmp_path: Path) -> None:
    cpuinfo = tmp_path / "cpuinfo"
    for text, expected in (
        ("processor : 0\nflags : fpu avx2 avx512f avx512_bf16\n", True),
        ("flags\t\t: fpu avx2 avx512f avx512_vnni\n", False),
        ("Features : fp asimd bf16 i8mm\n", True),
        ("", False),
    ):
        cpuinfo.write_text(text)
        assert device.cpu_has_bf16(cpuinfo) is expected, text
    assert device.cpu_has_bf16(tmp_path / "none") is False
