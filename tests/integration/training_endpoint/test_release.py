"""The ledger decides: alias and replicas follow it, whatever strangers do in MLflow, and whatever fails meanwhile."""

import time

import psycopg
import pytest

from tests.releases import ALIAS, NAME, Make
from tests.services import wait_until
from tests.unit.model_endpoint import stub
from training_endpoint.errors import (
    ChampionChanged,
    JobEnded,
    MlflowUnavailable,
    NothingToDecide,
    SwitchFailed,
    UnknownVersion,
)
from training_endpoint.jobs.queue import Jobs
from training_endpoint.release import ledger, versions


def test_a_promotion_is_served_then_named_and_both_are_noted(make: Make) -> None:
    made = make()
    made.crown()
    assert made.alias is None and made.fleet.versions == [None, None], "a decision alone moves nothing"
    made.settle()
    assert made.fleet.versions == [1, 1] and made.alias == 1
    newest = ledger.newest(made.settings.database_url, NAME)
    assert newest and newest.served_at and newest.alias_at
    state = made.desk.state()
    assert (state["champion"], state["served"], state["alias"], state["trouble"]) == (1, True, True, "")
    assert [one["version"] for one in state["switch"]["replicas"]] == [1, 1]


def test_an_alias_moved_to_what_training_did_not_register_is_put_back_and_reported(
    make: Make, caplog: pytest.LogCaptureFixture
) -> None:
    made = make()
    made.crown()
    made.settle()
    made.mlflow.runs[NAME][2] = "a stranger's run"
    made.mlflow.aliases[NAME][ALIAS] = 2
    made.settle()
    assert made.alias == 1 and made.fleet.versions == [1, 1]
    assert "moved Champion to version 2 in MLflow, which training did not register" in caplog.text
    assert len(made.history) == 1


def test_an_alias_moved_to_a_registered_version_is_adopted_and_recorded(make: Make) -> None:
    made = make()
    made.crown()
    made.crown()
    made.settle()
    made.mlflow.aliases[NAME][ALIAS] = 1
    made.settle()
    assert made.fleet.versions == [1, 1] and made.alias == 1
    assert made.history[-1] == ("somebody in MLflow", 2, 1, "override")


def test_a_setting_turns_adoption_off(make: Make) -> None:
    made = make(ADOPT_ALIAS_MOVES="off")
    made.crown()
    made.crown()
    made.settle()
    made.mlflow.aliases[NAME][ALIAS] = 1
    made.settle()
    assert made.fleet.versions == [2, 2] and made.alias == 2 and len(made.history) == 2


@pytest.mark.parametrize("altered", ["files", "run"])
def test_a_registered_number_with_other_files_is_not_adopted(make: Make, altered: str) -> None:
    made = make()
    made.crown()
    made.crown()
    made.settle()
    if altered == "files":
        made.mlflow.files["1/models/m-1/artifacts/serving/model.onnx"] = b"evil"
    else:
        made.mlflow.runs[NAME][1] = "a stranger's run"
    made.mlflow.aliases[NAME][ALIAS] = 1
    made.settle()
    assert made.fleet.versions == [2, 2] and made.alias == 2 and len(made.history) == 2


def test_a_lost_alias_version_or_registry_changes_nothing_that_is_served(make: Make) -> None:
    made = make()
    made.crown()
    made.settle()
    del made.mlflow.aliases[NAME][ALIAS]
    made.settle()
    assert made.alias == 1, "the alias is named again"
    made.mlflow.delete_version(NAME, 1)
    made.settle()
    assert made.fleet.versions == [1, 1] and "MLflow says" in made.desk.state()["trouble"]
    made.mlflow.runs.clear()
    made.mlflow.files.clear()
    made.settle()
    assert made.fleet.versions == [1, 1] and made.desk.state()["served"]


def test_a_replica_that_restarts_while_mlflow_is_hostile_serves_the_same_version(make: Make) -> None:
    made = make()
    made.crown()
    made.settle()
    first = made.fleet.servers[0]
    wait_until("it remembers", lambda: first.replica.memory.voucher() is not None, 10, 0.02)
    for server in made.fleet.servers:
        made.fleet.die(server)
        server.replica.slot.current = None
    made.mlflow.runs[NAME][2] = "a stranger's run"
    made.mlflow.aliases[NAME][ALIAS] = 2
    made.fleet.start(first)
    assert first.replica.version == 1


