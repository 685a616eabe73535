"""Whether a smaller student is worth serving: how fast and how good it is beside the challenger that taught it.

    python -m benchmarks.judging.student [--data ../shared/data]

A student begins as a part of the trained challenger and learns from its answers, its hidden states and the true labels
on the training rows. Both are exported by the product, and the forms that it chooses are compared. Challengers are
those of `python -m benchmarks.judging --forms`; figures are kept beside them, so this can be interrupted.
"""

import argparse
import copy
import json
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import torch
from torch.nn import functional

from benchmarks.judging.forms import KEPT
from benchmarks.training.task import SAMPLE, texts
from benchmarks.version import kept
from model_runner import Model, Probabilities, load
from training_endpoint.clock import Clock
from training_endpoint.data.snapshot import Rows
from training_endpoint.judge import compare, evaluate, export
from training_endpoint.judge.forms import DIFFERING, SIGNIFICANCE
from training_endpoint.learn import classifier as classifiers
from training_endpoint.learn import device, trainer
from training_endpoint.learn.classifier import Classifier
from training_endpoint.learn.encoding import encode, pad
from training_endpoint.learn.hyperparameters import Hyperparameters
from training_endpoint.learn.lean import lean

FASTER, WORSE = 1.5, 0.2
"""What makes a student worth its teaching: so many times as fast, at most so many points less accurate."""
TEMPERATURE = 2.0
CHECKPOINT_S = 30.0
TIMED, TIMES = 48, 5
"""Test rows that tell the speed, one text a call, and how often each is answered."""
COLUMNS = ("model", "student", "epochs", "form", "times as fast", "accuracy, points", "p", "rows answered otherwise")


@dataclass(frozen=True)
class Kind:
    """What a student keeps of the challenger."""

    name: str
    layers: float = 1.0
    """Share of the layers, evenly drawn, with the first and the last."""
    width: float = 1.0
    """Share of each layer's feed-forward neurons: those that say most."""


KINDS = (
    Kind("two thirds of the layers", layers=2 / 3),
    Kind("half of the layers", layers=1 / 2),
    Kind("a third of the layers", layers=1 / 3),
    Kind("a quarter of the neurons", width=1 / 4),
)


@dataclass(frozen=True)
class Served:
    """What is served of a model: its form, how to ask it, and what it answers on the test rows."""

    form: str
    model: Model
    answers: Probabilities


