"""The DAG as Airflow reads it."""

from itertools import pairwise
from pathlib import Path
from unittest import TestCase

from airflow.dag_processing.dagbag import DagBag
from airflow.sdk.exceptions import ParamValidationError

from training_endpoint.learn.hyperparameters import OVERRIDES, RANGES, START_FROM

FOLDER = Path(__file__).parents[4] / "airflow/dags"


class Pipeline(TestCase):
    @classmethod
    def setUpClass(cls) -> None:
        cls.bag = DagBag(dag_folder=str(FOLDER))
        cls.dag = cls.bag.dags["machine-learning-training-pipeline"]

    def test_there_is_the_maintenance_beside_it_and_nothing_has_errors(self) -> None:
        self.assertEqual(self.bag.import_errors, {})
        self.assertEqual(set(self.bag.dags), {"machine-learning-training-pipeline", "maintenance"})

    def test_maintenance_comes_by_itself_every_day(self) -> None:
        maintenance = self.bag.dags["maintenance"]
        self.assertFalse(maintenance.catchup or maintenance.is_paused_upon_creation)
        self.assertEqual(maintenance.schedule, "30 3 * * *")
        self.assertEqual([task.task_id for task in maintenance.topological_sort()], ["Clean_Database", "Clean_Logs"])

    def test_tasks_follow_each_other(self) -> None:
        order = [task.task_id for task in self.dag.topological_sort()]
        self.assertEqual(order, ["Training_Data_Update", "Train_Model", "Switch_Latest_Model"])
        for first, second in pairwise(order):
            self.assertIn(second, self.dag.get_task(first).downstream_task_ids)

    def test_one_run_at_a_time_started_from_outside_only(self) -> None:
        self.assertEqual(self.dag.max_active_runs, 1)
        self.assertFalse(self.dag.is_paused_upon_creation)
        self.assertIsNone(self.dag.schedule)

    def test_waits_an_hour_for_an_absent_training_endpoint(self) -> None:
        for name in ("Training_Data_Update", "Train_Model"):
            task = self.dag.get_task(name)
            self.assertGreaterEqual(task.retries * task.retry_delay.total_seconds(), 3600)

    def test_overrides_are_checked_by_name_and_type(self) -> None:
        for wrong in ({"epoch": 1}, {"epochs": "many"}, {"epochs": 0.5}, {"start_from": "scratch"}, {"seed": -1}, 3):
            with self.assertRaises(ParamValidationError):
                self.dag.params.get_param("training").resolve(wrong)
        right = {"epochs": 1.0, "max_rows": None, "start_from": "champion"}
        self.assertEqual(self.dag.params.get_param("training").resolve(right), right)

    def test_overrides_are_those_of_the_training_endpoint(self) -> None:
        stated = self.dag.params.get_param("training").schema["properties"]
        self.assertEqual(set(stated), OVERRIDES)
        self.assertEqual(tuple(stated["start_from"]["enum"]), START_FROM)
        for name, (kind, low, high) in RANGES.items():
            self.assertEqual((stated[name]["minimum"], stated[name]["maximum"]), (low, high), name)
            self.assertIn("integer" if kind is int else "number", stated[name]["type"], name)