@pytest.mark.parametrize("status", [404, 500])
def test_a_promotion_with_mlflow_failing_is_served_and_named_later(make: Make, status: int) -> None:
    made = make()
    made.crown()
    made.crown()
    made.settle()
    made.mlflow.trouble = status
    made.desk.reconciler.start()
    try:
        told = made.desk.promote(1, "ada", "bad answers", pinned=False)
        assert told["served"] and not told["alias"] and told["previous_version"] == 2
        assert made.fleet.versions == [1, 1] and made.alias == 2
        made.mlflow.trouble = 0
        wait_until("the alias follows", lambda: made.alias == 1, 20, 0.05)
    finally:
        made.desk.reconciler.stop()
    assert made.history[-1] == ("ada", 2, 1, "override") and len(made.history) == 3


def test_a_job_that_was_cancelled_at_the_last_moment_decides_nothing(make: Make) -> None:
    made = make()
    made.crown()
    voucher, job = made.register(), made.job()
    ruling = made.ruling(voucher.version)
    Jobs(made.settings.database_url).cancel(job["job_id"])
    with pytest.raises(JobEnded):
        made.conclude(job, ruling)
    made.settle()
    assert made.decided == 1 and len(made.history) == 1


def test_a_decision_and_the_end_of_its_job_are_one(make: Make) -> None:
    made = make()
    voucher, job = made.register(), made.job()
    made.conclude(job, made.ruling(voucher.version))
    with pytest.raises(JobEnded, match="nothing to cancel"):
        Jobs(made.settings.database_url).cancel(job["job_id"])
    with pytest.raises(JobEnded):
        made.conclude(job, made.ruling(voucher.version))
    assert len(made.history) == 1


def test_a_verdict_against_another_champion_is_made_again(make: Make) -> None:
    made = make()
    made.crown()
    voucher, job = made.register(), made.job()
    ruling = made.ruling(voucher.version)
    made.crown()
    with pytest.raises(ChampionChanged):
        made.conclude(job, ruling)
    assert Jobs(made.settings.database_url).get(job["job_id"])["status"] == "running"
    made.conclude(job, made.ruling(voucher.version))


def test_a_pin_holds_until_it_is_taken_away(make: Make) -> None:
    made = make()
    made.crown()
    made.crown()
    made.settle()
    made.desk.reconciler.start()
    try:
        assert made.desk.roll_back("ada", "bad answers", pinned=True)["pinned"]
        made.conclude(made.job(), made.ruling(made.register().version, "kept_pinned"))
        assert made.decided == 1 and made.desk.state()["pinned"]
        with pytest.raises(ChampionChanged):  # a verdict that does not know of the pin
            stale = made.ruling(3)
            made.conclude(made.job(), type(stale)(1, False, 3, "promoted", "", {}))
        made.desk.unpin("ada", "mended")
        assert not made.desk.state()["pinned"]
        with pytest.raises(NothingToDecide):
            made.desk.unpin("ada", "again")
    finally:
        made.desk.reconciler.stop()
    assert made.fleet.versions == [1, 1]
    assert [row[3] for row in made.history] == ["promoted", "promoted", "override", "kept_pinned", "unpin"]


def test_nothing_but_registered_versions_can_be_decided_for(make: Make) -> None:
    made = make()
    made.crown()
    with pytest.raises(UnknownVersion, match="not registered by training"):
        made.desk.promote(99, "ada", "why not", pinned=False)
    with pytest.raises(NothingToDecide):
        made.desk.roll_back("ada", "why not", pinned=True)
    assert len(made.history) == 1


def test_a_fleet_that_cannot_serve_it_is_said_and_the_decision_is_tried_again(make: Make) -> None:
    made = make()
    made.crown()
    made.settle()
    made.register()
    for server in made.fleet.servers:
        made.fleet.die(server)
    made.desk.reconciler.start()
    try:
        with pytest.raises(SwitchFailed, match="recorded, but not served everywhere yet"):
            made.desk.promote(2, "ada", "because", pinned=False)
        for server in made.fleet.servers:
            made.fleet.listen(server)
        wait_until("it is served", lambda: made.fleet.versions == [2, 2], 40, 0.1)
    finally:
        made.desk.reconciler.stop()


