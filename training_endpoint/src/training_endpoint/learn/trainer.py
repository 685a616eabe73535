"""Fine-tuning: one loop from the first batch to the last, in the order in which it runs.

Texts are tokenised once; batches hold texts of almost equal length, so little is computed on padding. A checkpoint
is written after each epoch and every `CHECKPOINT_S` seconds; from it the run goes on exactly where it was.
Several processes may share the work (`team`): together they compute what one alone would.
"""

import random
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch

from training_endpoint.data.snapshot import Rows
from training_endpoint.errors import OutOfMemory, TrainingFailed
from training_endpoint.learn.classifier import Classifier
from training_endpoint.learn.device import out_of_memory
from training_endpoint.learn.encoding import encode, pad
from training_endpoint.learn.hyperparameters import Hyperparameters
from training_endpoint.learn.lean import lean
from training_endpoint.learn.team import Team

CHECKPOINT_S = 120.0
SAY_S = 1.0
CHECKPOINT = "checkpoint.pt"
FORMAT = 2  # of what a checkpoint holds: one of another format is not resumed
ALONE = Team()


@dataclass(frozen=True)
class Step:
    """Where the training is; `loss` and `samples_per_s` are means since the step before."""

    step: int
    steps: int
    epoch: float
    progress: float
    eta_s: float
    loss: float
    learning_rate: float
    samples_per_s: float
    message: str | None = None


@dataclass
class State:
    """All that a checkpoint holds beside weights and optimiser."""

    step: int = 0
    parts: int = 1
    """Each batch is computed in so many parts: doubled when one does not fit into the memory."""
    seconds: float = 0.0
    losses: list[float] = field(default_factory=list)
    """Mean loss of each step."""
    resumed: int = 0


def seed_all(seed: int) -> None:
    """Makes every random choice of this process repeatable."""
    random.seed(seed)
    np.random.seed(seed)
    torch.manual_seed(seed)


def train(
    classifier: Classifier,
    rows: Rows,
    parameters: Hyperparameters,
    work: Path,
    *,
    device: torch.device,
    precision: str,
    fingerprint: str = "",
    say: Callable[[Step], None] = lambda step: None,
    team: Team = ALONE,
) -> State:
    """Trains `classifier.model` in place on `rows`.

    A checkpoint in `work` is resumed when it was made for the same `fingerprint` (data and start) and `parameters`.
    Raises `OutOfMemory` when not even one text fits, `TrainingFailed` when the loss is no longer a number; a team's
    processes all do, at the same step.
    """
    model = classifier.model.to(device)

    # Texts to ids, and the whole plan of batches: known before the first step, so the end can be told.
    ids = encode(classifier.tokenizer, rows.texts, classifier.max_length)
    data = _Data(classifier, ids, rows.labels, device, precision)
    plan = [batch for epoch in range(parameters.epochs) for batch in batches(ids, parameters, epoch)]
    tokens = np.cumsum([sum(len(ids[index]) for index in batch) for batch in plan])
    steps, per_epoch = len(plan), len(plan) // parameters.epochs
    warmup = max(1, round(parameters.warmup * steps))

    with lean(model, ids):
        # One pass of the optimiser over all weights; biases and norms do not decay.
        weights = [weight for weight in model.parameters() if weight.requires_grad]
        groups = [
            {"params": [weight for weight in weights if weight.ndim > 1], "weight_decay": parameters.weight_decay},
            {"params": [weight for weight in weights if weight.ndim <= 1], "weight_decay": 0.0},
        ]
        optimizer = torch.optim.AdamW(groups, lr=parameters.learning_rate, fused=True)

        identity = f"{FORMAT} {fingerprint} {parameters.as_dict()}"
        state = _resume(work / CHECKPOINT, identity, model, optimizer) or State()
        said = saved = started = time.monotonic()
        before, first, heard = state.seconds, state.step, state.step
        message = f"resumed at step {first} of {steps}" if first else None

        model.train()
        while state.step < steps:
            batch = plan[state.step]
            lr = parameters.learning_rate * min(
                (state.step + 1) / warmup, (steps - state.step) / max(1, steps - warmup)
            )
            for group in optimizer.param_groups:
                group["lr"] = lr

            loss, trouble = _gradients(data, batch, state, optimizer, parameters, team)
            message = trouble or message
            if not np.isfinite(loss):
                raise TrainingFailed(
                    f"The loss became {loss} at step {state.step + 1} of {steps}: lower learning_rate and train again."
                )
            team.sum_gradients(weights)
            torch.nn.utils.clip_grad_norm_(weights, parameters.clip)
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)
            state.losses.append(loss)
            state.step += 1

            now = time.monotonic()
            state.seconds = before + now - started
            at_end = state.step == steps
            if now - said >= SAY_S or at_end or message:
                done = float(tokens[state.step - 1])
                new = done - (float(tokens[first - 1]) if first else 0.0)
                say(
                    Step(
                        step=state.step,
                        steps=steps,
                        epoch=round(state.step / per_epoch, 3),
                        progress=done / float(tokens[-1]),
                        eta_s=(now - started) * (float(tokens[-1]) - done) / new,
                        loss=float(np.mean(state.losses[heard:])),
                        learning_rate=lr,
                        samples_per_s=sum(map(len, plan[heard : state.step])) / max(now - said, 1e-9),
                        message=message,
                    )
                )
                said, heard, message = now, state.step, None
            if team.rank == 0 and (state.step % per_epoch == 0 or now - saved >= CHECKPOINT_S):
                _save(work / CHECKPOINT, identity, model, optimizer, state)
                saved = time.monotonic()
    model.eval()
    return state


