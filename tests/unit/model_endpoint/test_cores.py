"""Who gets a core, and who is computed together."""

import threading
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import pytest

from model_endpoint.cores import Cores
from model_endpoint.predict import Answer, Predictor
from model_endpoint.slot import Interrupted, Slot
from model_runner import Encoded, Logits
from tests.services import wait_until
from tests.unit.model_endpoint import stub

PATIENCE = 10


class Slow(stub.Stub):
    """Computes when it is let, texts of several requests together, and cannot bear the word 'poison'."""

    parallel = 1

    def __init__(self, *labels: str) -> None:
        super().__init__()
        self.labels = list(labels or self.labels)
        self.let = threading.Semaphore(0)
        self.computing = threading.Event()

    def encode(self, texts: list[str]) -> list[Encoded]:
        if "poison" in texts:
            return [Encoded([9], False)]
        return super().encode(texts)

    def logits(self, batch: list[Encoded]) -> Logits:
        self.computing.set()
        assert self.let.acquire(timeout=PATIENCE)
        if any(row.ids[0] == 9 for row in batch):
            raise MemoryError("too much")
        return super().logits(batch)


def predictor(folder: Path, model: stub.Stub) -> Predictor:
    slot = Slot(64, PATIENCE)
    slot.offer(stub.loaded(1, model))
    slot.commit(1, 1, "leader")
    return Predictor(slot, Cores(2, slot.check), stub.settings(folder))


def ask(pool: ThreadPoolExecutor, asked: Predictor, texts: list[str]) -> "Future[Answer]":
    """Asks in a thread; the answer counts as sent at once."""

    def work() -> Answer:
        leases: list[object] = []
        answer = asked.classify(texts, leases)  # type: ignore[arg-type] # a list of callables
        for done in leases:
            done()  # type: ignore[operator] # as above
        return answer

    return pool.submit(work)


def best(answer: "Future[Answer]") -> list[str]:
    return [row[0][0] for row in answer.result(PATIENCE).ranked(1)]


def test_what_arrives_during_a_batch_is_the_next_batch(tmp_path: Path) -> None:
    model = Slow()
    asked = predictor(tmp_path, model)
    with ThreadPoolExecutor(16) as pool:
        first = ask(pool, asked, ["good"])
        assert model.computing.wait(PATIENCE)
        others = [ask(pool, asked, ["good"] * (number % 2) + ["bad"]) for number in range(4)]
        wait_until("they wait", lambda: asked.cores.waiting == 4, PATIENCE, 0.005)
        for _ in range(2):
            model.let.release()
        assert best(first) == ["positive"]
        assert [best(one) for one in others] == [["negative"], ["positive", "negative"]] * 2
    assert model.batches == [1, 6]


def test_a_batch_has_its_limit_and_a_large_request_lets_others_in(tmp_path: Path) -> None:
    model = Slow()
    asked = predictor(tmp_path, model)
    with ThreadPoolExecutor(16) as pool:
        large = ask(pool, asked, ["good"] * 20)
        assert model.computing.wait(PATIENCE)
        small = [ask(pool, asked, ["bad"]) for _ in range(9)]
        wait_until("they wait", lambda: asked.cores.waiting == 9, PATIENCE, 0.005)
        model.let.release()
        wait_until("the large one's next piece waits too", lambda: asked.cores.waiting == 2, PATIENCE, 0.005)
        for _ in range(8):
            model.let.release()
        assert best(large) == ["positive"] * 20
        assert [best(one) for one in small] == [["negative"]] * 9
    assert max(model.batches) == 8 and model.batches[:2] == [8, 8] and sum(model.batches) == 29


def test_an_error_meets_only_the_request_that_is_to_blame(tmp_path: Path) -> None:
    model = Slow()
    asked = predictor(tmp_path, model)
    with ThreadPoolExecutor(16) as pool:
        first = ask(pool, asked, ["good"])
        assert model.computing.wait(PATIENCE)
        poison, fine = ask(pool, asked, ["poison"]), ask(pool, asked, ["bad"])
        wait_until("they wait", lambda: asked.cores.waiting == 2, PATIENCE, 0.005)
        for _ in range(4):
            model.let.release()
        assert best(first) == ["positive"] and best(fine) == ["negative"]
        with pytest.raises(MemoryError):
            poison.result(PATIENCE)
    assert asked.cores.waiting == 0


