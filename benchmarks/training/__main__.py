"""Compares our training with the plain recipe of Hugging Face's Trainer, by turns, and times a whole job by phases.

    python -m benchmarks.training
    python -m benchmarks.training --seeds 1 --epochs 1 --rows 320

SST-2 (train.tsv and test.tsv with the columns text and label) is read from --data, or where a checkout has it beside
itself; else the sample. Prints tables; writes training.json and training.png into --output.
"""

import argparse
import json
import os
import subprocess
import sys
import sysconfig
import tempfile
from dataclasses import replace
from pathlib import Path

import torch

from benchmarks.training import job, report
from benchmarks.training.task import SAMPLE, SST2, Task, texts
from tests.services import ROOT
from training_endpoint.data.snapshot import Rows
from training_endpoint.learn import device
from training_endpoint.learn.hyperparameters import Hyperparameters

# Trainer needs accelerate, which nothing else here does.
VENV = ROOT / ".platform/bench/trainer"
ACCELERATE = "accelerate==1.15.0"
JOB_ROWS = 640
"""A job trains on so many rows: its other phases do not depend on them."""


def trainer_python() -> Path:
    """This environment's packages and accelerate, in a virtual environment that is made once."""
    python = VENV / "bin/python"
    if not (VENV / "done").exists():
        subprocess.run([sys.executable, "-m", "venv", "--clear", VENV], check=True)
        subprocess.run([python, "-m", "pip", "install", "--quiet", "--no-deps", ACCELERATE], check=True)
        target = next((VENV / "lib").glob("python3*/site-packages"))
        (target / "platform.pth").write_text(sysconfig.get_paths()["purelib"] + "\n")
        (VENV / "done").touch()
    return python


def measure(python: Path, side: str, task: Task, folder: Path, gpu: bool) -> dict[str, float]:
    """One side's reading, in a process of its own, with the environment that it has in use."""
    file = folder / "task.json"
    task.save(file)
    variables = {**(device.ENVIRONMENT if side == "ours" else {}), **os.environ, "HF_HUB_OFFLINE": "1"}
    variables |= {} if gpu else {"CUDA_VISIBLE_DEVICES": ""}
    command = [str(python), "-W", "ignore", "-m", f"benchmarks.training.{side}", str(file)]
    printed = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True, env=variables, cwd=ROOT).stdout
    found: dict[str, float] = json.loads(printed.splitlines()[-1])
    return found


def compare(task: Task, seeds: int, folder: Path) -> report.Readings:
    """Both sides for each seed, first one then the other, on the CPU and where there is one on the GPU."""
    pythons = {"ours": Path(sys.executable), "plain": trainer_python()}
    readings: report.Readings = {}
    for seed in range(seeds):
        seeded = replace(task, parameters=replace(task.parameters, seed=seed))
        for place in ("cpu", "gpu") if torch.cuda.is_available() else ("cpu",):
            for side in ("ours", "plain") if seed % 2 == 0 else ("plain", "ours"):
                found = measure(pythons[side], side, seeded, folder, place == "gpu")
                readings.setdefault(f"{side} {place}", []).append(found)
                print(f"seed {seed}, {side} on the {place}: {json.dumps(found)}", flush=True)
    return readings


def main() -> None:
    """Reads the options, runs, reports."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    defaults = Hyperparameters()
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--epochs", type=int, default=defaults.epochs)
    parser.add_argument("--rows", type=int, help="at most so many training and test rows each")
    parser.add_argument("--jobs", action="store_true", help="whole jobs alone, not the trainers beside each other")
    parser.add_argument("--data", type=Path, default=SST2 if SST2.exists() else SAMPLE)
    parser.add_argument("--output", type=Path, default=ROOT / ".platform/bench/results")
    options = parser.parse_args()
    options.output.mkdir(parents=True, exist_ok=True)
    # Else each job compiles all that it imports, and the time for that is not ours.
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    task = Task(*texts(options.data, options.rows), replace(defaults, epochs=options.epochs))
    with tempfile.TemporaryDirectory(prefix="bench-") as name:
        short = replace(task, train=Rows(task.train.texts[:JOB_ROWS], task.train.labels[:JOB_ROWS]))
        phases = []
        for seconds in job.phases(short, options.seeds, Path(name)):
            phases.append(seconds)
            print(f"a whole job: {json.dumps(seconds)}", flush=True)
        readings = {} if options.jobs else compare(task, options.seeds, Path(name))
    (options.output / "training.json").write_text(json.dumps({**readings, "phases": phases}, indent=1))
    report.plot(readings, phases, options.output / "training.png")
    print(f"\n{report.table(readings, phases)}\n\n{report.phase_table(phases)}\n\nalso in {options.output}")


if __name__ == "__main__":
    main()
