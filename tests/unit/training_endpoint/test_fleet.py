"""Whole fleets in one process, on real sockets, with stubs for the models: what goes wrong when."""

import threading
import time
import weakref
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from mlops_contract.voucher import Voucher
from model_endpoint.server import Server
from model_endpoint.slot import Loaded
from model_runner import CannotServe
from tests import training
from tests.replicas import Fleet
from tests.services import wait_until
from tests.unit.model_endpoint import stub
from training_endpoint.errors import SwitchBusy, SwitchFailed
from training_endpoint.release import fleet as fleets
from training_endpoint.release import loans, visits

PATIENCE = 10


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
    def load(voucher: Voucher) -> Loaded:
        raise CannotServe(reason)

    server.replica._load = load  # type: ignore[method-assign] # a stub


def wrap(owner: Any, name: str, before: Callable[[], None]) -> None:
    """Calls `before` before each call of the method `name` of `owner`."""
    method = getattr(owner, name)

    def wrapped(*arguments: Any) -> Any:
        before()
        return method(*arguments)

    setattr(owner, name, wrapped)


def test_all_are_switched_together(fleet: Callable[..., Fleet]) -> None:
    made = fleet(3)
    made.first()
    told = made.change(2)
    assert made.versions == [2, 2, 2]
    assert {server.replica.slot.epoch for server in made.servers} == {2}
    assert [one["previous_version"] for one in told["replicas"]] == [1, 1, 1]


def test_after_twenty_switches_each_replica_has_one_model(fleet: Callable[..., Fleet]) -> None:
    made = fleet(2)
    made.first()
    alive: weakref.WeakSet[stub.Stub] = weakref.WeakSet()

    def load(voucher: Voucher) -> Loaded:
        model = stub.Stub()
        alive.add(model)
        return Loaded(voucher, model)

    for server in made.servers:
        server.replica._load = load  # type: ignore[method-assign] # a stub
    for number in range(2, 22):
        made.change(number, number % 2)
    assert made.versions == [21, 21]
    wait_until("what was served before is freed", lambda: len(alive) == 2, PATIENCE, 0.05)


def test_one_that_cannot_prepare_keeps_all_and_no_memory_is_kept(fleet: Callable[..., Fleet]) -> None:
    made = fleet(3)
    made.first()
    refuse(made.servers[2], "It is no text classifier.")
    with pytest.raises(SwitchFailed, match="no text classifier"):
        made.change(2)
    assert made.versions == [1, 1, 1]
    assert [server.replica.slot.prepared for server in made.servers] == [None] * 3


def test_a_replica_that_hangs_is_left_out_once_it_may_not_answer_any_more(
    fleet: Callable[..., Fleet], monkeypatch: pytest.MonkeyPatch
) -> None:
    made = fleet(3)
    made.start(*made.servers[:2])
    made.change(1)
    monkeypatch.setattr(fleets, "LOOK_SECONDS", 0.3)
    monkeypatch.setattr(loans, "LENT_SECONDS", 3.0)
    began = made.leaders[0].loans._began
    made.doors[made.servers[2]].listen()
    told = made.change(2)
    assert time.monotonic() - began >= 3.0, "what an earlier desk may have lent has not run out"
    assert len(told["replicas"]) == 2 and made.versions[:2] == [2, 2]
    assert not any(server.replica.slot.held for server in made.servers)


