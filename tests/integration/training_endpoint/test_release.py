"""The ledger decides: alias and replicas follow it, whatever strangers do in MLflow, and whatever fails meanwhile."""

import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import psycopg
import pytest
import requests

from model_endpoint.replica import Replica
from model_endpoint.slot import Loaded
from tests.listening import listening
from tests.releases import ALIAS, NAME, Release, release
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
from training_endpoint.http.api import create_app
from training_endpoint.jobs.queue import Jobs
from training_endpoint.release import __main__ as commands
from training_endpoint.release import ledger, versions
from training_endpoint.release.desk import Desk
from training_endpoint.release.followers import Followers

Make = Callable[..., Release]


@pytest.fixture
def make(database: str, tmp_path: Path) -> Iterator[Make]:
    """`make()` gives a release desk; settings as keywords."""
    with ExitStack() as stack:
        yield lambda **variables: stack.enter_context(release(database, tmp_path, **variables))


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


def run(made: Release, *arguments: str) -> int:
    """`sh launch.sh …` against a running service."""
    with listening(create_app(made.settings, made.desk)) as address:
        environment = {"TRAINING_URL": f"http://{address}", "PLATFORM_TOKEN": stub.TOKEN}
        return commands.main(list(arguments), environment)


def test_people_promote_roll_back_and_read_the_history(make: Make, capsys: pytest.CaptureFixture[str]) -> None:
    made = make()
    made.crown()
    made.crown()
    made.settle()
    made.desk.reconciler.start()
    try:
        assert run(made, "rollback", "--reason", "bad answers", "--who", "ada") == 0
        said = capsys.readouterr().out
        assert "version 2 -> 1, recorded, pinned" in said and said.count("serves version 1") == 2
        assert run(made, "unpin", "--reason", "mended", "--who", "ada") == 0
        assert run(made, "promote", "2", "--reason", "better", "--who", "eve", "--pin") == 0
        capsys.readouterr()
        assert run(made, "history", "--verify") == 0
    finally:
        made.desk.reconciler.stop()
    said = capsys.readouterr().out
    lines = said.splitlines()
    assert "version 1 -> 2" in lines[0] and "override pinned" in lines[0] and "eve: better" in lines[0]
    assert len(lines) == 6 and "The chain is whole: 5 rows" in lines[-1]


def test_an_unknown_version_is_a_sentence(make: Make, capsys: pytest.CaptureFixture[str]) -> None:
    made = make()
    made.crown()
    assert run(made, "promote", "99", "--reason", "x") == 1
    assert "Version 99 of text-classifier was not registered by training" in capsys.readouterr().err


def test_without_the_training_endpoint_the_command_says_so(capsys: pytest.CaptureFixture[str]) -> None:
    assert commands.main(["promote", "1", "--reason", "x"], {"TRAINING_URL": "http://127.0.0.1:9"}) == 1
    assert "is the training endpoint running?" in capsys.readouterr().err


@pytest.mark.parametrize("path", ["/promote", "/rollback", "/unpin"])
def test_decisions_need_the_token(make: Make, path: str) -> None:
    client = create_app(make().settings).test_client()
    assert client.post(path, json={"version": 1, "reason": "x"}).status_code == 401


def test_each_classifier_is_decided_for_named_and_served_by_itself(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Replica, "_load", lambda self, voucher: Loaded(voucher, stub.Stub()))
    made = make()
    settings = made.settings
    with psycopg.connect(settings.database_url, autocommit=True) as connection:
        connection.execute(
            "CREATE TABLE films (text text, label text); CREATE TABLE mails (text text, label text);"
            f"SELECT create_classifier('{NAME}', 'films'), create_classifier('spam', 'mails')"
        )
    made.crown()
    other = stub.voucher(1, "spam")
    versions.record(settings, other, None)
    made.mlflow.runs["spam"] = {1: other.run_id}
    ledger.decide_by_hand(settings.database_url, "spam", "ada", "override", "so", to_version=1, pinned=False)
    followers = Followers(settings)
    desk = Desk(settings, followers)
    client = create_app(settings, desk).test_client()

    def served() -> bool:
        followers.wake(afresh=True)
        followers.step()
        return all(client.get(f"/release{query}").get_json()["served"] for query in ("", "?classifier=spam"))

    wait_until("both are served", served, 60)
    assert made.fleet.versions == [1, 1] and made.alias == 1
    assert made.mlflow.aliases["spam"] == {ALIAS: 1}
    for address in followers.fleet.addresses():
        told = requests.get(f"http://{address}/classifiers", timeout=10).json()["classifiers"]
        assert [(one["name"], one["default"], one["model"]["version"]) for one in told] == [
            ("spam", False, "1"),
            (NAME, True, "1"),
        ]
    assert [one["who"] for one in client.get("/history?classifier=spam").get_json()["decisions"]] == ["ada"]
    assert client.get("/release?classifier=nobody").status_code == 404
    told = client.get("/classifiers").get_json()["classifiers"]
    assert [(one["name"], one["is_default"], one["champion"]) for one in told] == [(NAME, True, 1), ("spam", False, 1)]
    assert client.get("/classifiers/spam").get_json()["train_table"] == "mails"
    assert client.get("/classifiers/a%00b").status_code == 404


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
