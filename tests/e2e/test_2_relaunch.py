"""A platform that answers is launched again, with another setting, scale or token: no request fails."""

import secrets
import subprocess

import pytest

from tests.e2e.platform import Platform, set_env
from tests.load import Load
from tests.services import wait_until

pytestmark = pytest.mark.timeout(1200)

CONNECTIONS = 8


def asked(platform: Platform, count: int) -> set[str]:
    """The names of the replicas, once nginx asks so many: it leaves one alone for 5 s that has refused a connection."""
    wait_until(f"{count} replicas are asked", lambda: len(platform.versions_by_replica()) == count, 20)
    return set(platform.versions_by_replica())


def launch_with(platform: Platform, **settings: str) -> None:
    """Writes settings into .env and launches under load."""
    set_env(platform.folder, **settings)
    under_load(platform)


def under_load(platform: Platform, *command: str) -> None:
    """`sh launch.sh COMMAND`, of which no client notices anything."""
    with Load(platform.url("NGINX_PORT", "/predict"), CONNECTIONS) as load:
        platform.launch(*command)
    failed = [one for one in load.seen if not one[2]]
    assert load.seen and not failed, f"{len(failed)} of {len(load.seen)} failed: {load.why.most_common(3)}"


def door_process(platform: Platform) -> str:
    """Which nginx it is: another one after it was started anew."""
    if platform.mode == "docker":
        style = "{{.Id}} {{.State.StartedAt}}"
        command = ["docker", "inspect", "--format", style, f"{platform.prefix}nginx-nginx-1"]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout
    return (platform.folder / ".platform/data/nginx/nginx.pid").read_text()


def test_another_setting_scale_and_token_cost_no_request(platform: Platform) -> None:
    wanted = {"MODEL_REPLICAS": "3", "MODEL_MAX_TEXTS": "500", "PLATFORM_TOKEN": secrets.token_hex(32)}
    before = asked(platform, 2)
    launch_with(platform, **wanted)
    assert asked(platform, 3) - before


def test_scaling_leaves_those_alone_that_stay(platform: Platform) -> None:
    before = asked(platform, 3)
    launch_with(platform, MODEL_REPLICAS="2")
    assert asked(platform, 2) < before


def test_another_setting_of_the_door_is_read_by_the_nginx_that_runs(platform: Platform) -> None:
    before = door_process(platform)
    launch_with(platform, NGINX_MAX_BODY="2k", NGINX_RATE="6000r/s")
    assert platform.status_of("/predict", "POST", b"x" * 3000) == 413
    assert door_process(platform) == before, "nginx was started anew"


def test_rotated_secrets_cost_no_request(platform: Platform) -> None:
    token = platform.setting("PLATFORM_TOKEN")
    under_load(platform, "rotate")
    assert platform.setting("PLATFORM_TOKEN") != token
