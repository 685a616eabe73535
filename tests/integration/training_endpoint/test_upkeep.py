"""What is removed, what never is, and what is said of it: a real database and replicas, and a registry."""

import os
import time
from pathlib import Path

import psycopg
import pytest

from tests import training
from tests.database_roles import connected
from tests.listening import listening
from tests.releases import NAME, Make, Release
from tests.services import wait_until
from training_endpoint import database
from training_endpoint.errors import FilesRemoved, MlflowUnavailable
from training_endpoint.http.api import create_app
from training_endpoint.jobs.queue import Jobs
from training_endpoint.release import ledger, versions
from training_endpoint.upkeep import __main__ as command
from training_endpoint.upkeep import janitor


def age(made: Release, hours: float) -> None:
    """Makes all that was registered and ended so much older."""
    with database.connect(made.settings.database_url) as connection:
        past = [hours * 3600]
        connection.execute(
            "UPDATE training_versions SET registered_at = registered_at - make_interval(secs => %s)", past
        )
        connection.execute("UPDATE training_jobs SET finished_at = finished_at - make_interval(secs => %s)", past)


def serve(made: Release) -> None:
    """Lets the newest decision take effect, however busy the machine is."""

    def served() -> bool:
        made.settle()
        newest = ledger.newest(made.settings.database_url, NAME)
        return newest is not None and newest.served_at is not None

    wait_until("it is served", served)


def reject(made: Release) -> int:
    """A version that a job registered and did not promote."""
    job, voucher = made.job(), made.register()
    made.mlflow.files[f"{voucher.root}/verdict/verdict.json"] = b"{}"
    made.conclude(job, made.ruling(made.decided, "kept_worse"))
    return voucher.version


def have_files(made: Release) -> list[int]:
    """Versions of which MLflow has what is served."""
    return sorted(int(path.split("/m-")[1].split("/")[0]) for path in made.mlflow.files if "/serving/" in path)


def test_rejected_versions_lose_their_files_after_a_day_but_for_the_newest_few(make: Make) -> None:
    made = make(KEEP_REJECTED_VERSIONS="2")
    made.crown()
    serve(made)
    rejected = [reject(made) for _ in range(4)]
    assert janitor.clean(made.settings).removed == [] and have_files(made) == [1, 2, 3, 4, 5]
    age(made, 25)
    wanted = [f"files of version {n} of {NAME}: rejected, and not among the newest 2" for n in rejected[:2]]
    assert [str(one) for one in janitor.planned(made.settings)] == wanted
    assert have_files(made) == [1, 2, 3, 4, 5], "what is planned is not done"
    assert janitor.clean(made.settings).removed == wanted
    assert have_files(made) == [1, 4, 5]
    assert "1/models/m-2/artifacts/verdict/verdict.json" in made.mlflow.files, "why it was rejected stays"
    assert made.mlflow.tags[NAME, 2]["files"].startswith("removed at 20")
    assert janitor.clean(made.settings).removed == []


def test_nothing_goes_while_a_backup_is_taken(make: Make, database: str) -> None:
    made = make(KEEP_REJECTED_VERSIONS="0")
    made.crown()
    serve(made)
    reject(made)
    age(made, 25)
    with psycopg.connect(database) as backup:
        backup.execute("LOCK TABLE public.training_coverage IN SHARE UPDATE EXCLUSIVE MODE")
        done = janitor.clean(made.settings)
        assert done.removed == [] and "backup" in done.trouble and have_files(made) == [1, 2]
        assert len(list(janitor.planned(made.settings))) == 1, "what would go can still be asked"
    assert len(janitor.clean(made.settings).removed) == 1 and have_files(made) == [1]


def test_a_full_disk_does_not_wait_for_a_day(make: Make) -> None:
    made = make(KEEP_REJECTED_VERSIONS="0")
    made.crown()
    serve(made)
    reject(made)
    assert len(janitor.clean(made.settings, urgent=True).removed) == 1 and have_files(made) == [1]


def test_of_the_champions_the_newest_keep_theirs_and_a_rollback_always_works(make: Make) -> None:
    made = make(KEEP_VERSIONS="2")
    for _ in range(4):
        made.crown()
        serve(made)
    assert len(janitor.clean(made.settings).removed) == 2 and have_files(made) == [3, 4]
    made.desk.reconciler.start()
    try:
        assert made.desk.roll_back("x", "because", pinned=True)["champion"] == 3
        assert janitor.clean(made.settings).removed == []
        assert made.desk.roll_back("x", "because", pinned=True)["champion"] == 4
    finally:
        made.desk.reconciler.stop()


