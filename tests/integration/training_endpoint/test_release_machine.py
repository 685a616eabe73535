"""Whatever people, strangers and failures do: when it is quiet, alias, ledger and replicas are one."""

import itertools
import shutil
import tempfile
from collections.abc import Callable
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any
from unittest import mock

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from mlops_contract.errors import PlatformError
from tests import services
from tests.releases import ALIAS, NAME, Release, release
from training_endpoint.errors import ChampionChanged, JobEnded
from training_endpoint.jobs.queue import Jobs
from training_endpoint.release import alias, ledger
from training_endpoint.release.fleet import Fleet

_numbers = itertools.count()
WRITES: dict[str, tuple[Any, str]] = {
    "the ledger's note": (ledger, "took_effect"),
    "the alias": (alias, "move"),
    "the fleet": (Fleet, "change"),
}


class Killed(BaseException):
    """The process was killed here; whatever it had written stays."""


class Releases(RuleBasedStateMachine):
    """A desk with two replicas; a stranger has MLflow's API; the reconciler may be killed at each write."""

    server = ""

    @initialize()
    def begin(self) -> None:
        self.stack = ExitStack()
        folder = Path(tempfile.mkdtemp())
        self.stack.callback(shutil.rmtree, folder, ignore_errors=True)
        database = services.new_database(self.server, f"machine_{next(_numbers)}")
        services.apply_schema(database)
        self.made: Release = self.stack.enter_context(release(database, folder))
        self.url = database
        self.rows = 0
        self.by_us: int | None = None  # the version that was decided for last, by training or by a person
        self.by_stranger: set[int] = set()  # registered versions to which the alias was moved in MLflow since

    def teardown(self) -> None:
        if hasattr(self, "stack"):
            self.stack.close()

    # --- Those who may decide ---

    @rule()
    def a_verdict_promotes(self) -> None:
        voucher, job = self.made.register(), self.made.job()
        ruling = self.made.ruling(voucher.version)
        self.made.conclude(job, ruling)
        self._decided()

    @rule()
    def a_verdict_keeps(self) -> None:
        voucher, job = self.made.register(), self.made.job()
        assert voucher.version
        self.made.conclude(job, self.made.ruling(self.made.decided, "kept_worse"))
        self.rows += 1

    @rule()
    def a_job_is_cancelled_before_it_decides(self) -> None:
        voucher, job = self.made.register(), self.made.job()
        ruling = self.made.ruling(voucher.version)
        Jobs(self.url).cancel(job["job_id"])
        with pytest.raises(JobEnded):
            self.made.conclude(job, ruling)

    @rule(number=st.integers(1, 8), pinned=st.booleans())
    def a_person_promotes(self, number: int, pinned: bool) -> None:
        with suppress(PlatformError):
            ledger.decide_by_hand(self.url, NAME, "ada", "override", "so", to_version=number, pinned=pinned)
            self._decided()

    @rule()
    def a_person_unpins(self) -> None:
        newest = ledger.newest(self.url, NAME)
        if newest and newest.pinned:
            ledger.decide_by_hand(self.url, NAME, "ada", "unpin", "so", to_version=None, pinned=False)
            self.rows += 1

    @precondition(lambda self: self.by_us is not None)
    @rule()
    def a_verdict_comes_too_late(self) -> None:
        voucher, job = self.made.register(), self.made.job()
        stale = self.made.ruling(voucher.version)
        ledger.decide_by_hand(
            self.url, NAME, "ada", "override", "first", to_version=voucher.version, pinned=not stale.was_pinned
        )
        self._decided()
        with pytest.raises(ChampionChanged):
            self.made.conclude(job, stale)

    def _decided(self) -> None:
        self.rows += 1
        self.by_us = self.made.decided
        self.by_stranger.clear()

    # --- Strangers in MLflow ---

    @rule(number=st.integers(1, 8))
    def the_alias_is_moved(self, number: int) -> None:
        versions = self.made.mlflow.runs.get(NAME, {})
        if number in versions:
            self.made.mlflow.aliases.setdefault(NAME, {})[ALIAS] = number
            self.by_stranger.add(number)

    @rule()
    def a_version_is_registered_by_hand_and_named(self) -> None:
        versions = self.made.mlflow.runs.setdefault(NAME, {})
        number = max([*versions, 100]) + 1
        versions[number] = "a stranger's run"
        self.made.mlflow.aliases.setdefault(NAME, {})[ALIAS] = number

    @rule()
    def the_alias_is_deleted(self) -> None:
        self.made.mlflow.aliases.get(NAME, {}).pop(ALIAS, None)

    @rule(number=st.integers(1, 8))
    def a_version_is_deleted(self, number: int) -> None:
        self.made.mlflow.delete_version(NAME, number)

    @rule()
    def the_model_is_renamed(self) -> None:
        self.made.mlflow.runs["another-name"] = self.made.mlflow.runs.pop(NAME, {})
        self.made.mlflow.aliases.pop(NAME, None)

    @rule(number=st.integers(1, 8))
    def files_are_altered(self, number: int) -> None:
        path = f"1/models/m-{number}/artifacts/serving/model.onnx"
        if path in self.made.mlflow.files:
            self.made.mlflow.files[path] = b"evil"

    # --- What fails ---

    @rule(status=st.sampled_from([0, 404, 500]), slow=st.sampled_from([0.0, 0.02]))
    def mlflow_answers_otherwise(self, status: int, slow: float) -> None:
        self.made.mlflow.trouble, self.made.mlflow.slow = status, slow

    @rule(which=st.integers(0, 1))
    def a_replica_dies_and_comes_back(self, which: int) -> None:
        server = self.made.fleet.servers[which]
        self.made.fleet.die(server)
        server.replica.slot.current = None
        with suppress(PlatformError):
            self.made.fleet.start(server)

    @rule(write=st.sampled_from(sorted(WRITES)), after=st.booleans())
    def the_reconciler_is_killed_at_a_write(self, write: str, after: bool) -> None:
        place, name = WRITES[write]
        usual: Callable[..., Any] = getattr(place, name)

        def dying(*arguments: Any) -> Any:
            if after:
                usual(*arguments)
            raise Killed

        with mock.patch.object(place, name, dying), suppress(Killed, PlatformError):
            self._step()

    @rule()
    def the_reconciler_looks(self) -> None:
        with suppress(PlatformError):
            self._step()

    def _step(self) -> None:
        self.made.desk.reconciler._looked = 0.0
        self.made.desk.reconciler.wake(afresh=True)
        self.made.desk.reconciler.step()

    # --- What holds ---

    @invariant()
    def the_chain_is_whole(self) -> None:
        if hasattr(self, "made"):
            assert ledger.breaks(self.url) == []

    @rule()
    def when_it_is_quiet_all_are_one(self) -> None:
        self.made.mlflow.trouble, self.made.mlflow.slow = 0, 0.0
        self.made.settle()
        decided = self.made.decided
        assert decided == self.by_us or decided in self.by_stranger
        served = {server.replica.version for server in self.made.fleet.servers}
        assert served == {decided}, f"the ledger names {decided}, served is {served}"
        if decided in self.made.mlflow.runs.get(NAME, {}):
            assert self.made.alias == decided
        overrides = [row for row in self.made.history if row[0] == "somebody in MLflow"]
        assert len(self.made.history) == self.rows + len(overrides)
        self.by_us = decided
        self.by_stranger.clear()


def test_ledger_alias_and_replicas_are_one(postgres_server: str) -> None:
    Releases.server = postgres_server
    run_state_machine_as_test(
        Releases,
        settings=settings(
            max_examples=12,
            stateful_step_count=20,
            deadline=None,
            derandomize=True,
            suppress_health_check=list(HealthCheck),
        ),
    )
