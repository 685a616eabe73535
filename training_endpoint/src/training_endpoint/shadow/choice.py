"""Whether a challenger becomes the shadow: the test rows cannot tell it from the Champion, and no shadow is better."""

from dataclasses import dataclass, field
from typing import Any

from mlops_contract.store import FilesLost
from mlops_contract.words import Verdict
from model_runner import CannotServe
from training_endpoint.data.snapshot import Snapshot
from training_endpoint.errors import UnknownVersion
from training_endpoint.judge import evaluate
from training_endpoint.judge.evaluate import Labels, Probabilities
from training_endpoint.release import opponent
from training_endpoint.release.opponent import Opponent
from training_endpoint.settings import Settings
from training_endpoint.shadow import shadows

POSSIBLE = (Verdict.KEPT_NO_DIFFERENCE, Verdict.KEPT_PINNED)


@dataclass(frozen=True)
class Choice:
    """`begins`: the challenger is the shadow from now on; `text` says so, or why not, in a verdict's sentence."""

    begins: bool = False
    text: str = ""
    evidence: dict[str, Any] = field(default_factory=dict)


def choose(
    settings: Settings,
    verdict: Verdict,
    answers: Probabilities,
    labels: Labels,
    champion: Opponent | None,
    now: int | None,
    snapshot: Snapshot,
) -> Choice:
    """`answers` [test rows, labels] are the challenger's; `now` is the Champion that the ledger names.

    One of another PROMOTION_METRIC than accuracy has no shadow, since who is right is all that labels of single texts
    can tell; nor has one whose Champion could not be loaded.
    """
    if not settings.shadow or settings.promotion_metric != "accuracy" or verdict not in POSSIBLE:
        return Choice()
    if champion is None or champion.probabilities is None or champion.version != now:
        return Choice()
    began = "it is the shadow now: labels on what it and the Champion answer differently decide"
    before = shadows.current(settings.database_url, settings.model_name)
    if before is None or before.champion_version != now:
        return Choice(True, began)
    mine = evaluate.metrics(answers, labels)["accuracy"]
    try:
        _, found = opponent.of(settings, before.version, snapshot.test.texts, snapshot.label_names)
    except (FilesLost, UnknownVersion, CannotServe):
        return Choice(True, f"{began}, in place of version {before.version}, which cannot be loaded any more")
    theirs = evaluate.metrics(found, labels)["accuracy"]
    evidence = {"shadow": {"version": before.version, "accuracy": theirs}}
    if mine > theirs:
        return Choice(True, f"{began}, in place of version {before.version} with {theirs:.4f}", evidence)
    return Choice(False, f"version {before.version} stays the shadow, with {theirs:.4f}", evidence)