def test_what_replicas_serve_is_kept_whatever_was_decided(make: Make) -> None:
    made = make(KEEP_VERSIONS="2")
    made.crown()
    serve(made)
    for _ in range(3):
        made.crown()  # decided, and not carried out
    assert made.fleet.versions == [1, 1]
    assert janitor.clean(made.settings).removed == [] and have_files(made) == [1, 2, 3, 4]


def test_what_a_job_still_judges_is_kept(make: Make) -> None:
    made = make(KEEP_REJECTED_VERSIONS="0")
    job, voucher = made.job(), made.register()
    with database.connect(made.settings.database_url) as connection:
        connection.execute("UPDATE training_versions SET job_id = %s", [job["job_id"]])
    assert janitor.clean(made.settings, urgent=True).removed == [] and have_files(made) == [voucher.version]


def test_who_asks_for_a_removed_version_is_told_when_and_why_it_went(make: Make) -> None:
    made = make(KEEP_REJECTED_VERSIONS="0")
    made.crown()
    serve(made)
    version = reject(made)
    janitor.clean(made.settings, urgent=True)
    with pytest.raises(FilesRemoved, match=r"files of version 2 .* removed at 20.* \(rejected.*Train again"):
        made.desk.promote(version, "x", "because", pinned=False)
    with pytest.raises(FilesRemoved, match="were removed"):  # nor by a way round the desk
        ledger.decide_by_hand(
            made.settings.database_url, NAME, "x", "override", "because", to_version=version, pinned=False
        )
    answer = training.client(made.settings).post("/promote", json={"version": version, "reason": "because"})
    assert answer.status_code in (401, 410)
    assert versions.find(made.settings, version) is not None, "its number is never given again"
    made.mlflow.aliases[NAME]["Champion"] = version
    made.settle()
    assert made.alias == 1 and made.decided == 1


def test_a_removal_that_mlflow_did_not_finish_is_ended_by_the_next_pass(make: Make) -> None:
    made = make(KEEP_REJECTED_VERSIONS="0")
    made.crown()
    serve(made)
    reject(made)
    made.mlflow.trouble = 500
    done = janitor.clean(made.settings, urgent=True)
    assert done.trouble and done.removed == []
    with pytest.raises(FilesRemoved):
        versions.get(made.settings, 2)
    made.mlflow.trouble = 0
    assert len(janitor.clean(made.settings).removed) == 1 and have_files(made) == [1]
    assert "files" in made.mlflow.tags[NAME, 2]


