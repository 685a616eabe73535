"""Which labels a person may choose from, and when a new one is one."""

from training_endpoint import database
from training_endpoint.data.classifiers import Classifier
from training_endpoint.data.labels import label_names
from training_endpoint.data.sources.names import same_label
from training_endpoint.errors import NewLabel
from training_endpoint.labelling.items import Item


def known(url: str, classifier: Classifier, item: Item | None = None) -> list[str]:
    """Those that were learned, in their order, then those of the answer, then those that people have named since."""
    with database.connect(url) as connection:
        rows = connection.execute(database.query("items_labels"), {"classifier": classifier.name}).fetchall()
    answered = sorted(item.champion_scores or {}) if item else []
    given = [item.given_label] if item and item.given_label is not None else []
    return list(dict.fromkeys([*label_names(classifier.labels), *answered, *given, *(row["label"] for row in rows)]))


def check(label: str, names: list[str], *, new: bool, sure: bool) -> None:
    """Raises `NewLabel` for one that is not known, unless it is meant as `new`; for one that looks like a known one,
    unless the person is also `sure`."""
    if label in names:
        return
    alike = next((name for name in names if same_label(name) == same_label(label)), None)
    if alike is not None and not sure:
        raise NewLabel(
            f"{label!r} differs from {alike!r} by case or blanks alone, and would be another class: choose {alike!r}, "
            "or say that you are sure."
        )
    if not new:
        raise NewLabel(f"There is no class {label!r} yet: say that it is new.")
