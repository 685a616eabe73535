"""What of Airflow's past is removed."""

import os
import tempfile
import time
from pathlib import Path
from unittest import TestCase, mock

from airflow.utils.db_cleanup import config_dict
from ml_platform.cleaning import TABLES, clean_logs


class Cleaning(TestCase):
    def test_old_logs_go_with_their_folders_and_new_ones_stay(self) -> None:
        with tempfile.TemporaryDirectory() as home, mock.patch.dict(os.environ, {"AIRFLOW_HOME": home}):
            old, new = Path(home, "logs/dag_id=a/run_id=1/task.log"), Path(home, "logs/dag_id=a/run_id=2/task.log")
            past = (time.time() - 31 * 86_400,) * 2
            for file in (old, new):
                file.parent.mkdir(parents=True)
                file.write_text("x")
            os.utime(old, past)
            self.assertEqual(clean_logs(30), 1)
            self.assertFalse(old.exists())
            self.assertTrue(new.exists())
            os.utime(old.parent, past)
            self.assertEqual(clean_logs(30), 0)
            self.assertFalse(old.parent.exists())

    def test_the_tables_are_airflows_and_none_that_people_fill(self) -> None:
        self.assertLessEqual(set(TABLES), set(config_dict))
        self.assertFalse({"dag", "connection", "variable"} & set(TABLES))
