"""Whole fleets in one process, on real sockets, with stubs for the registry and the models: what goes wrong when."""

import socket
import threading
import time
import weakref
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from werkzeug.serving import BaseWSGIServer, make_server

from model_endpoint.api import Server, create_app
from model_endpoint.errors import RegistryUnavailable, SwitchBusy, SwitchFailed
from model_endpoint.registry import Version
from model_endpoint.slot import Loaded
from model_runner import CannotServe
from tests.services import wait_until
from tests.unit.model_endpoint import stub

PATIENCE = 10


def reserve(port: int = 0) -> socket.socket:
    """A socket that has its port, and refuses connections until it listens."""
    made = socket.socket()
    made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    made.bind(("127.0.0.1", port))
    return made


class Fleet:
    """Replicas that have an address; each listens when it is started."""

    def __init__(self, folder: Path, count: int, **variables: str) -> None:
        self.registry = stub.Registry()
        doors = [reserve() for _ in range(count)]
        ports = [door.getsockname()[1] for door in doors]
        endpoints = ",".join(f"127.0.0.1:{port}" for port in ports)
        self.servers = [self._server(folder / str(port), port, endpoints, variables) for port in ports]
        self.doors = dict(zip(self.servers, doors, strict=True))
        self.listeners: dict[Server, tuple[BaseWSGIServer, threading.Thread]] = {}

    def _server(self, folder: Path, port: int, endpoints: str, variables: dict[str, str]) -> Server:
        own = {"MODEL_ENDPOINTS": endpoints, "MODEL_ENDPOINT_PORT": str(port), "MODEL_HOLD_SECONDS": "2"}
        server = Server(stub.settings(folder, **{**own, **variables}))
        server.replica.registry = self.registry  # type: ignore[assignment] # a stub
        server.replica._load = lambda version: Loaded(version, stub.Stub())  # type: ignore[method-assign] # a stub
        return server

    def listen(self, server: Server) -> None:
        app, door = create_app(server.settings, server), self.doors[server]
        door.listen()
        listener = make_server("127.0.0.1", server.settings.port, app, threaded=True, fd=door.fileno())
        thread = threading.Thread(target=listener.serve_forever, args=(0.02,))
        thread.start()
        self.listeners[server] = listener, thread

    def die(self, server: Server) -> None:
        listener, thread = self.listeners.pop(server)
        listener.shutdown()
        thread.join()
        listener.server_close()
        self.doors[server].close()
        self.doors[server] = reserve(server.settings.port)

    def start(self, *servers: Server) -> None:
        """Starts `servers`, or all; each joins the others."""
        for server in servers or self.servers:
            self.listen(server)
            server.follower._join()

    @property
    def versions(self) -> list[int | None]:
        return [server.replica.version for server in self.servers]


@pytest.fixture
def fleet(tmp_path: Path) -> Iterator[Callable[..., Fleet]]:
    made: list[Fleet] = []

    def build(count: int, **variables: str) -> Fleet:
        made.append(Fleet(tmp_path, count, **variables))
        return made[-1]

    yield build
    for one in made:
        for server in list(one.listeners):
            one.die(server)
        for door in one.doors.values():
            door.close()


def refuse(server: Server, reason: str) -> None:
    def load(version: Version) -> Loaded:
        raise CannotServe(reason)

    server.replica._load = load  # type: ignore[method-assign] # a stub


def wrap(owner: Any, name: str, before: Callable[[], None]) -> None:
    """Calls `before` before each call of the method `name` of `owner`."""
    method = getattr(owner, name)

    def wrapped(*arguments: Any) -> Any:
        before()
        return method(*arguments)

    setattr(owner, name, wrapped)


def test_the_one_who_sees_it_first_switches_all(fleet: Callable[..., Fleet]) -> None:
    made = fleet(3)
    made.start()
    made.registry.crowned = 2
    made.servers[1].follower.step()
    assert made.versions == [2, 2, 2]
    assert {server.replica.slot.epoch for server in made.servers} == {2}


