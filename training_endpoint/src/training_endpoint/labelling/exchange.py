"""The queue out of the database as rows of a file, and labels from a file into it: all of them, or none."""

from collections.abc import Iterator, Sequence
from typing import Any

from training_endpoint import database
from training_endpoint.data import classifiers
from training_endpoint.data.classifiers import Classifier
from training_endpoint.errors import NewLabel
from training_endpoint.labelling import classes, files
from training_endpoint.labelling.files import Said
from training_endpoint.labelling.items import Item

AT_ONCE = 500
MOST_LABEL = 200
MOST_WHO = 200
MOST_TOLD = 100


def waiting(url: str, classifier: str, most: int | None) -> Iterator[dict[str, Any]]:
    """{"item", "text"} of what waits and is on nobody's screen, of each reason the first ones first.

    What was labelled since the first was read is left out. It is read piece by piece: nothing is kept waiting.
    """
    with database.connect(url) as connection:
        rows = connection.execute(database.query("exchange_ids"), {"classifier": classifier, "most": most}).fetchall()
    numbers = [row["id"] for row in rows]
    return (row for start in range(0, len(numbers), AT_ONCE) for row in _texts(url, numbers[start : start + AT_ONCE]))


def take(url: str, said: Sequence[Said], who: str, *, new: bool) -> dict[str, Any]:
    """Labels the items that wait still, in one transaction; `who` labelled where the file does not say it.

    `new`: labels that no class has yet are meant as new ones. Returns {"labelled", "known", "without", "gone"}, counts,
    and sentences, {"several", "kept"}: people chose several labels, or a person has labelled it otherwise already.
    Raises `BadFile` with all that is wrong by its line, and nothing has changed.
    """
    counts = dict.fromkeys(("labelled", "known", "without", "gone"), 0)
    several: list[str] = []
    kept: list[str] = []
    bad: list[str] = []
    names: dict[str, list[str]] = {}
    with database.connect(url) as connection:
        asked = {"ids": sorted({one.item for one in said})}
        rows = connection.execute(database.query("exchange_lock"), asked).fetchall()
        found = {row["id"]: Item.of(row) for row in rows}
        chosen: dict[int, Said] = {}
        for one in said:
            item = found.get(one.item)
            if item is None:
                bad.append(f"{one.where}: the queue has no item {one.item} (any more)")
            elif one.text.strip() and item.text is not None and not files.same_text(one.text, item.text):
                bad.append(f"{one.where}: the text is not that of item {one.item}")
            elif not one.labels:
                counts["without"] += 1
            elif len(one.labels) > 1:
                several.append(f"{one.where}: {' and '.join(map(repr, one.labels))}")
            elif trouble := _unfit(url, item, one.labels[0], names, new=new):
                bad.append(f"{one.where}: {trouble}")
            elif (earlier := chosen.setdefault(one.item, one)).labels != one.labels:
                bad.append(f"{one.where}: item {one.item} is labelled {earlier.labels[0]!r} in {earlier.where}")
        files.refuse(bad)
        live = {classifier.name for classifier in classifiers.live(url)}
        written: list[tuple[int, str, str]] = []
        for number, one in chosen.items():
            item, label = found[number], one.labels[0]
            wanted = item.dropped_at is None and item.classifier in live
            if not wanted or (item.label is None and item.text is None):
                counts["gone"] += 1  # also with a label, which its table refused
            elif item.label is not None:
                counts["known"] += item.label == label
                if item.label != label:
                    kept.append(f"{one.where}: {item.labeller} has labelled it {item.label!r}")
            else:
                written.append((number, label, one.labeller[:MOST_WHO] or who))
        ids, labels, people = ([one[place] for one in written] for place in range(3))
        connection.execute(database.query("exchange_label"), {"ids": ids, "labels": labels, "people": people})
        counts["labelled"] = len(written)
    return {**counts, "several": several[:MOST_TOLD], "kept": kept[:MOST_TOLD]}


def _texts(url: str, numbers: Sequence[int]) -> list[dict[str, Any]]:
    with database.connect(url) as connection:
        return connection.execute(database.query("exchange_texts"), {"ids": list(numbers)}).fetchall()


def _unfit(url: str, item: Item, label: str, names: dict[str, list[str]], *, new: bool) -> str:
    """Why the item cannot have that label; empty where it can."""
    if item.classifier not in names:
        names[item.classifier] = classes.known(url, _of(url, item))
    answered = [*(item.champion_scores or {}), *([item.given_label] if item.given_label else [])]
    if label in (item.label, *answered, *names[item.classifier]):
        return ""
    if len(label) > MOST_LABEL or not files.printable(label):
        return f"a label has at most {MOST_LABEL} characters, and none that cannot be printed"
    try:
        classes.check(label, names[item.classifier], new=new, sure=False)
    except NewLabel as error:
        return error.message.rstrip(".")
    names[item.classifier].append(label)  # another spelling further down is one of it
    return ""


def _of(url: str, item: Item) -> Classifier:
    return classifiers.get(url, item.classifier, retired=True)
