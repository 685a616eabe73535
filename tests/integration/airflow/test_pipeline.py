"""The pipeline in a real Airflow, against stand-ins for the services that it calls."""

import requests

from tests.airflow_service import DAG, PASSWORD, USER, Airflow
from tests.integration.airflow.platform_fakes import FakeTraining
from tests.services import wait_until

UPDATE, TRAIN, SWITCH = "Training_Data_Update", "Train_Model", "Switch_Latest_Model"


def ended(airflow: Airflow, run_id: str, seconds: float = 120) -> str:
    """The run's final state."""
    wait_until(f"{run_id} ends", lambda: airflow.run(run_id)["state"] in ("success", "failed"), seconds, 0.3)
    return str(airflow.run(run_id)["state"])


def deferred(airflow: Airflow, run_id: str) -> None:
    wait_until(f"{run_id} waits", lambda: airflow.tasks(run_id).get(TRAIN) == "deferred", 120, 0.2)


def test_the_pipeline_is_there_and_unpaused(airflow_service: Airflow) -> None:
    status, dag = airflow_service.call("GET", f"dags/{DAG}")
    assert status == 200
    assert not dag["is_paused"]


def test_a_changed_password_is_in_effect_after_the_next_start(airflow_service: Airflow) -> None:
    def status_of_login(password: str) -> int:
        login = {"username": USER, "password": password}
        return requests.post(f"{airflow_service.url}/auth/token", json=login, timeout=30).status_code

    try:
        airflow_service.initialise("another")
        assert (status_of_login(PASSWORD), status_of_login("another")) == (401, 201)
    finally:
        airflow_service.initialise()
    assert status_of_login(PASSWORD) == 201


def test_a_run_trains_and_switches_and_its_logs_tell_it(airflow_service: Airflow, training: FakeTraining) -> None:
    training.imported = False
    training.finish.clear()
    cause = {"tables": ["sample_train"], "events": 2, "rows": 7, "newest_event": 31}
    airflow_service.trigger("good", {**cause, "training": {"epochs": 1}})
    deferred(airflow_service, "good")
    wait_until("the progress is seen", lambda: training.count("GET", "/train/job-0") > 1)
    training.finish.set()

    assert ended(airflow_service, "good") == "success"
    assert ("POST", "/train", {"epochs": 1, "run_id": "good"}) in training.calls
    update = airflow_service.log("good", UPDATE)
    assert "2 events changed 7 rows of sample_train; the newest event is 31" in update
    assert "10 rows (negative 4, positive 6)" in update
    assert "imported now" in update
    train = airflow_service.log("good", TRAIN)
    assert "Training job job-0" in train
    assert "training 40% – step 4 of 10 – about 6 s left" in train
    assert "accuracy = 0.93" in train
    assert "Verdict promoted: version 4 is better than 3" in train
    switch = airflow_service.log("good", SWITCH)
    assert "Replica r2 at 10.0.0.2:9998: version 3 -> 4." in switch


def test_a_failed_job_fails_the_run_at_once_and_switches_nothing(
    airflow_service: Airflow, training: FakeTraining
) -> None:
    training.end = {"status": "failed", "error": "the train table has one class only"}
    airflow_service.trigger("bad")

    assert ended(airflow_service, "bad") == "failed"
    assert "the train table has one class only" in airflow_service.log("bad", TRAIN)
    assert airflow_service.tasks("bad")[SWITCH] == "upstream_failed"
    assert not any(path.startswith("/release") for _, path, _ in training.calls)


def test_overrides_that_make_no_sense_are_refused_before_a_run_exists(airflow_service: Airflow) -> None:
    for conf in ({"training": {"epoch": 3}}, {"training": {"epochs": 0.5}}, {"epochs": 3}):
        body = {"dag_run_id": "typo", "logical_date": None, "conf": conf}
        status, answer = airflow_service.call("POST", f"dags/{DAG}/dagRuns", body)
        assert status == 400
        assert "epoch" in str(answer)
    assert airflow_service.call("GET", f"dags/{DAG}/dagRuns/typo")[0] == 404


def test_a_run_survives_the_training_endpoint_being_away(airflow_service: Airflow) -> None:
    training = FakeTraining(airflow_service.training_port)
    training.finish.clear()
    airflow_service.trigger("patient")
    wait_until("it retries", lambda: airflow_service.tasks("patient").get(UPDATE) == "up_for_retry", 120, 0.2)
    assert "The training endpoint is not available yet" in airflow_service.log("patient", UPDATE)
    with training.listening():
        deferred(airflow_service, "patient")
        wait_until("the job is polled", lambda: training.count("GET", "/train/job-0") > 0)
    training.finish.set()
    with training.listening():
        assert ended(airflow_service, "patient") == "success"
    assert training.count("POST", "/train") == 1


def test_the_wait_survives_restarts_of_the_scheduler_and_the_triggerer(
    airflow_service: Airflow, training: FakeTraining
) -> None:
    training.finish.clear()
    airflow_service.trigger("durable")
    deferred(airflow_service, "durable")
    for component in ("scheduler", "triggerer"):
        airflow_service.stop(component)
        airflow_service.start(component)
    training.finish.set()

    assert ended(airflow_service, "durable") == "success"
    assert training.count("POST", "/train") == 1
    assert training.count("DELETE", "/train/job-0") == 0


def test_a_run_marked_as_failed_cancels_its_job(airflow_service: Airflow, training: FakeTraining) -> None:
    training.finish.clear()
    airflow_service.trigger("unwanted")
    deferred(airflow_service, "unwanted")
    wait_until("the job is polled", lambda: training.count("GET", "/train/job-0") > 0)
    status, answer = airflow_service.call("PATCH", f"dags/{DAG}/dagRuns/unwanted", {"state": "failed"})
    assert status == 200, answer

    wait_until("the job is cancelled", lambda: training.count("DELETE", "/train/job-0") == 1, 60)


def test_a_run_that_promotes_nothing_still_has_the_champion_served(
    airflow_service: Airflow, training: FakeTraining
) -> None:
    training.end |= {"champion_version": 3, "verdict": "kept_worse", "verdict_text": "version 3 stays"}
    training.previous, training.champion = 3, 3
    airflow_service.trigger("kept")

    assert ended(airflow_service, "kept") == "success"
    log = airflow_service.log("kept", SWITCH)
    assert "Version 4 was not promoted: making sure that every replica serves 3." in log
    assert "Replica r1 at 10.0.0.1:9998 serves version 3 already." in log


def test_a_switch_that_does_not_happen_fails_the_run_with_the_reason(
    airflow_service: Airflow, training: FakeTraining
) -> None:
    training.served, training.trouble = False, "no replica could prepare version 4: checksum mismatch"
    airflow_service.trigger("refused")

    assert ended(airflow_service, "refused") == "failed"
    assert "no replica could prepare version 4: checksum mismatch" in airflow_service.log("refused", SWITCH)
