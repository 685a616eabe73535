"""What the tasks say to the platform's services, and what their answers mean for a run."""

import dataclasses
import os
from typing import Any
from unittest import TestCase

import httpx
from airflow.sdk.exceptions import AirflowFailException, TaskDeferred
from ml_platform.answers import Unavailable
from ml_platform.data_update import describe_cause, update_training_data
from ml_platform.settings import Settings, of_task, patience_s
from ml_platform.switch_model import switch_latest_model
from ml_platform.train_model import TrainModelOperator
from service import Service, error

from mlops_contract.env import SettingError

SETTINGS = Settings.from_env(os.environ)
PART = {"rows": 10, "classes": {"no": 4, "yes": 6}}
DATASET = {"name": "d", "source": "s", "train_table": "d_train", "test_table": "d_test", "train": PART, "test": PART}
SERVED = {
    "champion": 4,
    "served": True,
    "trouble": "",
    "switch": {
        "version": 4,
        "seconds": 0.5,
        "replicas": [{"replica": "r1", "address": "a:1", "version": 4, "previous_version": 3}],
    },
}
PROMOTED = {"model_version": 4, "champion_version": 4}
AWAY = httpx.ConnectError("refused")


class TrainingDataUpdate(TestCase):
    def test_imports_the_dataset_where_there_is_none(self) -> None:
        service = Service(error(404, "no_dataset", "none"), (201, DATASET), (200, DATASET))
        with service.connected(), self.assertLogs("ml_platform", "INFO") as logs:
            update_training_data({}, SETTINGS)
        asked = [(method, url.removeprefix("http://training")) for method, url, _ in service.calls]
        self.assertEqual(asked, [("GET", "/datasets/current"), ("POST", "/datasets"), ("GET", "/datasets/current")])
        self.assertEqual(service.tokens, ["Bearer secret"] * 3)
        self.assertIn("10 rows (no 4, yes 6)", "\n".join(logs.output))

    def test_an_absent_endpoint_is_tried_again(self) -> None:
        with Service(AWAY).connected(), self.assertLogs("ml_platform", "WARNING") as logs:
            self.assertRaises(Unavailable, update_training_data, {}, SETTINGS)
        self.assertIn("tries again", "\n".join(logs.output))

    def test_a_dataset_that_cannot_be_imported_fails_the_run(self) -> None:
        service = Service(error(404, "no_dataset", "none"), error(422, "one_class", "it has one class"))
        with service.connected(), self.assertRaisesRegex(AirflowFailException, "it has one class"):
            update_training_data({}, SETTINGS)

    def test_tells_what_the_relay_reported(self) -> None:
        said = describe_cause({"tables": ["a", "b"], "events": 3, "rows": 9, "newest_event": 17})
        self.assertIn("3 events changed 9 rows of a, b; the newest event is 17", said)


class TrainModel(TestCase):
    def setUp(self) -> None:
        self.context: Any = {"run_id": "run-1", "params": {"training": {"epochs": 2}}}

    def test_starts_the_job_of_this_run_and_frees_the_worker(self) -> None:
        service = Service((202, {"job_id": "j1", "status": "queued"}))
        with service.connected(), self.assertRaises(TaskDeferred) as deferred:
            TrainModelOperator(task_id="t").execute(self.context)
        self.assertEqual(service.calls, [("POST", "http://training/train", {"epochs": 2, "run_id": "run-1"})])
        self.assertEqual(service.tokens, ["Bearer secret"])
        self.assertEqual(deferred.exception.trigger.job_url, "http://training/train/j1")

    def test_a_refused_override_fails_at_once(self) -> None:
        service = Service(error(422, "invalid_override", "epochs must be positive"))
        with service.connected(), self.assertRaisesRegex(AirflowFailException, "epochs must be positive"):
            TrainModelOperator(task_id="t").execute(self.context)

    def test_an_absent_endpoint_is_tried_again(self) -> None:
        with Service(AWAY).connected():
            self.assertRaises(Unavailable, TrainModelOperator(task_id="t").execute, self.context)

    def test_failed_and_cancelled_jobs_fail_the_task(self) -> None:
        for status in ("failed", "cancelled"):
            event = {"job": {"job_id": "j1", "status": status, "error": "out of memory"}}
            with self.assertRaisesRegex(AirflowFailException, f"{status}: out of memory"):
                TrainModelOperator(task_id="t").finish(self.context, event)

    def test_a_wait_that_was_given_up_fails_the_task(self) -> None:
        with self.assertRaisesRegex(AirflowFailException, "silent"):
            TrainModelOperator(task_id="t").finish(self.context, {"error": "silent"})

    def test_a_good_job_is_the_result(self) -> None:
        job = {"job_id": "j1", "status": "succeeded", "metrics": {"accuracy": 0.9}}
        self.assertEqual(TrainModelOperator(task_id="t").finish(self.context, {"job": job}), job)