def main() -> None:
    """Reads the options, makes what is not kept yet, prints tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, help="a folder of folders with train and test, beside the sample")
    parser.add_argument("--sets", nargs="+", help="only these of the folders, and `sample`")
    parser.add_argument("--seeds", type=int, default=3, help="challengers of each set")
    parser.add_argument("--kinds", nargs="+", choices=[kind.name for kind in KINDS], help="only these students")
    parser.add_argument("--rows", type=int, help="at most so many rows of each file")
    parser.add_argument("--times", nargs="+", type=int, default=[1, 2], help="epochs, as multiples of the challenger's")
    parser.add_argument("--models", type=Path, default=KEPT, help="where trained models are kept, and taken from")
    options = parser.parse_args()
    kinds = [kind for kind in KINDS if kind.name in (options.kinds or kind.name)]
    found: list[dict[str, Any]] = []
    for folder in [SAMPLE, *(sorted(one for one in options.data.iterdir() if one.is_dir()) if options.data else [])]:
        if options.sets and folder.name not in options.sets:
            continue
        data = texts(folder, options.rows)
        for seed in range(options.seeds):
            name = f"{folder.name}-{seed}-{options.rows or 'all'}"
            file = options.models / f"{name}.pt"
            found += measure(f"{folder.name} {seed}", data, seed, file, kinds, options.times)
    print(report(found))


def measure(
    name: str,
    data: tuple[Rows, Rows, list[str]],
    seed: int,
    file: Path,
    kinds: Sequence[Kind],
    times: Sequence[int],
) -> list[dict[str, Any]]:
    """The figures of these `kinds` of students of the challenger in `file`, trained where it is not there."""
    train, test, labels = data
    parameters = Hyperparameters(seed=seed)
    found = []
    with tempfile.TemporaryDirectory() as folder:

        @cache
        def challenger() -> tuple[Classifier, Served]:
            model = kept(train, labels, seed, file)
            return model, exported(model, train, test, Path(folder) / "challenger")

        for multiple in times:
            told = replace(parameters, epochs=parameters.epochs * multiple)
            for kind in kinds:
                figures = (
                    file.parent.with_name("students") / f"{file.stem}-{kind.name.replace(' ', '-')}-{multiple}.json"
                )
                if not figures.exists():
                    figures.parent.mkdir(parents=True, exist_ok=True)
                    model, large = challenger()
                    student, seconds = distilled(model, kind, train, told, figures.with_suffix(".pt"))
                    small = exported(student, train, test, Path(folder) / figures.stem)
                    one = {"model": name, "student": kind.name, "epochs": told.epochs, "seconds": seconds}
                    one |= compared(large, small, test)
                    figures.with_suffix(".part").write_text(json.dumps(one, indent=1))
                    figures.with_suffix(".part").replace(figures)
                    figures.with_suffix(".pt").unlink(missing_ok=True)
                found.append(json.loads(figures.read_text()))
                print(json.dumps(found[-1]), flush=True)
    return found


def smaller(challenger: Classifier, kind: Kind, some: Sequence[str]) -> tuple[Classifier, list[int]]:
    """A part of the challenger, and which of its layers these are; `some` texts tell what neurons say."""
    model = copy.deepcopy(challenger.model)
    layers = model.base_model.encoder.layer
    places = np.linspace(0, len(layers) - 1, round(kind.layers * len(layers))).round().astype(int).tolist()
    if kind.width < 1:
        sizes: list[torch.Tensor] = []
        hooks = [
            layer.intermediate.register_forward_hook(lambda _, __, out: sizes.append(out.abs().mean(dim=(0, 1))))
            for layer in layers
        ]
        evaluate.predict(replace(challenger, model=model), some, len(some))
        for hook, layer, size in zip(hooks, layers, sizes, strict=True):
            hook.remove()
            wide, narrow = layer.intermediate.dense, layer.output.dense
            said = size * narrow.weight.detach().norm(dim=0)
            most = said.topk(round(kind.width * len(said))).indices.sort().values
            wide.weight, wide.bias = (torch.nn.Parameter(one.detach()[most]) for one in (wide.weight, wide.bias))
            narrow.weight = torch.nn.Parameter(narrow.weight.detach()[:, most])
            wide.out_features = narrow.in_features = len(most)
            model.config.intermediate_size = len(most)
    model.base_model.encoder.layer = torch.nn.ModuleList(layers[place] for place in places)
    model.config.num_hidden_layers = len(places)
    return replace(challenger, model=model), places


def distilled(
    challenger: Classifier, kind: Kind, rows: Rows, parameters: Hyperparameters, checkpoint: Path
) -> tuple[Classifier, float]:
    """A student taught on `rows`, as the trainer goes through them, and the seconds of a core that it took."""
    _, precision = device.prepare()
    trainer.seed_all(parameters.seed)
    student, places = smaller(challenger, kind, rows.texts[:64])
    ids = encode(challenger.tokenizer, rows.texts, challenger.max_length)
    plan = trainer.Plan(ids.lengths, parameters)
    teacher, learner = challenger.model.eval(), student.model.train()
    with lean(teacher, ids), lean(learner, ids):
        weights = list(learner.parameters())
        optimizer = trainer.adamw(weights, parameters)
        identity = str(parameters)
        state = trainer.resume(checkpoint, identity, learner, optimizer) or trainer.State()
        saved, used, before = time.monotonic(), time.process_time(), state.seconds
        while state.step < plan.steps:
            trainer.set_learning_rate(optimizer, state.step, plan.steps, parameters)
            batch = plan.batch(state.step)
            tokens, mask = (torch.from_numpy(one) for one in pad([ids[row] for row in batch], challenger.pad_id))
            asked = {"input_ids": tokens, "attention_mask": mask, "output_hidden_states": True}
            torch.manual_seed((parameters.seed << 32) + state.step)  # so a resumed run draws what it would have
            with torch.autocast("cpu", torch.bfloat16, enabled=precision == "bf16"):
                with torch.no_grad():
                    taught = teacher(**asked)
                learned = learner(**asked)
            loss = functional.cross_entropy(
                learned.logits.float(), torch.from_numpy(rows.labels[batch].astype(np.int64))
            )
            loss = (loss + _answers_apart(learned.logits, taught.logits)) / 2
            for place, hidden in zip(places, learned.hidden_states[1:], strict=True):
                loss = loss + _apart(hidden, taught.hidden_states[place + 1], mask) / len(places)
            torch.autograd.backward(loss)
            torch.nn.utils.clip_grad_norm_(weights, parameters.clip)
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)
            state.step += 1
            if time.monotonic() - saved >= CHECKPOINT_S or state.step == plan.steps:
                state.seconds = before + time.process_time() - used
                trainer.save(checkpoint, identity, learner, optimizer, state)
                saved = time.monotonic()
    learner.eval()
    classifiers.round_weights(student)
    return student, state.seconds


def _answers_apart(logits: torch.Tensor, wanted: torch.Tensor) -> torch.Tensor:
    """The divergence of two softened answers, as large as without the temperature."""
    soft, target = (functional.log_softmax(one.float() / TEMPERATURE, dim=-1) for one in (logits, wanted))
    return functional.kl_div(soft, target, reduction="batchmean", log_target=True) * TEMPERATURE**2


def _apart(hidden: torch.Tensor, wanted: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
    """The squared difference of tokens' values, as a share of their squares; a last layer has the first token only."""
    here = mask[:, : hidden.shape[1]].bool()
    return (hidden.float() - wanted.float())[here].square().mean() / wanted.float()[here].square().mean()


