"""The shadow at work: `python -m training_endpoint.shadow.answering CLASSIFIER`, a process of the lowest priority.

It loads the version that the ledger vouches for, answers logged texts again for at most ROUND_S seconds, or until the
queue of what to label has no room, and adds those to it on which it differs from the Champion. Then it ends, so that
its memory is free again.
Stopped anywhere, it goes on from where it was: a text is in the queue once, however often it was looked at.
"""

import logging
import os
import signal
import sys
import time
from contextlib import suppress
from functools import partial
from pathlib import Path

from psycopg.types.json import Jsonb

from mlops_contract.errors import PlatformError
from mlops_contract.store import FilesLost
from model_runner import CannotServe, Model, gather, load, scores
from training_endpoint import database, process
from training_endpoint.data import classifiers, lineage
from training_endpoint.data.classifiers import Classifier
from training_endpoint.errors import UnknownVersion
from training_endpoint.labelling import items, pick
from training_endpoint.labelling.items import New
from training_endpoint.release import inheritance, versions
from training_endpoint.settings import Settings
from training_endpoint.shadow import shadows, texts
from training_endpoint.shadow.shadows import Shadow
from training_endpoint.shadow.texts import Answer, Learned

ROUND_S = 30.0
AT_ONCE = 64

log = logging.getLogger(__name__)


def main(name: str, settings: Settings) -> None:
    """One round. Raises `PlatformError`s for what may pass; a shadow that cannot be loaded ends."""
    end = time.monotonic() + ROUND_S
    url = settings.database_url
    classifier = classifiers.get(url, name)
    settings = classifier.settings(settings)
    shadow = shadows.current(url, classifier.model)
    if shadow is None:
        return
    try:
        model, learned = _loaded(settings, shadow)
    except (FilesLost, UnknownVersion, CannotServe) as error:
        with database.connect(url) as connection:
            because = f"it cannot be loaded any more: {error.message}"
            shadows.end(connection, classifier.model, "ended", because, shadow.version)
        return
    while time.monotonic() < end and (room := pick.room(settings, classifier.name, "disagreement")):
        if not step(url, classifier, shadow, model, learned, room):
            return
        again = shadows.current(url, classifier.model)
        if again is None or again.id != shadow.id:
            return
        shadow = again


def step(
    url: str, classifier: Classifier, shadow: Shadow, model: Model, learned: Learned, room: int | None = None
) -> bool:
    """Answers the next few texts, no more than may be added to the queue; whether there were any."""
    found = texts.following(url, classifier, shadow, min(AT_ONCE, room or AT_ONCE))
    if not found:
        return False
    asked = {one.text: one for one in found if one.text and one.text.strip() and not learned.has(one.text)}
    asked = {text: one for text, one in asked.items() if len(text.encode()) <= pick.LARGEST}
    new = {text: one for text, one in asked.items() if not pick.for_audits(classifier, text)}
    labels = [model.labels[index] for index in scores(model, list(new), 1).argmax(axis=1)] if new else []
    differ = [(one, label) for one, label in zip(new.values(), labels, strict=True) if label != one.label]
    added = items.add(url, classifier.name, [_item(shadow, *one) for one in differ])
    with database.connect(url) as connection:
        for one, label in differ:
            connection.execute(database.query("shadow_takes_over"), _taken_over(classifier, shadow, one, label))
        last = found[-1]
        seen = {"at": last.at, "request": last.request_id, "place": last.place}
        counted = {"answered": len(new), "differed": len(differ)}
        connection.execute(database.query("shadow_seen"), {"id": shadow.id, **seen, **counted})
    log.info("version %d answered %d texts, %d of them otherwise, %d new", shadow.version, len(new), len(differ), added)
    return True


def _loaded(settings: Settings, shadow: Shadow) -> tuple[Model, Learned]:
    voucher = inheritance.voucher(settings, shadow.version)
    behind = versions.files(settings, voucher, f"{lineage.FOLDER}/") / lineage.FOLDER
    fields = lineage.fields(behind)
    learned = Learned(lineage.hashes_of(behind), fields["label_names"], fields["max_text_chars"])
    return load(gather(partial(versions.files, settings, voucher), "onnx"), "onnx"), learned


def _item(shadow: Shadow, answer: Answer, label: str) -> New:
    return New(
        reason="disagreement",
        text=answer.text or "",
        request_id=answer.request_id,
        place=answer.place,
        answered_at=answer.at,
        champion_version=shadow.champion_version,
        champion_label=answer.label,
        champion_scores=answer.scores,
        shadow_version=shadow.version,
        shadow_label=label,
        priority=answer.priority,
    )


def _taken_over(classifier: Classifier, shadow: Shadow, answer: Answer, label: str) -> dict[str, object]:
    item = {name: value for name, value in vars(_item(shadow, answer, label)).items() if name != "text"}
    scores = Jsonb(answer.scores)
    return {**item, "champion_scores": scores, "classifier": classifier.name, "text_hash": answer.digest}


if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    process.die_with_parent(signal.SIGKILL)
    os.nice(19)
    with suppress(OSError):  # the first to go when memory is short
        Path("/proc/self/oom_score_adj").write_text("800")
    try:
        main(sys.argv[1], Settings.from_env(os.environ))
    except PlatformError as error:
        sys.exit(error.message)
