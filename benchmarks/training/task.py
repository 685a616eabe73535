"""What both sides of the comparison are given, and what they print."""

import csv
import json
import random
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from tests.services import ROOT
from training_endpoint.data.snapshot import Rows
from training_endpoint.learn.hyperparameters import Hyperparameters

SST2 = ROOT.parent / "shared/data/sst2"
SAMPLE = ROOT / "training_endpoint/src/training_endpoint/data/sample"


@dataclass(frozen=True)
class Task:
    """Rows to train and to test on, and the hyperparameters of both sides."""

    train: Rows
    test: Rows
    label_names: list[str]
    parameters: Hyperparameters

    def save(self, file: Path) -> None:
        """Writes the task for the process that does it."""
        parts = {
            name: {"texts": list(rows.texts), "labels": rows.labels.tolist()}
            for name, rows in (("train", self.train), ("test", self.test))
        }
        fields = {**parts, "label_names": self.label_names, "parameters": self.parameters.as_dict()}
        file.write_text(json.dumps(fields))

    @classmethod
    def load(cls, file: Path) -> "Task":
        """What `save` wrote."""
        fields = json.loads(file.read_text())
        parameters = Hyperparameters(**fields.pop("parameters"))
        return cls(Rows(**fields.pop("train")), Rows(**fields.pop("test")), parameters=parameters, **fields)


def texts(folder: Path, most: int | None) -> tuple[Rows, Rows, list[str]]:
    """Training and test rows (at most so many of each, drawn) and labels, of the train and test file in `folder`."""
    parts = []
    for name in ("train", "test"):
        file = next(folder.glob(f"{name}.[ct]sv"))
        with file.open(newline="") as stream:
            tabs = file.suffix == ".tsv"
            lines = csv.reader(stream, "excel-tab", quoting=csv.QUOTE_NONE) if tabs else csv.reader(stream)
            columns = next(lines)
            rows = [dict(zip(columns, line, strict=True)) for line in lines]
        random.Random(0).shuffle(rows)
        parts.append(rows[:most])
    labels = sorted({row["label"] for row in parts[0]})
    train, test = (Rows([row["text"] for row in rows], [labels.index(row["label"]) for row in rows]) for rows in parts)
    return train, test, labels


def timed(task: Task, train: Callable[[], object], right: Callable[[], float]) -> None:
    """Trains, tests, and prints samples a second (tokenising included) and the accuracy as JSON."""
    start = time.perf_counter()
    train()
    seconds = time.perf_counter() - start
    samples = len(task.train) * task.parameters.epochs
    print(json.dumps({"samples_per_s": samples / seconds, "seconds": seconds, "accuracy": right()}))
