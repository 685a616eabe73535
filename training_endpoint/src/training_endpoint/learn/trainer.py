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
import numpy.typing as npt
import torch

from training_endpoint.data.rows import Rows
from training_endpoint.errors import OutOfMemory, TrainingFailed
from training_endpoint.learn.classifier import Classifier
from training_endpoint.learn.device import out_of_memory
from training_endpoint.learn.encoding import Lengths, Tokens, encode, pad
from training_endpoint.learn.hyperparameters import Hyperparameters
from training_endpoint.learn.lean import lean
from training_endpoint.learn.team import Team

CHECKPOINT_S = 120.0
SAY_S = 1.0
CHECKPOINT = "checkpoint.pt"
FORMAT = 3  # of what a checkpoint holds: one of another format is not resumed
ALONE = Team()

Indexes = npt.NDArray[np.uint32]
"""Of a batch's rows; longer texts come first."""


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

    # Texts to ids, and how many batches they make: known before the first step, so the end can be told.
    ids = encode(classifier.tokenizer, rows.texts, classifier.max_length, work)
    data = _Data(classifier, ids, rows.labels, device, precision)
    plan = Plan(ids.lengths, parameters)
    steps, per_epoch = plan.steps, plan.per_epoch

    with lean(model, ids):
        weights = [weight for weight in model.parameters() if weight.requires_grad]
        optimizer = adamw(weights, parameters)
        identity = f"{FORMAT} {fingerprint} {parameters.as_dict()}"
        state = resume(work / CHECKPOINT, identity, model, optimizer) or State()
        said = saved = started = time.monotonic()
        before, first, heard, samples = state.seconds, state.step, state.step, 0
        all_tokens, first_tokens = plan.tokens(steps), plan.tokens(first)
        message = f"resumed at step {first} of {steps}" if first else None

        model.train()
        while state.step < steps:
            batch = plan.batch(state.step)
            lr = set_learning_rate(optimizer, state.step, steps, parameters)
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
            samples += len(batch)

            now = time.monotonic()
            state.seconds = before + now - started
            at_end = state.step == steps
            if now - said >= SAY_S or at_end or message:
                done = plan.tokens(state.step)
                say(
                    Step(
                        step=state.step,
                        steps=steps,
                        epoch=round(state.step / per_epoch, 3),
                        progress=done / all_tokens,
                        eta_s=(now - started) * (all_tokens - done) / (done - first_tokens),
                        loss=float(np.mean(state.losses[heard:])),
                        learning_rate=lr,
                        samples_per_s=samples / max(now - said, 1e-9),
                        message=message,
                    )
                )
                said, heard, samples, message = now, state.step, 0, None
            if team.rank == 0 and (state.step % per_epoch == 0 or now - saved >= CHECKPOINT_S):
                save(work / CHECKPOINT, identity, model, optimizer, state)
                saved = time.monotonic()
    model.eval()
    return state


def adamw(weights: Sequence[torch.nn.Parameter], parameters: Hyperparameters) -> torch.optim.Optimizer:
    """One pass over all `weights`; biases and norms do not decay."""
    groups = [
        {"params": [weight for weight in weights if weight.ndim > 1], "weight_decay": parameters.weight_decay},
        {"params": [weight for weight in weights if weight.ndim <= 1], "weight_decay": 0.0},
    ]
    return torch.optim.AdamW(groups, lr=parameters.learning_rate, fused=True)


def set_learning_rate(optimizer: torch.optim.Optimizer, step: int, steps: int, parameters: Hyperparameters) -> float:
    """That of a step, which it returns: up over the warm-up, then down to nothing at the end."""
    warmup = max(1, round(parameters.warmup * steps))
    lr = parameters.learning_rate * min((step + 1) / warmup, (steps - step) / max(1, steps - warmup))
    for group in optimizer.param_groups:
        group["lr"] = lr
    return lr


class Plan:
    """Which rows each step takes: a function of lengths, seed and step. One epoch is held at a time."""

    def __init__(self, lengths: Lengths, parameters: Hyperparameters) -> None:
        self._lengths, self._parameters = lengths, parameters
        self.per_epoch = -(-len(lengths) // parameters.batch_size)
        self.steps = self.per_epoch * parameters.epochs
        self._total = float(lengths.sum())
        self._epoch = -1
        self._batches: list[Indexes] = []
        self._tokens = np.zeros(1)

    def batch(self, step: int) -> Indexes:
        """The rows of a step."""
        self._go_to(step // self.per_epoch)
        return self._batches[step % self.per_epoch]

    def tokens(self, steps: int) -> float:
        """So many the first `steps` steps compute on."""
        epochs, rest = divmod(steps, self.per_epoch)
        if not rest:
            return epochs * self._total
        self._go_to(epochs)
        return epochs * self._total + float(self._tokens[rest - 1])

    def _go_to(self, epoch: int) -> None:
        if epoch != self._epoch:
            self._epoch, self._batches = epoch, batches(self._lengths, self._parameters, epoch)
            self._tokens = np.cumsum([self._lengths[batch].sum() for batch in self._batches])


def batches(lengths: Lengths, parameters: Hyperparameters, epoch: int) -> list[Indexes]:
    """One epoch's batches of row indexes: a function of the lengths, the seed and the epoch only.

    Rows are shuffled, sorted by length within pools, cut, and the batches shuffled again. The very first batch holds
    the longest rows: if memory does not suffice, that shows at once and not after an hour.
    """
    chance = np.random.default_rng([parameters.seed, epoch])
    order = np.arange(len(lengths), dtype=np.uint32)
    chance.shuffle(order)
    size = parameters.batch_size
    for start in range(0, len(order), size * parameters.pool):
        pool = order[start : start + size * parameters.pool]
        pool[:] = pool[np.argsort(-lengths[pool], kind="stable")]
    cut = [order[start : start + size] for start in range(0, len(order), size)]
    cut = [cut[place] for place in chance.permutation(len(cut))]
    if epoch == 0:
        longest = max(range(len(cut)), key=lambda number: len(cut[number]) * lengths[cut[number][0]])
        cut[0], cut[longest] = cut[longest], cut[0]
    return cut


@dataclass(frozen=True)
class _Data:
    """What batches are made of: token ids and labels of all rows, and where they are computed."""

    classifier: Classifier
    ids: Tokens
    labels: npt.NDArray[np.int32]
    device: torch.device
    precision: str

    def gradients(self, share: Indexes, rows: int, parts: int) -> float:
        """Adds to the weights what `share` has in the gradient of the mean loss of a batch of so many `rows`.

        It is computed part by part; returns the share's part of that loss.
        """
        size = max(1, -(-len(share) // parts))
        total = torch.zeros((), device=self.device)
        for start in range(0, len(share), size):
            part = share[start : start + size]
            arrays = (
                *pad([self.ids[index] for index in part], self.classifier.pad_id, self.classifier.pads_left),
                self.labels[part].astype(np.int64),
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
    batch: Indexes,
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


def save(file: Path, identity: str, model: torch.nn.Module, optimizer: torch.optim.Optimizer, state: State) -> None:
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


def resume(file: Path, identity: str, model: torch.nn.Module, optimizer: torch.optim.Optimizer) -> State | None:
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