def test_files_that_mlflow_lost_come_from_a_replica(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    made = make()
    voucher = made.crown()
    made.settle()
    content = made.mlflow.files.pop("1/models/m-1/artifacts/serving/model.onnx")
    blobs = made.fleet.servers[0].replica.store.blobs
    blobs.mkdir(parents=True)
    (blobs / voucher.files["serving/model.onnx"]).write_bytes(content)
    folder = versions.files(made.settings, voucher, "serving/")
    assert (folder / "model.onnx").read_bytes() == content


def test_a_registry_that_begins_anew_does_not_give_old_numbers_new_files(make: Make) -> None:
    made = make()
    made.crown()
    made.mlflow.runs.clear()
    with pytest.raises(psycopg.errors.UniqueViolation):
        versions.record(made.settings, stub.voucher(1), None)
    assert made.crown().version == 2


# --- The table itself ---


def test_the_ledger_refuses_to_be_changed(make: Make) -> None:
    made = make()
    made.crown()
    for statement in (
        "UPDATE promotion_ledger SET who = 'x'",
        "UPDATE promotion_ledger SET reason = 'x', hash = hash",
        "UPDATE promotion_ledger SET served_at = '2001-01-01' WHERE served_at IS NOT NULL OR alias_at IS NULL",
        "DELETE FROM promotion_ledger",
        "TRUNCATE promotion_ledger",
    ):
        with psycopg.connect(made.settings.database_url) as connection:
            if "served_at" in statement:
                connection.execute("UPDATE promotion_ledger SET served_at = now()")
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                connection.execute(statement)


def test_the_role_that_trains_cannot_write_it_past_its_functions(make: Make) -> None:
    made = make()
    made.crown()
    for statement in (
        "INSERT INTO promotion_ledger (who, model_name, verdict, reason) VALUES ('ada', 'm', 'override', 'x')",
        "INSERT INTO promotion_ledger (id, who, model_name, verdict, reason) OVERRIDING SYSTEM VALUE VALUES "
        "(99, 'ada', 'm', 'override', 'x')",
        "UPDATE promotion_ledger SET served_at = now()",
        "SELECT public.append_decision('ada', 'm', 1, 1, 'override', 'x', '{}', NULL, false)",
        "UPDATE training_versions SET files = '{}'",
        "DELETE FROM training_versions",
        "LOCK TABLE promotion_ledger IN ACCESS EXCLUSIVE MODE",
        "ALTER TABLE promotion_ledger DISABLE TRIGGER ALL",
    ):
        with psycopg.connect(made.settings.database_url) as connection:
            connection.execute("SET ROLE platform")
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                connection.execute(statement)


def test_a_row_that_was_tampered_with_breaks_the_chain(make: Make, capsys: pytest.CaptureFixture[str]) -> None:
    made = make()
    for _ in range(3):
        made.crown()
    assert ledger.breaks(made.settings.database_url) == []
    with psycopg.connect(made.settings.database_url) as connection:  # as the superuser alone can
        connection.execute("ALTER TABLE promotion_ledger DISABLE TRIGGER ALL")
        connection.execute("UPDATE promotion_ledger SET who = 'nobody' WHERE id = 2")
    assert ledger.breaks(made.settings.database_url) == [2]
    with psycopg.connect(made.settings.database_url) as connection:
        connection.execute("DELETE FROM promotion_ledger WHERE id = 2")
    assert ledger.breaks(made.settings.database_url) == [3]


# --- What people type ---


def test_an_mlflow_that_does_not_answer_is_asked_less_and_less_often(
    make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = make()
    made.crown()
    made.settle()
    asked: list[int] = []

    def slow(*_: object) -> int:
        asked.append(1)
        raise MlflowUnavailable("MLflow does not answer.")

    monkeypatch.setattr("training_endpoint.release.alias.named", slow)
    made.desk.reconciler.start()
    try:
        wait_until("it is said", lambda: bool(made.desk.reconciler.state.trouble), 10)
        time.sleep(3)
        assert made.desk.reconciler.state.trouble == "MLflow does not answer."
        assert len(asked) <= 7, "an MLflow that is too slow is kept so by questions that nobody waits for any more"
    finally:
        made.desk.reconciler.stop()
