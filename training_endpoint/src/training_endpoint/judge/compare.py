"""Challenger against Champion on the same test rows: is it better, can that be told, and may it be served?"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import lru_cache
from statistics import NormalDist
from typing import Any

import numpy as np
import numpy.typing as npt

from mlops_contract.words import Verdict
from training_endpoint.judge import evaluate, looks
from training_endpoint.judge.checks import Check
from training_endpoint.judge.evaluate import Labels, Probabilities
from training_endpoint.judge.looks import Looks

RESAMPLES = 2000
POWER = 0.8
"""Share of the cases in which `rows_needed` rows would show a true difference of the size that was seen."""


@dataclass(frozen=True)
class Difference:
    """Challenger minus Champion by `metric`, signed so that above 0 is better."""

    metric: str
    value: float
    p_value: float
    """Two-sided; McNemar's exact test for accuracy, by the spread of the paired bootstrap for the other metrics."""
    spread: float
    """Standard error of the difference, paired bootstrap."""
    low: float
    high: float
    """95 % interval of the difference, paired bootstrap."""
    rows_needed: int | None
    """Further test rows that would most likely tell at the level asked for; 0: it can be told now; None: equal."""
    per_class: dict[str, float]
    """Change of each class's recall."""


@dataclass(frozen=True)
class Decision:
    """The verdict, one sentence of reasons for people, and all evidence (JSON-able)."""

    verdict: Verdict
    text: str
    evidence: dict[str, Any]

    def sentence(self, classifier: str, version: int) -> str:
        """The text once the challenger has its version number: what does not serve it ends with what would.

        The classifier is named, since another may be the default one when somebody reads it.
        """
        if self.verdict.moves_champion:
            return self.text
        return f"{self.text}. {override(classifier, version)}"


def override(classifier: str, version: int) -> str:
    """What serves a version that was refused, as a refusal's last sentence."""
    return f'To serve it all the same: sh launch.sh promote {version} --classifier {classifier} --reason "…"'


def mcnemar(challenger_right: npt.NDArray[np.bool_], champion_right: npt.NDArray[np.bool_]) -> float:
    """Exact two-sided p-value of McNemar's test; 1 when both answer the same rows right (Dietterich 1998)."""
    won = int((challenger_right & ~champion_right).sum())
    lost = int((~challenger_right & champion_right).sum())
    return exact(won, lost)


@lru_cache(maxsize=4096)
def exact(won: int, lost: int) -> float:
    """The same for the numbers of rows that only the challenger, and only the Champion, answers right."""
    from scipy.stats import binomtest  # noqa: PLC0415 - takes a second

    return float(binomtest(won, won + lost, 0.5).pvalue) if won + lost else 1.0


def level(policy: str, significance: float, known: Looks) -> float:
    """The p-value that a gain must not exceed under a policy: sequential, better, significant or always."""
    if policy == "sequential":
        return looks.level(known, significance)
    return significance if policy == "significant" else 1.0


def promotes(policy: str, gain: float, p_value: float, asked: float) -> bool:
    """Whether a challenger that passed its checks becomes the Champion; `asked` is the policy's `level`."""
    return policy == "always" or (gain > 0 and p_value <= asked)


def difference(
    challenger: Probabilities,
    champion: Probabilities,
    labels: Labels,
    label_names: Sequence[str],
    metric: str,
    level: float,
) -> Difference:
    """Both models' probabilities [rows, labels] on the same rows with true `labels`; `level` is for `rows_needed`."""
    value = _score(metric, challenger, labels) - _score(metric, champion, labels)
    draws = _resampled(metric, challenger, champion, labels)
    spread = float(draws.std())
    right = [probabilities.argmax(axis=1) == labels for probabilities in (challenger, champion)]
    if metric == "accuracy":
        p_value = mcnemar(right[0], right[1])
    else:
        # Resamples beyond 0 cannot be counted as finely as the levels of many looks ask for.
        p_value = math.erfc(abs(value) / spread / math.sqrt(2)) if spread else float(value == 0)
    low, high = np.quantile(draws, [0.025, 0.975])
    needed = None
    if value != 0:
        quantiles = NormalDist().inv_cdf(1 - level / 2) + NormalDist().inv_cdf(POWER)
        total = int(np.ceil((quantiles * spread * np.sqrt(len(labels)) / value) ** 2))
        needed = 0 if p_value <= level else max(total - len(labels), 1)
    changes = {
        name: float(right[0][labels == index].mean() - right[1][labels == index].mean())
        for index, name in enumerate(label_names)
        if (labels == index).any()
    }
    return Difference(metric, float(value), p_value, spread, float(low), float(high), needed, changes)