def test_after_twenty_switches_each_replica_has_one_model(fleet: Callable[..., Fleet]) -> None:
    made = fleet(2)
    made.start()
    alive: weakref.WeakSet[stub.Stub] = weakref.WeakSet()

    def load(version: Version) -> Loaded:
        model = stub.Stub()
        alive.add(model)
        return Loaded(version, model)

    for server in made.servers:
        server.replica._load = load  # type: ignore[method-assign] # a stub
    for number in range(2, 22):
        made.registry.crowned = number
        made.servers[number % 2].follower.step()
    assert made.versions == [21, 21]
    wait_until("what was served before is freed", lambda: len(alive) == 2, PATIENCE, 0.05)


def test_one_that_cannot_prepare_keeps_all_and_no_memory_is_kept(fleet: Callable[..., Fleet]) -> None:
    made = fleet(3)
    made.start()
    refuse(made.servers[2], "It is no text classifier.")
    made.registry.crowned = 2
    with pytest.raises(SwitchFailed, match="no text classifier"):
        made.servers[0].fleet.change(lambda: 2)
    assert made.versions == [1, 1, 1]
    assert [server.replica.slot.prepared for server in made.servers] == [None] * 3


def test_a_version_that_failed_is_not_tried_at_every_look(fleet: Callable[..., Fleet]) -> None:
    made = fleet(2)
    made.start()
    refuse(made.servers[1], "It is no text classifier.")
    made.registry.crowned = 2
    loads: list[int] = []
    wrap(made.servers[0].replica, "_load", lambda: loads.append(1))
    for _ in range(3):
        with pytest.raises(SwitchFailed, match="no text classifier"):
            made.servers[0].follower.step()
    assert len(loads) == 1
    made.registry.crowned = 1
    made.servers[0].follower.step()
    assert made.servers[0].replica.confirm(made.registry.champion("text-classifier", ""))