def test_a_switch_in_between_gives_answers_of_one_model(tmp_path: Path) -> None:
    old, new = Slow("old-", "old+"), Slow("new-", "new+")
    asked = predictor(tmp_path, old)
    asked.slot.offer(stub.loaded(2, new))
    with ThreadPoolExecutor(32) as pool:
        first = ask(pool, asked, ["good"])
        assert old.computing.wait(PATIENCE)
        others = [ask(pool, asked, ["good"] * 12 + ["bad"] * 5) for _ in range(6)]
        wait_until("they wait", lambda: asked.cores.waiting == 6, PATIENCE, 0.005)
        hold = pool.submit(asked.slot.hold, 2, 2, "leader")
        wait_until("the gate is shut", lambda: asked.slot.held, PATIENCE, 0.005)
        old.let.release()
        hold.result(PATIENCE)
        asked.slot.commit(2, 2, "leader")
        for _ in range(100):
            new.let.release()
        assert best(first) == ["old+"]
        assert [best(one) for one in others] == [["new+"] * 12 + ["new-"] * 5] * 6
    assert old.batches == [1]


def test_pieces_of_two_models_are_never_one_batch() -> None:
    old, new = Slow(), Slow()
    cores = Cores(2)
    text = old.encode(["good"])
    with ThreadPoolExecutor(4) as pool:
        first = pool.submit(cores.logits, old, text)
        assert old.computing.wait(PATIENCE)
        second = pool.submit(cores.logits, old, text)
        wait_until("it waits", lambda: cores.waiting == 1, PATIENCE, 0.005)
        third = pool.submit(cores.logits, new, text)
        wait_until("both wait", lambda: cores.waiting == 2, PATIENCE, 0.005)
        for model in (old, old, new):
            model.let.release()
        assert all(one.result(PATIENCE).shape == (1, 2) for one in (first, second, third))
    assert (old.batches, new.batches) == ([1, 1], [1])


def test_where_joining_gains_nothing_each_request_is_computed_alone() -> None:
    model = Slow()
    model.joins = False
    cores = Cores(1)
    texts = model.encode(["good"] * 2)
    with ThreadPoolExecutor(8) as pool:
        asked = [pool.submit(cores.logits, model, texts)]
        assert model.computing.wait(PATIENCE)
        asked += [pool.submit(cores.logits, model, texts) for _ in range(3)]
        wait_until("they wait", lambda: cores.waiting == 3, PATIENCE, 0.005)
        for _ in range(4):
            model.let.release()
        assert all(one.result(PATIENCE).shape == (2, 2) for one in asked)
    assert model.batches == [2] * 4


def test_the_longest_texts_of_a_request_come_first_and_the_answers_in_its_order() -> None:
    model = stub.Stub()
    words = [3, 40, 1, 20, 7, 33, 2, 11, 5, 28]
    texts = [Encoded([index] * count, False) for index, count in enumerate(words)]
    model.piece = 4
    assert Cores(1).logits(model, texts)[:, 1].tolist() == list(range(10))
    assert model.batches == [4, 4, 2]


def test_who_is_to_give_up_does_so_before_the_inference() -> None:
    def check() -> None:
        raise Interrupted

    model = Slow()
    with pytest.raises(Interrupted):
        Cores(1, check).logits(model, model.encode(["good"]))
    assert model.batches == []


class Counting(stub.Stub):
    """Notes how many inferences run side by side."""

    def __init__(self) -> None:
        super().__init__()
        self.inside = 0
        self.most = 0
        self.lock = threading.Lock()

    def logits(self, batch: list[Encoded]) -> Logits:
        with self.lock:
            self.inside += 1
            self.most = max(self.most, self.inside)
        threading.Event().wait(0.002)
        with self.lock:
            self.inside -= 1
        return super().logits(batch)


def test_there_are_never_more_inferences_than_cores() -> None:
    model, cores = Counting(), Cores(2)
    texts = model.encode(["good"] * 5)
    model.piece = 1
    with ThreadPoolExecutor(6) as pool:
        found = list(pool.map(lambda _: cores.logits(model, texts), range(6)))
    assert [len(one) for one in found] == [5] * 6 and cores.waiting == 0
    assert model.most == 2 and sum(model.batches) == 30


def test_an_error_gives_the_core_back() -> None:
    model, cores = Slow(), Cores(1)
    for _ in range(2):
        model.let.release()
    with pytest.raises(MemoryError):
        cores.logits(model, model.encode(["poison"]))
    assert cores.logits(model, model.encode(["good"])).shape == (1, 2)
