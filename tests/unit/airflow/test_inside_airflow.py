"""Runs the cases in `inside/` with Airflow's own interpreter: it has unittest, and no pytest."""

import os
import re
import subprocess
from pathlib import Path

from tests.airflow_service import PYTHON, common_settings, need_airflow
from tests.services import ROOT


def test_the_cases_pass_inside_airflow(tmp_path: Path) -> None:
    need_airflow()
    platform = {"TRAINING_URL": "http://training", "PLATFORM_TOKEN": "secret"}
    folders = {"AIRFLOW_HOME": str(tmp_path), "AIRFLOW__CORE__PLUGINS_FOLDER": str(ROOT / "airflow/plugins")}
    sources = os.pathsep.join(
        str(ROOT / folder) for folder in ("contract/src", "airflow/plugins", "training_endpoint/src")
    )
    done = subprocess.run(
        [str(PYTHON), "-m", "unittest", "discover", "-s", "tests/unit/airflow/inside", "-p", "*_cases.py"],
        cwd=ROOT,
        env={**os.environ, **common_settings(), **folders, **platform, "PYTHONPATH": sources},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    ran = re.search(r"Ran (\d+) tests", done.stderr)
    assert ran and int(ran[1]) > 15, done.stderr
