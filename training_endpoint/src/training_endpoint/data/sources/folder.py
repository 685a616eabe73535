"""A folder or a zip of files: which of them are for the training, which for the test, which are passed over."""

import os
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path, PurePosixPath

from training_endpoint.data.sources import encoding, words
from training_endpoint.data.sources import file as files
from training_endpoint.data.sources.file import File
from training_endpoint.data.sources.part import Part, Row, alike, join
from training_endpoint.data.sources.problems import Problems
from training_endpoint.errors import ImportFailed

NOT_UTF8 = "texts are not UTF-8; what does not fit was taken for cp1252"
LONGEST_TEXT = 16 * 1024 * 1024
SHOWN = 5

Reader = Callable[[File], Part]


def listed(folder: Path) -> tuple[list[File], list[str]]:
    """The files in and below a folder, and a word about each that cannot be read, or that leads out of it."""
    found: list[File] = []
    notes: list[str] = []

    def unreadable(error: OSError) -> None:
        notes.append(f"{files.printable(str(error.filename))} was passed over: {error.strerror}.")

    for home, folders, names in os.walk(folder, onerror=unreadable):
        folders.sort()
        for name in sorted(names):
            path = Path(home, name)
            try:
                inside = path.resolve(strict=True).is_relative_to(folder)
                if path.is_file() and inside:
                    found.append(files.on_disk(path, folder))
                elif not inside:
                    notes.append(f"{files.printable(name)} was passed over: it is a link out of the folder.")
            except (OSError, RuntimeError) as error:
                notes.append(f"{files.printable(name)} was passed over: {getattr(error, 'strerror', None) or error}.")
    return found, notes


def parts(name: str, found: list[File], kinds: Mapping[str, Reader]) -> tuple[Part, list[Part]]:
    """The training part and the candidates for the test part, the best first; raises `ImportFailed`."""
    found = [file for file in found if not _hidden(file)]
    tables = [file for file in found if file.kind in kinds]
    if not tables:
        texts = [file for file in found if file.kind == ".txt"]
        if texts:
            return _classes(name, texts)
        raise ImportFailed(f"{name} holds no {', '.join(kinds)} file: put train.csv and test.csv there.")
    return _of_tables(name, tables, kinds)


def _hidden(file: File) -> bool:
    return any(part != ".." and part.startswith((".", "__MACOSX", "~$")) for part in PurePosixPath(file.name).parts)


def _of_tables(name: str, tables: list[File], kinds: Mapping[str, Reader]) -> tuple[Part, list[Part]]:
    names = _part_names(tables)
    ranks = {file: words.test_rank(names[file]) for file in tables}
    others = [file for file in tables if ranks[file] is None]
    trains = [file for file in others if words.is_train(names[file])] or others
    if not trains:
        raise ImportFailed(f"{name} holds test files only: name the training file train.csv, for example.")
    notes: list[str] = []
    train = _joined(trains, kinds, notes)
    tests = [
        _joined(group, kinds, notes)
        for rank in range(len(words.TESTS))
        if (group := [file for file in tables if ranks[file] == rank])
    ]
    if len(others) > len(trains):
        left = [file.name for file in others if file not in trains]
        notes.append(f"Passed over, since other files are called train: {_some(left)}.")
    if train is None:
        raise ImportFailed(f"{name} holds no file of rows for the training. {' '.join(notes)}")
    found_tests = [alike(test, train.columns) for test in tests if test]
    return replace(train, notes=(*train.notes, *notes)), found_tests


def _joined(group: list[File], kinds: Mapping[str, Reader], notes: list[str]) -> Part | None:
    """The files as one part. One of several that cannot be read is an error, unless it is a .json of something else."""
    found: list[Part] = []
    for file in group:
        if len(group) > 1 and _empty(file):
            notes.append(f"Passed over: {file.name} is empty.")
            continue
        try:
            part = kinds[file.kind](file)
            found.append(alike(part, found[0].columns) if found else part)
        except ImportFailed as error:
            if file.kind != ".json":
                raise
            notes.append(f"Passed over: {error.message}")
    return join(found) if found else None


def _empty(file: File) -> bool:
    with file.open() as stream:
        return not stream.read(1)


def _part_names(found: list[File]) -> dict[File, str]:
    """For each file the name that says what part it is for. Folders in which all of them lie say nothing."""
    shared = os.path.commonpath([PurePosixPath(file.name).parent.as_posix() for file in found])
    return {file: words.part_of(os.path.relpath(file.plain_name, shared or ".")) for file in found}


def _classes(name: str, texts: list[File]) -> tuple[Part, list[Part]]:
    """A folder for each class, a file for each text: the classes are the names of the innermost folders."""
    train: list[tuple[File, str]] = []
    tests: dict[int, list[tuple[File, str]]] = {}
    left: Counter[str] = Counter()
    for file in texts:
        *above, label = PurePosixPath(file.name).parts[:-1] or ("",)
        rank = words.test_rank(words.part_of("/".join(above)))
        if not label or _names_a_part(label) or words.UNLABELLED & words.of(label):
            left[label or name] += 1
        elif rank is None:
            train.append((file, label))
        else:
            tests.setdefault(rank, []).append((file, label))
    if not train:
        raise ImportFailed(f"{name} holds texts, but no folder for each class with its texts, such as pos and neg.")
    notes = [f"{count:,} texts in {label} were passed over: no class." for label, count in left.items()]
    return _of_texts("the training texts", train, tuple(notes)), [
        _of_texts(f"the texts in {PurePosixPath(group[0][0].name).parts[0]}", group)
        for _, group in sorted(tests.items())
    ]


def _names_a_part(label: str) -> bool:
    return words.is_train(label) or words.test_rank(label) is not None


def _of_texts(name: str, texts: list[tuple[File, str]], notes: tuple[str, ...] = ()) -> Part:
    def rows(problems: Problems) -> Iterator[Row]:
        for file, label in texts:
            problems.at(file.name, 1)
            with file.open() as stream:
                content = stream.read(LONGEST_TEXT + 1)
            if len(content) > LONGEST_TEXT:
                raise ImportFailed(f"{file.name} is longer than {LONGEST_TEXT:,} bytes: that is not one text.")
            marked = next((kind for mark, kind in encoding.MARKS[1:] if content.startswith(mark)), "utf-8")
            try:
                text = content.decode(marked)
            except UnicodeDecodeError:
                problems.add(NOT_UTF8)
                text = content.decode("utf-8", "as-western")
            yield text.removeprefix("\ufeff"), label

    return Part(["text", "label"], rows, name=name, notes=notes)


def _some(found: list[str]) -> str:
    return ", ".join(found[:SHOWN]) + (f" and {len(found) - SHOWN} more" if len(found) > SHOWN else "")