def exported(classifier: Classifier, train: Rows, test: Rows, folder: Path) -> Served:
    """As a job does it."""
    weights = classifiers.save_weights(classifier, folder / "model")
    served, answers = export.export(classifier, test, train.texts, folder / "serving", Clock(), weights=weights)
    weights.rename(served.folder / weights.name)  # as a replica has it
    return Served(served.precision, load(served.folder, "onnx"), answers)


def compared(large: Served, small: Served, test: Rows) -> dict[str, Any]:
    """What is served of the student beside what is served of the challenger."""
    milliseconds = _milliseconds(large.model, small.model, test.texts[:TIMED])
    right = [one.answers.argmax(axis=1) == test.labels for one in (large, small)]
    return {
        "form": small.form,
        "challenger_form": large.form,
        "accuracy": float(right[1].mean()),
        "challenger_accuracy": float(right[0].mean()),
        "p_value": compare.mcnemar(right[1], right[0]),
        "differing": float((small.answers.argmax(axis=1) != large.answers.argmax(axis=1)).mean()),
        "milliseconds": float(np.median(milliseconds[:, 1])),
        "challenger_milliseconds": float(np.median(milliseconds[:, 0])),
        "speedup": float(np.median(milliseconds[:, 0] / milliseconds[:, 1])),
    }


def _milliseconds(large: Model, small: Model, some: Sequence[str]) -> Probabilities:
    """Of each text by each model, [texts, 2]: by turns, the quickest of some, so that other work does not count."""
    found = np.full((len(some), 2), np.inf)
    for _ in range(TIMES):
        for row, text in enumerate(large.encode(list(some))):
            for column, model in enumerate((large, small)):
                start = time.perf_counter()
                model.logits([text])
                found[row, column] = min(found[row, column], (time.perf_counter() - start) * 1e3)
    return found


def report(found: list[dict[str, Any]]) -> str:
    """A line for each student, and the medians of each kind."""
    lines = [_line(COLUMNS), _line(["---"] * len(COLUMNS))]
    groups: dict[tuple[str, int], list[dict[str, Any]]] = {}
    for one in found:
        groups.setdefault((one["student"], one["epochs"]), []).append(one)
        cells = [one["model"], one["student"], one["epochs"], one["form"], f"{one['speedup']:.2f}"]
        lines.append(_line([*cells, f"{_points(one):+.2f}", f"{one['p_value']:.2g}", f"{one['differing']:.1%}"]))
    wanted = f"{FASTER:g} times at {WORSE:g} points"
    titles = (
        "student",
        "epochs",
        "models",
        "times as fast",
        "accuracy, points",
        "seconds of a core",
        wanted,
        "as a form",
    )
    lines += ["", _line(titles), _line(["---"] * len(titles))]
    for (student, epochs), group in groups.items():
        fast, points, seconds = (
            median(one) for one in zip(*((one["speedup"], _points(one), one["seconds"]) for one in group), strict=True)
        )
        worth = "yes" if fast >= FASTER and points >= -WORSE else "no"
        alike = sum(one["differing"] <= DIFFERING and one["p_value"] >= SIGNIFICANCE for one in group)
        cells = [student, epochs, len(group), f"{fast:.2f}", f"{points:+.2f}", f"{seconds:.0f}", worth]
        lines.append(_line([*cells, f"{alike} of {len(group)} pass"]))
    return "\n".join(lines)


def _points(one: dict[str, Any]) -> float:
    return 100 * float(one["accuracy"] - one["challenger_accuracy"])


def _line(cells: Sequence[object]) -> str:
    return f"| {' | '.join(map(str, cells))} |"


if __name__ == "__main__":
    main()