class SwitchLatestModel(TestCase):
    def test_waits_until_every_replica_serves_it(self) -> None:
        service = Service((200, {**SERVED, "served": False, "switch": {}}), (200, SERVED))
        with service.connected(), self.assertLogs("ml_platform", "INFO") as logs:
            switch_latest_model(PROMOTED, SETTINGS)
        self.assertEqual([url for _, url, _ in service.calls], ["http://training/release?wait=5"] * 2)
        self.assertIn("Replica r1 at a:1: version 3 -> 4.", "\n".join(logs.output))

    def test_has_the_champion_served_when_nothing_was_promoted(self) -> None:
        service = Service((200, SERVED))
        with service.connected(), self.assertLogs("ml_platform", "INFO") as logs:
            switch_latest_model({"model_version": 5, "champion_version": 4}, SETTINGS)
        self.assertEqual(len(service.calls), 1)
        self.assertIn("Version 5 was not promoted", "\n".join(logs.output))

    def test_calls_nobody_while_there_is_no_champion(self) -> None:
        service = Service((200, SERVED))
        with service.connected():
            self.assertIsNone(switch_latest_model({"model_version": 1, "champion_version": None}, SETTINGS))
        self.assertEqual(service.calls, [])

    def test_an_absent_endpoint_is_tried_again(self) -> None:
        with Service(AWAY).connected():
            self.assertRaises(Unavailable, switch_latest_model, PROMOTED, SETTINGS)

    def test_a_classifier_that_was_retired_meanwhile_fails_no_run(self) -> None:
        service = Service(error(404, "unknown_classifier", "The classifier spam was retired."))
        with service.connected(), self.assertLogs("ml_platform", "INFO") as logs:
            self.assertIsNone(switch_latest_model({**PROMOTED, "classifier": "spam"}, SETTINGS))
        self.assertIn("The classifier spam was retired.", logs.output[-1])

    def test_a_fleet_that_does_not_switch_in_time_is_said_with_its_reason(self) -> None:
        waiting = {**SERVED, "served": False, "switch": {}, "trouble": "no replica could prepare"}
        with (
            Service((200, waiting)).connected(),
            self.assertRaisesRegex(AirflowFailException, "not served everywhere: no replica could prepare"),
        ):
            switch_latest_model(PROMOTED, dataclasses.replace(SETTINGS, switch_timeout_s=0))


class TheSettings(TestCase):
    def test_a_wrong_one_fails_the_task_with_a_sentence_and_not_the_dag(self) -> None:
        wrong = {**os.environ, "TRAINING_POLL_S": "abc"}
        self.assertEqual(patience_s(wrong), 3600)
        with self.assertRaisesRegex(AirflowFailException, "TRAINING_POLL_S is 'abc': it must be a number. Correct it"):
            of_task(wrong)

    def test_each_wrong_one_is_named(self) -> None:
        for name, value in (("TRAINING_POLL_S", "0"), ("TRAINING_DEADLINE_S", "soon")):
            with self.assertRaisesRegex(SettingError, name):
                Settings.from_env({**os.environ, name: value})
