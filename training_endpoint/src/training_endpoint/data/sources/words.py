"""The words in names of files, folders and splits that say what their rows are for."""

import re

TRAIN = {"train", "training", "trainset", "traindata"}
# In the order of preference: the first that a dataset has becomes the test table.
TESTS = (
    {"test", "tests", "testing", "testset", "testdata"},
    {"dev", "devset", "development"},
    {"valid", "val", "validation", "validset"},
    {"eval", "evalset"},
)
UNLABELLED = {"unsup", "unsupervised", "unlabeled", "unlabelled"}


def of(name: str) -> set[str]:
    """The whole words of a name: `Test-2_final.csv` has test, final and csv, testimonials.csv has no test."""
    apart = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", name)  # TestSet, trainData
    return set(re.findall(r"[^\W\d_]+", f"{apart} {name}".lower()))


def is_train(name: str) -> bool:
    """Whether a name says that the rows are for the training."""
    return bool(TRAIN & of(name))


def part_of(path: str) -> str:
    """The innermost of a path's names that says what part it is for, '' where none does: a/train/test.csv is a test."""
    own = (name for name in reversed(path.split("/")) if is_train(name) or test_rank(name) is not None)
    return next(own, "")


def test_rank(name: str) -> int | None:
    """0 for the best kind of test part, more for others, None where the name says nothing of the sort."""
    own = of(name)
    if own & TRAIN:
        return None
    return next((rank for rank, names in enumerate(TESTS) if names & own), None)
