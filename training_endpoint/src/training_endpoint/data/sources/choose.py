"""Which columns of a dataset are the text and the label, and which says to what part a row belongs."""

from training_endpoint.data.sources import names, words
from training_endpoint.data.sources.columns import MOST_CLASSES, Column
from training_endpoint.data.sources.part import Part
from training_endpoint.errors import ImportFailed, MissingColumn, OneClass

TEXT_NAMES = ("text", "sentence", "review", "content", "body", "comment", "message", "tweet", "document", "question")
LABEL_NAMES = ("label", "labels", "class", "category", "sentiment", "target", "intent", "topic", "rating", "stars")
SPLIT_NAMES = ("split", "part", "subset", "fold", "partition", "set", "dataset_split")


def choose(columns: dict[str, Column], part: Part, text: str, label: str) -> tuple[str, str]:
    """The names of the text and the label column of `part`, each as given, or found when '' was given.

    A text column is the one with a usual name, else the one with most characters. A label column is one whose classes
    the source declares, else one with a usual name, else the one of fewest values. Raises `MissingColumn`,
    `ImportFailed` or `OneClass`.
    """
    own = [columns[name] for name in part.columns]
    listed = ", ".join(part.columns)
    text, label = (_given(wanted, part.columns) for wanted in (text, label))
    for wanted, setting in ((text, "TEXT_COLUMN"), (label, "LABEL_COLUMN")):
        if wanted and wanted not in part.columns:
            raise MissingColumn(f"The dataset has no column {wanted!r}: its columns are {listed}. Correct {setting}.")
    if not label:
        label = _label(own, part, text)
    if not text:
        texts = [
            column
            for column in own
            if column.sql_type == "text" and column.name != label and column.characters and not column.nested
        ]
        if not texts:
            raise MissingColumn(f"No column of the dataset holds text: its columns are {listed}. Set TEXT_COLUMN.")
        text = _usual(texts, TEXT_NAMES) or max(texts, key=lambda column: column.characters).name
    if text == label:
        raise ImportFailed(f"Text and label are the same column {text!r}: set TEXT_COLUMN or LABEL_COLUMN to another.")
    if columns[text].nested:
        raise ImportFailed(f"Column {text!r} holds lists or objects: set TEXT_COLUMN to a column of texts.")
    if columns[text].sql_type == "bytea":
        raise ImportFailed(f"Column {text!r} holds bytes that are not UTF-8: set TEXT_COLUMN to a column of texts.")
    _check_classes(columns[label])
    return text, label


def part_column(columns: dict[str, Column]) -> str:
    """The column that says which rows are for the training and which for a test, '' where there is none."""
    found = [
        column.name
        for column in columns.values()
        if column.name.lower() in SPLIT_NAMES
        and any(words.is_train(value) for value in column.values)
        and any(words.test_rank(value) is not None for value in column.values)
        and all(words.is_train(value) or words.test_rank(value) is not None for value in column.values)
    ]
    return found[0] if found else ""


def _given(wanted: str, columns: list[str]) -> str:
    """The column that a person means by a name: as it stands, as it was fitted, or but for capitals and accents."""
    fitted = wanted if not wanted or wanted in columns else names.one(wanted) or wanted
    alike = [column for column in columns if names.same(column) == names.same(wanted)]
    return alike[0] if wanted and fitted not in columns and len(alike) == 1 else fitted


def _check_classes(label: Column) -> None:
    if label.nested:
        raise ImportFailed(
            f"Column {label.name!r} holds lists or objects, and a text has one label here: set LABEL_COLUMN to a "
            "column with one class a row."
        )
    if label.sql_type == "double precision" and len(label.spellings) > len(label.values):
        label.types.add("text")  # 1.1 and 1.10 are two labels, as versions are
        label.values = label.spellings
    if len(label.labels) < 2:
        raise OneClass(
            f"Column {label.name!r} has {f'one value only, {min(label.labels)!r}' if label.labels else 'no value'}: "
            "training needs two classes. Add rows, or set LABEL_COLUMN to another column."
        )
    if len(label.labels) > MOST_CLASSES:
        raise ImportFailed(
            f"Column {label.name!r} has more than {MOST_CLASSES} different values: that is no label. "
            "Set LABEL_COLUMN to another column."
        )


def _label(own: list[Column], part: Part, text: str) -> str:
    possible = [column for column in own if column.name != text and 1 <= len(column.labels) <= MOST_CLASSES]
    declared = [column.name for column in possible if column.name in part.classes]
    found = declared[0] if declared else _usual(possible, LABEL_NAMES)
    if found:
        return found
    by_part = part_column({column.name: column for column in own})
    several = [
        column
        for column in possible
        if len(column.labels) > 1
        and not column.nested
        and column.name != by_part
        and column.name.lower() not in TEXT_NAMES
    ]
    if not several:
        listed = ", ".join(part.columns)
        raise MissingColumn(
            f"No column of the dataset looks like a label (2 to {MOST_CLASSES} different values): "
            f"its columns are {listed}. Set LABEL_COLUMN."
        )
    return min(several, key=lambda column: len(column.labels)).name


def _usual(columns: list[Column], wanted: tuple[str, ...]) -> str | None:
    by_name = {column.name.lower(): column.name for column in columns}
    return next((by_name[name] for name in wanted if name in by_name), None)