def test_a_replica_that_hangs_stops_the_switch_soon(
    fleet: Callable[..., Fleet], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("model_endpoint.fleet.LOOK_SECONDS", 0.3)
    made = fleet(3)
    made.start(*made.servers[:2])
    made.doors[made.servers[2]].listen()
    start = time.monotonic()
    with pytest.raises(SwitchFailed, match=f"{made.servers[2].settings.port} failed at /models: ReadTimeout"):
        made.servers[0].fleet.change(lambda: 2)
    assert time.monotonic() - start < PATIENCE
    assert made.versions[:2] == [1, 1]
    assert not any(server.replica.slot.held for server in made.servers)


def test_a_replica_that_dies_between_hold_and_commit_is_left_out_and_joins_later(fleet: Callable[..., Fleet]) -> None:
    made = fleet(3)
    made.start()
    dying = made.servers[2]
    wrap(made.servers[0].fleet, "_refuse_latecomers", lambda: made.die(dying))
    told = made.servers[0].fleet.change(lambda: 2)
    assert len(told["replicas"]) == 2 and made.versions == [2, 2, 1]
    dying.replica.slot.current = None  # it starts again, with nothing loaded
    made.start(dying)
    assert made.versions == [2, 2, 2]


def test_a_replica_that_comes_up_during_a_switch_takes_part(fleet: Callable[..., Fleet]) -> None:
    made = fleet(3)
    first, second, late = made.servers
    made.start(first, second)
    # It comes up when the others are prepared, and has joined them before they are held.
    wrap(second.replica, "prepare", lambda: None if late in made.listeners else made.start(late))
    told = first.fleet.change(lambda: 2)
    assert len(told["replicas"]) == 3 and made.versions == [2, 2, 2]


def test_nobody_joins_while_others_are_held(fleet: Callable[..., Fleet]) -> None:
    made = fleet(2)
    first, late = made.servers
    made.start(first)
    first.replica.prepare(2)
    first.replica.slot.hold(2, 2, "leader")
    with ThreadPoolExecutor(1) as pool:
        joining = pool.submit(made.start, late)
        wait_until("it listens", lambda: late in made.listeners, PATIENCE, 0.01)
        time.sleep(0.2)  # time in which it could go wrong
        assert late.replica.version is None
        first.replica.slot.commit(2, 2, "leader")
        joining.result(PATIENCE)
    assert made.versions == [2, 2]


def test_of_two_leaders_each_is_served_and_the_last_alias_wins(fleet: Callable[..., Fleet]) -> None:
    made = fleet(3)
    made.start()
    seen: list[list[int | None]] = []
    with ThreadPoolExecutor(2) as pool:
        for number in range(2, 8):
            made.registry.crowned = number
            changes = [
                pool.submit(server.fleet.change, lambda: int(made.registry.crowned or 0)) for server in made.servers[:2]
            ]
            for change in changes:
                change.result(PATIENCE * 2)
            seen.append(made.versions)
    assert seen == [[number] * 3 for number in range(2, 8)]


def test_leaders_of_different_versions_never_leave_a_mixed_fleet(fleet: Callable[..., Fleet]) -> None:
    made = fleet(3)
    made.start()
    with ThreadPoolExecutor(2) as pool:
        for even in (2, 4, 6):
            changes = [
                pool.submit(server.fleet.change, partial(int, number))
                for server, number in zip(made.servers, (even, even + 1), strict=False)
            ]
            for change in changes:
                change.result(PATIENCE * 3)
            assert len(set(made.versions)) == 1, made.versions


def test_a_leader_that_held_too_long_releases_instead_of_committing(
    fleet: Callable[..., Fleet], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("model_endpoint.fleet.COMMIT_SECONDS", 0)
    made = fleet(2, MODEL_HOLD_SECONDS="0.1")
    made.start()
    wrap(made.servers[0].fleet, "_refuse_latecomers", lambda: time.sleep(0.15))
    with pytest.raises(SwitchBusy, match="gate opened"):
        made.servers[0].fleet.change(lambda: 2)
    assert made.versions == [1, 1]


def test_an_alias_that_is_moved_and_moved_back_ends_where_it_is(fleet: Callable[..., Fleet]) -> None:
    made = fleet(2)
    made.start()
    asked = iter([2])
    told = made.servers[0].fleet.change(lambda: next(asked))
    assert told["version"] == 2 and made.registry.crowned == 1
    for server in made.servers:
        server.follower.step()
    assert made.versions == [1, 1]


def test_a_retry_asks_the_alias_again(fleet: Callable[..., Fleet]) -> None:
    made = fleet(2)
    made.start()
    first, second = made.servers
    second.replica.prepare(2)
    second.replica.slot.hold(2, 2, "a leader that is gone")
    numbers = iter([2, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3])
    assert first.fleet.change(lambda: next(numbers))["version"] == 3
    assert made.versions == [3, 3]


def test_without_a_registry_a_replica_joins_with_no_other_version_than_the_fleet_has(
    fleet: Callable[..., Fleet],
) -> None:
    made = fleet(2)
    first, away = made.servers
    made.start()
    wait_until("its state is stored", lambda: bool(away.replica._state()), PATIENCE, 0.01)
    made.die(away)
    away.replica.slot.current = None
    first.fleet.change(lambda: 2)
    made.registry.crowned = None
    made.listen(away)
    with pytest.raises(RegistryUnavailable):
        away.follower.step()
    assert away.replica.version is None
    made.die(first)
    with pytest.raises(RegistryUnavailable):  # it serves all the same, and cannot ask for the alias
        away.follower.step()
    assert away.replica.version == 1 and away.replica.from_cache


def test_an_unknown_name_is_no_fleet_of_one(tmp_path: Path) -> None:
    alone = Server(stub.settings(tmp_path, MODEL_ENDPOINTS="no-such-host.invalid:9998"))
    with pytest.raises(SwitchFailed, match=r"No replica answers at no-such-host"):
        alone.fleet.change(lambda: 2)
