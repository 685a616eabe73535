"""A platform that answers is launched again, with another setting, scale or token: no request fails."""

import secrets

import pytest

from tests.chaos.drill import CONNECTIONS, Load
from tests.e2e.platform import Platform

pytestmark = pytest.mark.timeout(1200)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("MODEL_REPLICAS", "4"),
        ("MODEL_REPLICAS", "1"),
        ("MODEL_MAX_TEXTS", "500"),
        ("PLATFORM_TOKEN", ""),
        ("MODEL_REPLICAS", "2"),
    ],
)
def test_a_launch_with_another_setting_costs_no_request(platform: Platform, name: str, value: str) -> None:
    value = value or secrets.token_hex(32)
    file = platform.folder / ".env"
    kept = [line for line in file.read_text().splitlines() if not line.startswith(f"{name}=")]
    file.write_text("\n".join([*kept, f"{name}={value}"]) + "\n")
    before = set(platform.versions_by_replica())
    load = Load(platform.url("NGINX_PORT", "/predict"), CONNECTIONS)
    try:
        platform.launch()
    finally:
        load.end()
    failed = [one for one in load.seen if not one[2]]
    assert load.seen and not failed, f"{len(failed)} of {len(load.seen)} failed: {load.why.most_common(3)}"
    after = set(platform.versions_by_replica())
    if name == "MODEL_REPLICAS":
        assert len(after) == int(value)
        assert len(before & after) == min(len(before), len(after)), "those that stay were started again"
