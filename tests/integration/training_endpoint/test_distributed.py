"""Several processes that train one model, as torchrun starts them for several GPUs; here on the CPU, with gloo."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from tests import tiny_models
from tests.services import wait_until
from training_endpoint.data.snapshot import Rows
from training_endpoint.errors import TrainingFailed
from training_endpoint.learn import distributed, trainer
from training_endpoint.learn.classifier import Classifier
from training_endpoint.learn.hyperparameters import Hyperparameters
from training_endpoint.learn.trainer import State, Step

# Of unlike lengths; the last batch of an epoch is a single row, so that the second process has none.
TEXTS = [
    " ".join(["the film is", *["very"] * (number * 7 % 13), word]) for number in range(3) for word in tiny_models.WORDS
]
ROWS = Rows(TEXTS, [int(text.split()[-1] in tiny_models.WORDS[:4]) for text in TEXTS])
PARAMETERS = Hyperparameters(epochs=2, batch_size=8, learning_rate=1e-3, warmup=0.1, pool=2)
LONG = Hyperparameters(epochs=40, batch_size=8, learning_rate=1e-5, pool=2)
CPU = torch.device("cpu")
# What goes wrong in the second process alone; Python reads it at its start.
FAULTS = """
import os, signal
if os.environ.get("RANK") == "1":
    from training_endpoint.learn import trainer
    whole, fault = trainer._Data.gradients, "{fault}"

    def gradients(self, share, rows, parts):
        if fault == "short of memory" and -(-len(share) // parts) > 2:
            raise RuntimeError("can't allocate memory")
        if fault == "broken":
            raise ValueError("no luck")
        if fault == "killed":
            os.kill(os.getpid(), signal.SIGKILL)
        return whole(self, share, rows, parts)

    trainer._Data.gradients = gradients
"""


@pytest.fixture(autouse=True)
def importable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(path for path in sys.path if path))
    monkeypatch.setenv("GLOO_SOCKET_IFNAME", "lo")


def new(folder: Path) -> Classifier:
    """The same start each time; without dropout, for which one process and several draw differently."""
    classifier = tiny_models.classifier(folder / "base", ["bad", "good"])
    torch.manual_seed(0)
    torch.nn.init.normal_(classifier.model.classifier.weight, std=0.5)
    config = classifier.model.config
    config.hidden_dropout_prob = config.attention_probs_dropout_prob = config.classifier_dropout = 0.0
    for module in classifier.model.modules():
        if isinstance(module, torch.nn.Dropout):
            module.p = 0.0
    return classifier


def alone(folder: Path, parameters: Hyperparameters = PARAMETERS) -> State:
    folder.mkdir()
    return trainer.train(new(folder), ROWS, parameters, folder, device=CPU, precision="fp32")


def together(
    folder: Path, parameters: Hyperparameters = PARAMETERS, say: Callable[[Step], None] = lambda step: None
) -> State:
    """As a job does it: two processes train, and this one takes their model over."""
    folder.mkdir(exist_ok=True)
    classifier = new(folder)
    distributed.train(classifier, ROWS, parameters, folder, processes=2, precision="fp32", say=say)
    state = trainer.train(classifier, ROWS, parameters, folder, device=CPU, precision="fp32")
    assert state.resumed >= 1
    return state


def trainers(folder: Path) -> list[int]:
    """The processes, torchrun among them, that have `folder` in their command line."""
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            words = (entry / "cmdline").read_text().split("\0")
        except OSError:
            continue
        if "training_endpoint.learn.distributed" in words and str(folder) in words:
            found.append(int(entry.name))
    return found


def test_two_processes_compute_what_one_does(tmp_path: Path) -> None:
    expected = alone(tmp_path / "alone")
    said: list[Step] = []
    state = together(tmp_path / "team", say=said.append)
    assert len(state.losses) == 2 * 8 and max(state.losses) - min(state.losses) > 0.01
    assert state.losses == pytest.approx(expected.losses, rel=1e-4)
    assert (said[-1].step, said[-1].progress) == (16, 1.0)
    one, both = (torch.load(tmp_path / name / "checkpoint.pt")["model"] for name in ("alone", "team"))
    for name, weight in one.items():
        torch.testing.assert_close(both[name], weight, rtol=1e-3, atol=1e-5)


def test_a_process_that_is_short_of_memory_makes_all_compute_in_smaller_parts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = alone(tmp_path / "alone")
    fault(tmp_path, monkeypatch, "short of memory")
    said: list[Step] = []
    state = together(tmp_path / "team", say=said.append)
    assert state.parts == 2 and any("2 at a time" in (step.message or "") for step in said)
    assert state.losses == pytest.approx(expected.losses, rel=1e-4)


@pytest.mark.parametrize(
    ("what", "reason"),
    [("broken", r"process 2 of 2 failed .ValueError: no luck."), ("killed", "One of 2 training processes was killed")],
)
def test_a_process_that_fails_ends_all_with_its_reason(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, what: str, reason: str
) -> None:
    fault(tmp_path, monkeypatch, what)
    with pytest.raises(TrainingFailed, match=reason):
        together(tmp_path / "team")
    assert trainers(tmp_path / "team") == []


def fault(folder: Path, monkeypatch: pytest.MonkeyPatch, what: str) -> None:
    (folder / "sitecustomize.py").write_text(FAULTS.format(fault=what))
    monkeypatch.setenv("PYTHONPATH", f"{folder}{os.pathsep}{os.environ['PYTHONPATH']}")


def test_a_loss_that_is_no_number_is_the_same_error(tmp_path: Path) -> None:
    classifier = new(tmp_path)
    with torch.no_grad():
        classifier.model.classifier.weight.fill_(torch.inf)
    with pytest.raises(TrainingFailed, match="lower learning_rate"):
        distributed.train(classifier, ROWS, PARAMETERS, tmp_path, processes=2, precision="fp32")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
@pytest.mark.timeout(600)
def test_all_end_with_the_job_and_the_next_start_goes_on(tmp_path: Path, number: signal.Signals) -> None:
    work = tmp_path / "team"
    module = "tests.integration.training_endpoint.test_distributed"
    code = f"import sys, pathlib, {module} as test; test.together(pathlib.Path(sys.argv[1]), test.LONG)"
    job = subprocess.Popen([sys.executable, "-c", code, str(work)], start_new_session=True)
    try:
        wait_until("a checkpoint", (work / "checkpoint.pt").exists, 240)
        assert len(trainers(work)) == 3
    finally:
        # As the runner does it. The processes that torchrun started are in groups of their own.
        os.killpg(job.pid, number)
        job.wait(60)
    wait_until("all are gone", lambda: trainers(work) == [], 60)
    if number == signal.SIGKILL:
        said: list[Step] = []
        state = together(work, LONG, say=said.append)
        assert "resumed at step" in str(said[0].message)
        assert state.losses == pytest.approx(alone(tmp_path / "alone", LONG).losses, rel=1e-4)
