"""What becomes of shadows: labels decide as soon as they can, and each ends with the Champion that it stood against."""

import logging
from collections.abc import Iterable
from contextlib import suppress
from typing import Any

from mlops_contract.store import FilesLost, StoreUnavailable
from training_endpoint import database
from training_endpoint.data import classifiers
from training_endpoint.data.classifiers import Classifier
from training_endpoint.errors import ChampionChanged, LedgerBusy, MlflowUnavailable, NoShadow, UnknownVersion
from training_endpoint.judge import compare
from training_endpoint.judge.evidence import Side, Tally
from training_endpoint.release import inheritance, ledger, peers, versions
from training_endpoint.release.desk import Desk
from training_endpoint.settings import Settings
from training_endpoint.shadow import shadows
from training_endpoint.shadow.shadows import Shadow

LOOK_S = 2.0

log = logging.getLogger(__name__)


def decide(desk: Desk) -> None:
    """Once for every shadow: has it ended with its Champion, have labels decided? Raises `DatabaseUnavailable`."""
    settings, url = desk.settings, desk.settings.database_url
    live = {one.model: one for one in classifiers.live(url)}
    for shadow in shadows.open_ones(url):
        classifier = live.get(shadow.model_name)
        newest = ledger.newest(url, shadow.model_name)
        now = newest.to_version if newest else None
        if not settings.shadow:
            _end(settings, shadow, "SHADOW is off")
        elif classifier is None:
            _end(settings, shadow, "its classifier was retired")
        elif now != shadow.champion_version:
            _end(settings, shadow, shadows.another_champion(now))
        else:
            counted, _ = shadows.tally(url, classifier, shadow)
            side = counted.decides(settings.significance)
            if side and not (side is Side.SHADOW and newest and newest.pinned):
                _carry_out(desk.of(classifier), classifier, shadow, counted, side)
    with database.connect(url) as connection:
        shadows.withdraw(connection)


def _end(settings: Settings, shadow: Shadow, because: str) -> None:
    with database.connect(settings.database_url) as connection:
        ended = shadows.end(connection, shadow.model_name, "ended", because, shadow.version)
    if ended is not None:
        log.info("version %d of %s is the shadow no more: %s", ended, shadow.model_name, because)


def _carry_out(desk: Desk, classifier: Classifier, shadow: Shadow, counted: Tally, side: Side) -> None:
    """The decision in the ledger; the reconciler has it served."""
    settings, promotes = desk.settings, side is Side.SHADOW
    if promotes:
        try:
            voucher = inheritance.voucher(settings, shadow.version)
            with suppress(MlflowUnavailable, StoreUnavailable):  # then the reconciler waits for them
                versions.files(settings, voucher, "serving/")
        except (FilesLost, UnknownVersion) as error:
            _end(settings, shadow, f"it cannot be loaded any more: {error.message}")
            return
    said = sentence(shadow, counted, settings.significance)
    if not promotes:
        said = f"{said}. {compare.override(classifier.name, shadow.version)}"
    proof = {"shadow": _told(shadow) | evidence(counted, settings.significance)}
    try:
        with database.connect(settings.database_url) as connection:
            values = (shadow.model_name, shadow.version, shadow.champion_version, promotes, said, proof)
            ledger.decide_by_labels(connection, *values)
            shadows.withdraw(connection)
            if promotes:
                learned = {"name": classifier.name, "labels": shadows.as_json(shadow.labels)}
                connection.execute(database.query("classifier_learned"), learned)
    except (ChampionChanged, NoShadow, LedgerBusy):  # the next look sees what there is
        return
    desk.reconciler.wake(afresh=True)
    log.info("%s: %s", classifier.name, said)
    headline = ":rocket: Promoted by labels" if promotes else ":shield: Shadow dropped by labels"
    peers.say_in_slack(settings, f"*{settings.model_name}* – {headline} (version {shadow.version})\n{said}")


def sentence(shadow: Shadow, counted: Tally, significance: float) -> str:
    """What labels have decided, for the ledger and for people."""
    better = counted.better >= counted.worse
    evidence = max(counted.better, counted.worse)
    neither = f", {counted.neither} neither" if counted.neither else ""
    return (
        f"{counted.labels} labels on texts that it and the Champion, version {shadow.champion_version}, answer "
        f"differently: version {shadow.version} is right on {counted.won}, the Champion on {counted.lost}{neither}; "
        f"evidence {evidence:.3g} that it is {'better' if better else 'worse'}, {1 / significance:.3g} were asked for"
    )


def evidence(counted: Tally, significance: float) -> dict[str, Any]:
    """What labels say so far: counts, both sides' evidence, and at which one they decide."""
    return {
        "labels": counted.labels,
        "won": counted.won,
        "lost": counted.lost,
        "neither": counted.neither,
        "better": counted.better,
        "worse": counted.worse,
        "decides_at": 1 / significance,
    }


def standing(settings: Settings, classifier: Classifier) -> dict[str, Any] | None:
    """How the shadow of a classifier stands, or what became of the last one; None where there never was one."""
    shadow = shadows.newest(settings.database_url, classifier.model)
    return None if shadow is None else _standing(settings, classifier, shadow)


def all_standing(settings: Settings, live: Iterable[Classifier]) -> dict[str, dict[str, Any]]:
    """Of those classifiers that have a shadow now, by name, how it stands."""
    found = {one.model_name: one for one in shadows.open_ones(settings.database_url)}
    return {one.name: _standing(settings, one, found[one.model]) for one in live if one.model in found}


def _standing(settings: Settings, classifier: Classifier, shadow: Shadow) -> dict[str, Any]:
    counted, waiting = shadows.tally(settings.database_url, classifier, shadow)
    return {
        **_told(shadow),
        **evidence(counted, settings.significance),
        "waiting": waiting,
        "answered": shadow.answered,
        "differed": shadow.differed,
        "began_at": shadow.began_at.isoformat(),
        "ended_at": shadow.ended_at and shadow.ended_at.isoformat(),
        "outcome": shadow.outcome,
        "text": _stands(settings, shadow, counted, waiting),
    }


def _told(shadow: Shadow) -> dict[str, Any]:
    return {"version": shadow.version, "champion_version": shadow.champion_version}


def _stands(settings: Settings, shadow: Shadow, counted: Tally, waiting: int) -> str:
    """A sentence for people, with what there is to do."""
    if shadow.ended_at is not None:
        return f"version {shadow.version} is the shadow no more ({shadow.outcome}): {shadow.because}"
    said = (
        f"version {shadow.version}: {counted.labels} labels, evidence {counted.better:.3g} of "
        f"{1 / settings.significance:.3g} that it is better, {counted.worse:.3g} that it is worse"
    )
    if counted.decides(settings.significance) is Side.SHADOW:
        newest = ledger.newest(settings.database_url, shadow.model_name)
        if newest and newest.pinned:
            return f"{said}; labels have decided for it, but version {newest.to_version} is pinned: sh launch.sh unpin"
    if waiting:
        return f"{said}; next: label {waiting} texts that it and the Champion answer differently, at /console/label"
    if not settings.label_open or not settings.label_shares[0]:
        return f"{said}; nothing is asked for it: LABEL_OPEN or LABEL_DISAGREEMENTS is 0"
    if not shadow.answered:
        return f"{said}; it has answered no text of the log yet: it begins soon, where PREDICTION_LOG=full keeps them"
    return (
        f"{said}; it has answered {shadow.answered} logged texts, {shadow.differed} of them otherwise than the Champion"
    )