def test_without_mlflow_nothing_is_lost_and_it_is_said(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    made = make(KEEP_REJECTED_VERSIONS="0")
    reject(made)

    def away(*given: object, **named: object) -> None:
        raise MlflowUnavailable("MLflow does not answer.")

    monkeypatch.setattr("training_endpoint.release.artifacts._call", away)
    assert janitor.clean(made.settings, urgent=True).trouble == "MLflow does not answer."


def test_old_jobs_go_with_their_runs_and_versions_but_not_those_of_champions(make: Make) -> None:
    made = make(KEEP_REJECTED_VERSIONS="0")
    made.crown()
    serve(made)
    reject(made)
    with database.connect(made.settings.database_url) as connection:
        connection.execute(
            "UPDATE training_versions v SET job_id = j.job_id FROM training_jobs j"
            " WHERE j.mlflow_run_id = 'r' AND (v.version = 2) = (j.verdict = 'kept_worse')"
        )
    made.mlflow.files["1/r/artifacts/lineage/rows.parquet"] = b"hashes"
    age(made, 91 * 24)
    removed = janitor.clean(made.settings).removed
    assert any(one.startswith("files of version 2") for one in removed)
    janitor.clean(made.settings)
    assert made.mlflow.deleted_runs == ["r"] and sorted(made.mlflow.runs[NAME]) == [1]
    assert [job["verdict"] for job in Jobs(made.settings.database_url).newest(9)] == ["promoted"]
    assert made.mlflow.files.keys() == {"1/models/m-1/artifacts/serving/model.onnx"}
    assert made.decided == 1 and ledger.breaks(made.settings.database_url) == []


def test_a_job_whose_events_are_still_told_of_stays(make: Make) -> None:
    made = make()
    job = made.job()
    made.conclude(job, made.ruling(None, "kept_worse"))
    with database.connect(made.settings.database_url) as connection:
        connection.execute("INSERT INTO training_coverage (event_id, job_id) VALUES (1, %s)", [job["job_id"]])
    age(made, 91 * 24)
    assert janitor.clean(made.settings).removed == []


def test_folders_that_nobody_uses_any_more_go(make: Make, tmp_path: Path) -> None:
    made = make(BASE_MODEL="some/base", DATASET="some/rows:plain", HF_HOME=str(tmp_path / "hub"))
    state = made.settings.state_dir
    running, over = made.job()["job_id"], made.job()
    made.conclude(over, made.ruling(None, "kept_worse"))
    wanted = [
        state / "jobs" / running / "checkpoint",
        state / "tmp/new/x",
        *(
            tmp_path / "hub" / name
            for name in ("hub/models--some--base/a", "datasets/some___rows/a", "hub/models--new--one/a")
        ),
    ]
    unwanted = [
        state / "jobs" / over["job_id"] / "checkpoint",
        state / "jobs/unknown/x",
        state / "tmp/old/x",
        *(tmp_path / "hub" / name for name in ("hub/models--old--one/a", "datasets/old___rows/a")),
    ]
    for file in wanted + unwanted:
        file.parent.mkdir(parents=True)
        file.write_text("x")
        if "new" not in str(file.relative_to(tmp_path)):
            for path in (file, file.parent):
                os.utime(path, (time.time() - 40 * 86_400,) * 2)
    removed = janitor.clean(made.settings).removed
    assert [file for file in wanted if not file.exists()] == []
    assert [file for file in unwanted if file.exists()] == []
    assert len(removed) == len(unwanted)


def test_what_takes_room_and_what_goes_next_are_shown(make: Make) -> None:
    made = make(KEEP_REJECTED_VERSIONS="0", PLATFORM_TOKEN="secret")
    made.settle()
    reject(made)
    age(made, 25)
    client = training.client(made.settings)
    told = client.get("/storage").get_json()
    assert {"state", "training database"} <= {room["place"] for room in told["places"]}
    assert told["next"] == {
        "removals": [f"files of version 1 of {NAME}: rejected, and not among the newest 0"],
        "trouble": "",
    }
    assert client.post("/clean", json={}).get_json()["removed"] == told["next"]["removals"]
    told = client.get("/storage").get_json()
    assert told["next"]["removals"] == [] and len(told["last"]["removed"]) == 1
    metrics = client.get("/metrics").get_data(as_text=True)
    assert 'training_disk_free_bytes{place="state"}' in metrics and "training_clean_timestamp_seconds" in metrics


def test_a_command_says_what_would_go_and_removes_it(make: Make, capsys: pytest.CaptureFixture[str]) -> None:
    made = make(KEEP_REJECTED_VERSIONS="0", PLATFORM_TOKEN="secret")
    made.settle()
    reject(made)
    age(made, 25)
    with listening(create_app(made.settings)) as address:
        environment = {"TRAINING_URL": f"http://{address}", "PLATFORM_TOKEN": "secret"}
        assert command.main(["--dry-run"], environment) == 0
        said = capsys.readouterr().out
        assert f"would remove files of version 1 of {NAME}" in said and "free of" in said
        assert command.main(["--brief"], environment) == 0
        assert "The next clean-up removes 1 things" in capsys.readouterr().out and have_files(made) == [1]
        assert command.main([], environment) == 0
        assert "\nremoved files of version 1" in f"\n{capsys.readouterr().out}" and have_files(made) == []
        assert command.main([], {**environment, "PLATFORM_TOKEN": "wrong"}) == 1


def test_the_services_own_role_removes_and_changes_nothing_else(make: Make) -> None:
    made = make()
    made.crown()
    made.crown()
    reject(made)
    made.settle()
    with connected(made.settings.database_url, "platform") as platform:
        for version, removed in ((1, False), (2, False), (3, True)):
            found = platform.execute("SELECT remove_version_files(%s, %s, 'because')", [NAME, version]).fetchone()
            assert found == (removed,), version
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            platform.execute("UPDATE training_versions SET removed_at = now()")
