"""Training on the GPUs of one machine: a process for each, started by torchrun, and the same loop in all of them.

`train` is for the job's process; `main` is what it starts: `python -m training_endpoint.learn.distributed FOLDER`.
"""

import json
import logging
import signal
import subprocess
import sys
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist

from mlops_contract.errors import PlatformError
from training_endpoint import process
from training_endpoint.data.rows import Rows
from training_endpoint.errors import OutOfMemory, TrainingFailed
from training_endpoint.learn import classifier, device, trainer
from training_endpoint.learn.classifier import BaseModel, Classifier
from training_endpoint.learn.hyperparameters import Hyperparameters
from training_endpoint.learn.team import PartnerLost, Team
from training_endpoint.learn.trainer import Step

MODEL, ROWS, TASK = "start", "rows", "task.json"
ERRORS = {error.code: error for error in (OutOfMemory, TrainingFailed)}

log = logging.getLogger(__name__)


def train(
    start: Classifier,
    rows: Rows,
    parameters: Hyperparameters,
    work: Path,
    *,
    processes: int,
    precision: str,
    fingerprint: str = "",
    say: Callable[[Step], None] = lambda step: None,
) -> None:
    """Trains as `trainer.train` does, but in `processes` processes and up to the last checkpoint in `work`.

    `trainer.train` with the same arguments then returns that checkpoint's model: no step is left. Raises what
    `trainer.train` raises in any of the processes. All of them end with this one.
    """
    start.model.save_pretrained(work / MODEL)
    start.tokenizer.save_pretrained(work / MODEL)
    rows.save(work / ROWS)
    task = {
        "label_names": start.label_names,
        "max_length": start.max_length,
        "parameters": parameters.as_dict(),
        "precision": precision,
        "fingerprint": fingerprint,
    }
    (work / TASK).write_text(json.dumps(task))
    torchrun = ["torch.distributed.run", "--standalone", "--local-addr=127.0.0.1", f"--nproc-per-node={processes}"]
    command = [sys.executable, "-m", *torchrun, "-m", "training_endpoint.learn.distributed", str(work)]
    failure: PlatformError | None = None
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as child:
        try:
            for line in child.stdout or ():
                told = _told(line)
                if "step" in told:
                    say(Step(**told["step"]))
                elif "error" in told and failure is None:  # the others only follow
                    failure = ERRORS[told["error"]](told["message"])
        except BaseException:
            child.terminate()  # torchrun ends the others
            raise
    if failure is None and child.returncode:
        failure = TrainingFailed(
            f"One of {processes} training processes was killed or crashed, most likely because memory was full: "
            "lower batch_size, or read the service's log for its last words."
        )
    if failure is not None:
        raise failure


def main(work: Path) -> int:
    """One of the processes; says where it is in lines of JSON, {"step"} by the first one or {"error", "message"}."""
    # SIGKILL: torchrun makes each a session of its own, so that signals to the job's group do not reach it.
    process.die_with_parent(signal.SIGKILL)
    dist.init_process_group("nccl" if torch.cuda.is_available() else "gloo")
    rank, size = dist.get_rank(), dist.get_world_size()
    try:
        _train(work, rank, size)
    except PartnerLost:
        return 1
    except PlatformError as error:
        _tell(error=error.code, message=error.message)
        return 1
    except Exception as error:
        log.exception("training process %d of %d failed", rank + 1, size)
        kind = OutOfMemory if device.out_of_memory(error) else TrainingFailed
        reason = f"Training process {rank + 1} of {size} failed ({type(error).__name__}: {error})"
        _tell(error=kind.code, message=f"{reason[:1000]}; the service's log has the details.")
        return 1
    dist.destroy_process_group()
    return 0


def _train(work: Path, rank: int, size: int) -> None:
    where, _ = device.prepare(rank, size)
    task: dict[str, Any] = json.loads((work / TASK).read_text())
    base = BaseModel("the start", work / MODEL, "")
    trainer.train(
        classifier.load(base, task["label_names"], task["max_length"]),
        Rows.load(work / ROWS),
        Hyperparameters(**task["parameters"]),
        work,
        device=where,
        precision=task["precision"],
        fingerprint=task["fingerprint"],
        say=(lambda step: _tell(step=asdict(step))) if rank == 0 else (lambda step: None),
        team=Team(rank, size, where),
    )


def _tell(**fields: Any) -> None:
    # One write: processes that fail at the same time share this pipe, and print() writes the line's end by itself.
    sys.stdout.write(json.dumps(fields) + "\n")
    sys.stdout.flush()


def _told(line: str) -> dict[str, Any]:
    """The fields of a line that a process said; {} for what a library printed."""
    try:
        fields = json.loads(line)
    except ValueError:
        fields = None
    return fields if isinstance(fields, dict) else {}


if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    sys.exit(main(Path(sys.argv[1])))
