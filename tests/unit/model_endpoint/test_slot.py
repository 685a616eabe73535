import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from model_endpoint.errors import NoModel, NotPrepared, StaleEpoch, SwitchBusy
from model_endpoint.slot import Loaded, Slot
from tests.unit.model_endpoint.stub import loaded


def slot(hold_seconds: float = 30) -> Slot:
    """Serves version 1, has version 2 prepared."""
    made = Slot(8, hold_seconds)
    made.offer(loaded(1))
    made.commit(1, 1, "leader")
    made.offer(loaded(2))
    return made


def number(found: Loaded) -> int:
    return found.version.version


def test_without_a_model_there_is_no_answer() -> None:
    with pytest.raises(NoModel, match="run the pipeline"):
        Slot(1, 1).run(number, [])


def test_only_the_prepared_version_can_be_committed() -> None:
    for move in (Slot.hold, Slot.commit):
        made = slot()
        with pytest.raises(NotPrepared):
            move(made, 3, 2, "leader")
        assert not made.held and made.run(number, []) == 1


def test_a_late_hold_and_a_late_commit_are_refused() -> None:
    made = slot()
    with pytest.raises(StaleEpoch):
        made.hold(2, 1, "leader")
    with pytest.raises(StaleEpoch):
        made.commit(2, 1, "leader")
    assert made.run(number, []) == 1


def test_a_second_switch_is_kept_out_while_the_first_holds() -> None:
    made = slot()
    made.hold(2, 2, "leader")
    with pytest.raises(SwitchBusy):
        made.hold(2, 2, "another")
    with pytest.raises(SwitchBusy):
        made.commit(2, 3, "another")
    with pytest.raises(SwitchBusy):
        made.offer(loaded(3))
    made.release("another")
    made.withdraw(2)
    assert made.held
    made.commit(2, 2, "leader")
    assert made.run(number, []) == 2


def test_requests_wait_at_the_gate_and_get_the_new_version() -> None:
    made = slot()
    made.hold(2, 2, "leader")
    with ThreadPoolExecutor(4) as pool:
        waiting = [pool.submit(made.run, number, []) for _ in range(4)]
        assert not any(one.done() for one in waiting)
        made.commit(2, 2, "leader")
        assert [one.result() for one in waiting] == [2, 2, 2, 2]


def test_a_released_gate_opens_to_the_old_version() -> None:
    made = slot()
    made.hold(2, 2, "leader")
    made.release("leader")
    assert made.run(number, []) == 1


def test_what_will_not_be_committed_is_given_up() -> None:
    made = slot()
    made.withdraw(1)
    assert made.prepared
    made.withdraw(2)
    assert made.prepared is None


def test_a_forgotten_hold_ends_by_itself() -> None:
    made = slot(hold_seconds=0.05)
    made.hold(2, 2, "leader")
    assert made.run(number, []) == 1


def test_hold_returns_when_the_answers_inside_are_sent() -> None:
    made = slot()
    leases: list[object] = []
    made.run(number, leases)  # type: ignore[arg-type] # a list of callables
    held = threading.Event()

    def hold() -> None:
        made.hold(2, 2, "leader")
        held.set()

    thread = threading.Thread(target=hold)
    thread.start()
    assert not held.wait(0.05)
    for done in leases:
        done()  # type: ignore[operator] # as above
    assert held.wait(5)
    thread.join()


def test_a_long_request_starts_again_with_the_new_version() -> None:
    made = slot()
    entered = threading.Event()
    seen: list[int] = []

    def work(found: Loaded) -> int:
        seen.append(number(found))
        entered.set()
        while number(found) == 1:
            made.check()
        return number(found)

    with ThreadPoolExecutor(1) as pool:
        answer = pool.submit(made.run, work, [])
        assert entered.wait(5)
        made.hold(2, 2, "leader")
        made.commit(2, 2, "leader")
        assert answer.result(5) == 2
    assert seen == [1, 2]
