import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import f1_score, log_loss

from training_endpoint.judge import evaluate


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3)), min_size=1, max_size=80))
def test_macro_f1_is_the_mean_over_the_classes_that_are_there(pairs: list[tuple[int, int]]) -> None:
    labels, predicted = (np.array(column) for column in zip(*pairs, strict=True))
    expected = f1_score(labels, predicted, labels=np.unique(labels), average="macro", zero_division=0)
    assert evaluate.macro_f1(predicted, labels, 4) == pytest.approx(expected)


def test_metrics_of_known_answers() -> None:
    probabilities = np.array([[0.9, 0.1], [0.2, 0.8], [0.6, 0.4], [0.3, 0.7]])
    labels = np.array([0, 1, 1, 1])
    values = evaluate.metrics(probabilities, labels)
    assert values["accuracy"] == 0.75
    assert values["macro_f1"] == pytest.approx(f1_score(labels, [0, 1, 0, 1], average="macro"))
    assert values["log_loss"] == pytest.approx(log_loss(labels, probabilities))


def test_certainty_of_the_wrong_class_costs_much_but_not_everything() -> None:
    assert evaluate.metrics(np.array([[1.0, 0.0]]), np.array([1]))["log_loss"] == pytest.approx(27.6, abs=0.1)


def test_each_class_has_its_own_figures() -> None:
    found = evaluate.per_class(np.array([0, 0, 1, 1]), np.array([0, 0, 0, 1]), ["a", "b", "never"])
    assert found["a"] == {"precision": 1.0, "recall": pytest.approx(2 / 3), "f1": pytest.approx(0.8), "rows": 3}
    assert found["b"]["precision"] == 0.5 and found["b"]["recall"] == 1.0
    assert found["never"] == {"precision": 0, "recall": 0, "f1": 0, "rows": 0}


def test_confusion_counts_labels_by_row_and_answers_by_column() -> None:
    matrix = evaluate.confusion(np.array([1, 1, 0]), np.array([0, 1, 0]), 2)
    assert matrix.tolist() == [[1, 1], [0, 1]]
