"""People at the release desk: its commands, its routes, and each classifier by itself."""

import psycopg
import pytest
import requests

from model_endpoint.replica import Replica
from model_endpoint.slot import Loaded
from tests.listening import listening
from tests.releases import ALIAS, NAME, Make, Release
from tests.services import wait_until
from tests.unit.model_endpoint import stub
from training_endpoint.http.api import create_app
from training_endpoint.release import __main__ as commands
from training_endpoint.release import ledger, versions
from training_endpoint.release.desk import Desk
from training_endpoint.release.followers import Followers


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
    with psycopg.connect(settings.database_url) as connection:
        connection.execute("UPDATE classifiers SET retired_at = now() WHERE name = 'spam'")
    kept = client.get("/history?classifier=spam").get_json()["decisions"]
    assert [one["who"] for one in kept] == ["ada"], "retiring keeps its history"
    assert client.get("/release?classifier=spam").status_code == 404