def decide(
    policy: str,
    significance: float,
    checks: Sequence[Check],
    found: Difference | None,
    metrics: Mapping[str, float],
    champion_metrics: Mapping[str, float] | None,
    known: Looks = looks.FIRST,
    new_classes: Sequence[str] = (),
) -> Decision:
    """The verdict by `policy`: sequential, better, significant or always. `found` is None where there is no Champion.

    `known` says what the ledger knows of these rows. `new_classes` are those that the Champion cannot answer: under the
    default policy, sequential, they are reason enough where the rest is not told to be worse.
    """
    failed = [check for check in checks if not check.passed and check.blocks]
    asked = level(policy, significance, known)
    if failed:
        verdict = Verdict.KEPT_FAILED_CHECK
        text = "not served: " + "; ".join(f"{check.name} ({check.detail})" for check in failed)
    elif found is None:
        verdict = Verdict.FIRST_CHAMPION
        text = f"the first Champion, accuracy {metrics['accuracy']:.3f}"
    else:
        worse = found.value < 0 and found.p_value < significance
        gained = promotes(policy, found.value, found.p_value, asked)
        promoted = gained or (policy == "sequential" and bool(new_classes) and not worse)
        verdict = Verdict.PROMOTED if promoted else Verdict.KEPT_WORSE if worse else Verdict.KEPT_NO_DIFFERENCE
        text = _sentence(found, metrics, champion_metrics or {}, policy, asked, known)
    if new_classes and found is not None:
        text += f"; learned the new {'classes' if len(new_classes) > 1 else 'class'} {', '.join(new_classes)}"
    warnings = [check for check in checks if not check.passed and not check.blocks]
    text += "".join(f"; warning: {check.name} ({check.detail})" for check in warnings)
    evidence = {
        "policy": policy,
        "significance": significance,
        "level": asked,
        "looks": asdict(known),
        "flattery": looks.flattery(found.spread, known) if found else None,
        "metrics": dict(metrics),
        "champion_metrics": dict(champion_metrics) if champion_metrics else None,
        "difference": asdict(found) if found else None,
        "checks": [asdict(check) for check in checks],
    }
    return Decision(verdict, text, evidence)


def _sentence(
    found: Difference,
    metrics: Mapping[str, float],
    champion_metrics: Mapping[str, float],
    policy: str,
    asked: float,
    known: Looks,
) -> str:
    text = (
        f"{found.metric} {metrics[found.metric]:.4f} against {champion_metrics[found.metric]:.4f} of the Champion, "
        f"difference {found.value:+.4f} (95 % interval {found.low:+.4f} to {found.high:+.4f}, p = {found.p_value:.3g})"
    )
    if policy == "sequential" and found.value > 0:
        text += f"; {_asked(asked, known)}"
    if found.rows_needed:
        text += f"; inside the noise, about {found.rows_needed:,} more test rows would tell"
    if found.spread:
        times = round(known.earlier) + 1
        text += (
            f"; compared {times} time{'s' * (times > 1)} on these test rows, "
            f"the Champion's {found.metric} may be flattered by up to {looks.flattery(found.spread, known):.4f}"
        )
    return text


def _asked(asked: float, known: Looks) -> str:
    """What the sequential policy asks of a gain, and why."""
    enough = "any gain will do" if asked >= 1 else f"p up to {asked:.2g} will do"
    return f"{known.fresh:.0%} of the training rows are new to the Champion, so {enough}" if known.fresh else enough


def _score(metric: str, probabilities: Probabilities, labels: Labels) -> float:
    """The metric, with the sign turned where less is better."""
    value = evaluate.metrics(probabilities, labels)[metric]
    return -value if metric == "log_loss" else value


def _resampled(metric: str, challenger: Probabilities, champion: Probabilities, labels: Labels) -> Probabilities:
    """The difference in `RESAMPLES` paired bootstrap samples of the rows.

    Accuracy and F1 depend only on how often each (label, answer, answer) occurs, so those counts are drawn.
    """
    chance = np.random.default_rng(0)
    if metric == "log_loss":
        gains = evaluate.log_losses(champion, labels) - evaluate.log_losses(challenger, labels)
        return np.array([gains[chance.integers(0, len(gains), len(gains))].mean() for _ in range(RESAMPLES)])
    answers = np.stack([labels, challenger.argmax(axis=1), champion.argmax(axis=1)])
    (label, first, second), counts = np.unique(answers, axis=1, return_counts=True)
    drawn = chance.multinomial(len(labels), counts / len(labels), RESAMPLES)
    if metric == "accuracy":
        gains = (first == label).astype(float) - (second == label)
        return np.asarray(drawn @ gains / len(labels))
    classes = challenger.shape[1]
    return np.array(
        [
            evaluate.macro_f1(first, label, classes, weights) - evaluate.macro_f1(second, label, classes, weights)
            for weights in drawn
        ]
    )