def batches(ids: Sequence[Sequence[int]], parameters: Hyperparameters, epoch: int) -> list[list[int]]:
    """One epoch's batches of row indexes: a function of the rows, the seed and the epoch only.

    Rows are shuffled, sorted by length within pools, cut, and the batches shuffled again. The very first batch holds
    the longest rows: if memory does not suffice, that shows at once and not after an hour.
    """
    chance = random.Random(f"{parameters.seed} {epoch}")  # noqa: S311 - no secret
    order = list(range(len(ids)))
    chance.shuffle(order)
    size = parameters.batch_size
    cut: list[list[int]] = []
    for start in range(0, len(order), size * parameters.pool):
        pool = sorted(order[start : start + size * parameters.pool], key=lambda index: -len(ids[index]))
        cut += [pool[first : first + size] for first in range(0, len(pool), size)]
    chance.shuffle(cut)
    if epoch == 0:
        longest = max(
            range(len(cut)), key=lambda number: len(cut[number]) * max(len(ids[index]) for index in cut[number])
        )
        cut[0], cut[longest] = cut[longest], cut[0]
    return cut


@dataclass(frozen=True)
class _Data:
    """What batches are made of: token ids and labels of all rows, and where they are computed."""

    classifier: Classifier
    ids: list[list[int]]
    labels: list[int]
    device: torch.device
    precision: str

    def gradients(self, share: Sequence[int], rows: int, parts: int) -> float:
        """Adds to the weights what `share` has in the gradient of the mean loss of a batch of so many `rows`.

        It is computed part by part; returns the share's part of that loss.
        """
        size = max(1, -(-len(share) // parts))
        total = torch.zeros((), device=self.device)
        for start in range(0, len(share), size):
            part = share[start : start + size]
            arrays = (
                *pad([self.ids[index] for index in part], self.classifier.pad_id, self.classifier.pads_left),
                np.array([self.labels[index] for index in part]),
            )
            tokens, mask, wanted = (torch.from_numpy(array).to(self.device, non_blocking=True) for array in arrays)
            with torch.autocast(self.device.type, torch.bfloat16, enabled=self.precision == "bf16"):
                logits = self.classifier.model(input_ids=tokens, attention_mask=mask).logits
            loss = torch.nn.functional.cross_entropy(logits.float(), wanted, reduction="sum") / rows
            loss.backward()  # type: ignore[no-untyped-call]
            total += loss.detach()
        return float(total)


def _gradients(
    data: _Data,
    batch: Sequence[int],
    state: State,
    optimizer: torch.optim.Optimizer,
    parameters: Hyperparameters,
    team: Team,
) -> tuple[float, str | None]:
    """Leaves this process's gradients in the weights; the whole batch's loss, and what had to change for memory."""
    trouble = None
    while True:
        # Dropout depends on the step alone, so that a resumed run draws what the interrupted one would have.
        torch.manual_seed(random.Random(f"{parameters.seed} {state.step} {team.rank}").getrandbits(63))  # noqa: S311
        loss, short = 0.0, 0.0
        try:
            loss = data.gradients(team.share(batch), len(batch), state.parts)
        except (RuntimeError, MemoryError) as error:
            if not out_of_memory(error):
                raise
            short = 1.0
        # One process without memory is enough: all repeat the batch in smaller parts.
        loss, short = team.sum(loss, short)
        if not short:
            return loss, trouble
        trouble = _halve(state, optimizer, parameters, team)


def _halve(state: State, optimizer: torch.optim.Optimizer, parameters: Hyperparameters, team: Team) -> str:
    """Notes that batches are computed in twice as many parts; the result of a step stays the same."""
    optimizer.zero_grad(set_to_none=True)
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
    share = -(-parameters.batch_size // team.size)
    if state.parts >= share:
        raise OutOfMemory(
            "Not even one text at a time fits into the memory: choose a smaller base_model, "
            "or give the training endpoint more memory."
        )
    state.parts *= 2
    size = -(-share // state.parts)
    return f"out of memory: batches of {parameters.batch_size} are computed {size} at a time now"


def _save(file: Path, identity: str, model: torch.nn.Module, optimizer: torch.optim.Optimizer, state: State) -> None:
    """Writes the checkpoint whole or not at all."""
    part = file.with_suffix(".part")
    content = {
        "identity": identity,
        "model": model.state_dict(),
        "optimizer": optimizer.state_dict(),
        "state": asdict(state),
    }
    torch.save(content, part)
    part.replace(file)


def _resume(file: Path, identity: str, model: torch.nn.Module, optimizer: torch.optim.Optimizer) -> State | None:
    """Restores everything from a checkpoint of the same run; None where there is none."""
    if not file.exists():
        return None
    content: dict[str, Any] = torch.load(file, map_location="cpu", weights_only=True)
    if content["identity"] != identity:
        return None
    model.load_state_dict(content["model"])
    optimizer.load_state_dict(content["optimizer"])
    state = State(**content["state"])
    state.resumed += 1
    return state
