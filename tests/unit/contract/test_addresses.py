"""Where the replicas are."""

from pathlib import Path

from mlops_contract.addresses import resolve, split


def test_a_file_is_read_each_time(tmp_path: Path) -> None:
    file = tmp_path / "replicas, all"
    endpoints = split(f"@{file}")
    assert resolve(endpoints) == []
    file.write_text("127.0.0.1:2\n127.0.0.1:1\n")
    assert resolve(endpoints) == ["127.0.0.1:1", "127.0.0.1:2"]
    file.write_text("127.0.0.1:3\n")
    assert resolve(endpoints) == ["127.0.0.1:3"]


def test_names_and_addresses_may_stand_side_by_side() -> None:
    assert resolve(split("127.0.0.1:2, 127.0.0.1:1,")) == ["127.0.0.1:1", "127.0.0.1:2"]
    assert resolve(split("no-such-host.invalid:1,127.0.0.1:x")) == []