def test_a_replica_that_falls_silent_while_it_prepares_does_not_hold_up_the_others(
    fleet: Callable[..., Fleet], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(visits, "BEAT_SECONDS", 0.2)
    monkeypatch.setattr(loans, "SILENT_SECONDS", 2.0)
    monkeypatch.setattr(loans, "LENT_SECONDS", 3.0)
    monkeypatch.setattr(fleets, "LOOK_SECONDS", 1.0)
    made = fleet(3)
    made.first()
    hung = made.servers[2]
    leader, over = made.leaders[0], threading.Event()
    leader.start()

    def hang() -> None:
        for asked in ("describe", "lent"):
            monkeypatch.setattr(hung.replica, asked, lambda *_: over.wait())  # whoever asks it waits
        over.wait(PATIENCE * 3)

    wrap(hung.replica, "prepare", hang)
    try:
        start = time.monotonic()
        told = made.change(2)
        assert time.monotonic() - start < 2 * PATIENCE, "it hangs for three times as long"
    finally:
        over.set()
        leader.stop()
    assert len(told["replicas"]) == 2 and made.versions == [2, 2, 1]


def test_a_replica_that_dies_between_hold_and_commit_is_left_out_and_joins_later(fleet: Callable[..., Fleet]) -> None:
    made = fleet(3)
    made.first()
    dying = made.servers[2]
    wrap(made.leaders[0], "_refuse_latecomers", lambda: made.die(dying))
    told = made.change(2)
    assert len(told["replicas"]) == 2 and made.versions == [2, 2, 1]
    dying.replica.slot.current = None  # it starts again, with nothing loaded
    made.start(dying)
    assert made.versions == [2, 2, 2]


def test_a_replica_that_comes_up_during_a_switch_takes_part(fleet: Callable[..., Fleet]) -> None:
    made = fleet(3)
    first, second, late = made.servers
    made.start(first, second)
    made.change(1)
    # It comes up when the others are prepared, and has joined them before they are held.
    wrap(second.replica, "prepare", lambda: None if late in made.listeners else made.start(late))
    told = made.change(2)
    assert len(told["replicas"]) == 3 and made.versions == [2, 2, 2]


def test_nobody_joins_while_others_are_held(fleet: Callable[..., Fleet]) -> None:
    made = fleet(2)
    first, late = made.servers
    made.start(first)
    made.change(1)
    first.replica.prepare(stub.voucher(2))
    first.replica.slot.hold(2, 2, "leader")
    with ThreadPoolExecutor(1) as pool:
        joining = pool.submit(made.start, late)
        wait_until("it listens", lambda: late in made.listeners, PATIENCE, 0.01)
        time.sleep(0.2)  # time in which it could go wrong
        assert late.replica.version is None
        first.replica.slot.commit(2, 2, "leader")
        joining.result(PATIENCE)
    assert made.versions == [2, 2]


def test_of_two_leaders_each_is_served_and_the_newest_decision_wins(fleet: Callable[..., Fleet]) -> None:
    made = fleet(3)
    made.first()
    seen: list[list[int | None]] = []
    decided = 1
    with ThreadPoolExecutor(2) as pool:
        for decided in range(2, 8):
            wanted = partial(stub.voucher, decided)
            for change in [pool.submit(leader.change, wanted) for leader in made.leaders]:
                change.result(PATIENCE * 2)
            seen.append(made.versions)
    assert seen == [[number] * 3 for number in range(2, 8)]


def test_leaders_of_different_versions_never_leave_a_mixed_fleet(fleet: Callable[..., Fleet]) -> None:
    made = fleet(3)
    made.first()
    with ThreadPoolExecutor(2) as pool:
        for even in (2, 4, 6):
            changes = [pool.submit(made.change, even + leader, leader) for leader in (0, 1)]
            for change in changes:
                change.result(PATIENCE * 3)
            assert len(set(made.versions)) == 1, made.versions


def test_a_leader_that_held_too_long_releases_instead_of_committing(
    fleet: Callable[..., Fleet], monkeypatch: pytest.MonkeyPatch
) -> None:
    made = fleet(2, MODEL_HOLD_SECONDS="0.1")
    made.first()
    monkeypatch.setattr(fleets, "RETRIES_SECONDS", 0)
    wrap(made.leaders[0], "_refuse_latecomers", lambda: time.sleep(0.15))
    with pytest.raises(SwitchBusy, match="gate opened"):
        made.change(2)
    assert made.versions == [1, 1]


def test_a_retry_asks_the_ledger_again(fleet: Callable[..., Fleet]) -> None:
    made = fleet(2)
    made.first()
    second = made.servers[1]
    second.replica.prepare(stub.voucher(2))
    second.replica.slot.hold(2, 2, "a leader that is gone")
    numbers = iter([2, *[3] * 50])
    assert made.leaders[0].change(lambda: stub.voucher(next(numbers)))["version"] == 3
    assert made.versions == [3, 3]


def test_a_replica_joins_with_no_other_version_than_the_fleet_has(fleet: Callable[..., Fleet]) -> None:
    made = fleet(2)
    first, away = made.servers
    made.first()
    wait_until("it remembers", lambda: away.replica.memory.voucher() is not None, PATIENCE, 0.01)
    made.die(away)
    away.replica.slot.current = None
    made.change(2)
    wait_until("the other remembers", lambda: first.replica.memory.voucher() == stub.voucher(2), PATIENCE, 0.01)
    made.start(away)
    assert away.replica.version == 2


def test_a_replica_alone_serves_what_it_served_last_whatever_else_is_dead(fleet: Callable[..., Fleet]) -> None:
    made = fleet(2)
    first, away = made.servers
    made.first()
    wait_until("it remembers", lambda: away.replica.memory.voucher() is not None, PATIENCE, 0.01)
    for one in (first, away):
        made.die(one)
    away.replica.slot.current = None
    made.start(away)
    assert away.replica.version == 1


def test_an_unknown_name_is_no_fleet_of_one(tmp_path: Path) -> None:
    alone = fleets.Fleet(training.settings("", tmp_path, MODEL_ENDPOINTS="no-such-host.invalid:9998"))
    with pytest.raises(SwitchFailed, match=r"No replica answers at no-such-host"):
        alone.change(lambda: stub.voucher(2))


def test_replicas_of_a_release_before_vouchers_answer_beside_the_new_ones(fleet: Callable[..., Fleet]) -> None:
    made = fleet(3)
    old, *new = made.servers
    told = {"replica": "old", "version": 1, "run_id": "r", "epoch": 7, "held": False, "switches": []}
    old.replica.describe = lambda: told  # type: ignore[method-assign] # as that release says it
    made.listen(old)
    made.start(*new)
    assert [len(leader.look()) for leader in made.leaders] == [2, 2]
    assert len(made.change(2)["replicas"]) == 2
    assert [server.replica.version for server in new] == [2, 2]
    new[0].joiner.beat()
