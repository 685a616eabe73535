"""Which form is chosen, on answers that are given."""

from collections.abc import Collection
from pathlib import Path

import numpy as np
import pytest

from model_runner import Encoded, Logits, Model, machine
from model_runner.artifact import Form
from training_endpoint.data.snapshot import Rows
from training_endpoint.judge import forms

TEST = Rows([f"{number}" for number in range(400)], [number % 2 for number in range(400)])
TRAIN = [f"{number}" for number in range(400, 2000)]


class Known:
    """Answers the number in the text modulo two, but for the rows in `wrong`."""

    kind, piece, parallel, joins = "known", 8, 4, False

    def __init__(self, wrong: Collection[int]) -> None:
        self.labels = ["even", "odd"]
        self.wrong = wrong
        self.asked = 0

    def encode(self, texts: list[str]) -> list[Encoded]:
        return [Encoded([int(text)], False) for text in texts]

    def logits(self, texts: list[Encoded]) -> Logits:
        self.asked += len(texts)
        ids = [text.ids[0] for text in texts]
        return np.array([[0, 1] if (one % 2) != (one in self.wrong) else [1, 0] for one in ids], np.float32)


@pytest.fixture
def choose(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):  # type: ignore[no-untyped-def] # a closure
    """Chooses among forms that answer the given rows wrongly."""
    monkeypatch.setattr(forms, "measure", lambda folder, texts: {"texts": len(texts)})
    monkeypatch.setattr(forms, "quantise", lambda folder, form, known: (folder / form.file).touch())
    monkeypatch.setattr(machine, "features", lambda: frozenset({"vnni"}))

    def chosen(**wrong: Collection[int]) -> forms.Choice:
        (tmp_path / forms.FP32.file).touch()
        models = {name: Known(rows) for name, rows in wrong.items()}

        def run(form: Form) -> Model:
            assert (tmp_path / form.file).exists()
            return models.get(form.name.replace("-", "_"), Known(range(400)))  # which is wrong on all test rows

        choice = forms.choose(run, tmp_path, TEST, TRAIN, 2)
        assert {file.name for file in tmp_path.iterdir()} == {form.file for form in choice.forms}
        assert len(choice.answers) == len(TEST.texts)
        return choice

    return chosen


def test_the_first_that_differs_on_one_row_in_a_hundred_is_served(choose) -> None:  # type: ignore[no-untyped-def]
    choice = choose(fp32=range(0), int8=range(95, 1000, 100), int8_full=range(0))
    assert [form.name for form in choice.forms] == ["int8"]
    assert "int8: 1.00% of 1,000 rows" in choice.reason and choice.reason.startswith("served as")
    assert choice.answers.argmax(axis=1).tolist()[393:397] == [1, 0, 0, 0]


def test_one_that_differs_on_more_is_not_though_the_test_rows_do_not_show_it(choose) -> None:  # type: ignore[no-untyped-def]
    choice = choose(fp32=range(0), int8={50, 450, 550, 750, *range(900, 907)}, int8_full=range(0))
    assert [form.name for form in choice.forms] == ["int8-full", "fp32"], "for processors without VNNI"
    assert choice.trials[0].differing == 0.011 and choice.trials[0].p_value == 1


def test_one_that_differs_nowhere_needs_fewer_rows_to_show_it(choose) -> None:  # type: ignore[no-untyped-def]
    for wrong, rows in ((range(0), 300), ({7}, 500), ({7, 450}, 700), ({7, 450, 650}, 800)):
        trial = choose(fp32=range(0), int8=wrong).trials[0]
        assert trial.passed and trial.rows == rows and trial.differing == len(wrong) / rows


def test_where_none_can_be_told_from_fp32_that_is_served(choose) -> None:  # type: ignore[no-untyped-def]
    choice = choose(fp32=range(0), int8=range(20), int8_full=range(20))
    assert [form.name for form in choice.forms] == ["fp32"]
    assert choice.reason.endswith("served as fp32") and "not as int8: 20.00% of 100 rows" in choice.reason


def test_accuracy_that_is_lost_beyond_chance_is_too_much(choose) -> None:  # type: ignore[no-untyped-def]
    choice = choose(fp32=range(0), int8=range(8), int8_full=range(4))
    assert [form.name for form in choice.forms] == ["int8-full", "fp32"]
    assert choice.trials[0].differing == 0.008 and choice.trials[0].p_value < 0.05


def test_a_processor_that_would_overflow_is_not_tried_on(choose, monkeypatch: pytest.MonkeyPatch) -> None:  # type: ignore[no-untyped-def]
    monkeypatch.setattr(machine, "features", frozenset)
    choice = choose(fp32=range(0), int8=range(20), int8_full=range(0))
    assert [form.name for form in choice.forms] == ["fp32"] and len(choice.trials) == 1


def test_a_graph_that_cannot_be_measured_is_tried_all_the_same(choose, monkeypatch: pytest.MonkeyPatch) -> None:  # type: ignore[no-untyped-def]
    def fails(*_: object) -> None:
        raise ValueError("an unknown pattern")

    monkeypatch.setattr(forms, "measure", fails)
    assert [form.name for form in choose(fp32=range(0), int8=range(0)).forms] == ["int8"]


def test_what_fails_is_not_asked_for_the_rest_of_the_test_rows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine, "features", lambda: frozenset({"vnni"}))
    monkeypatch.setattr(forms, "measure", lambda folder, texts: {})
    monkeypatch.setattr(forms, "quantise", lambda folder, form, known: (folder / form.file).touch())
    (tmp_path / forms.FP32.file).touch()
    many = Rows([f"{number}" for number in range(1800)], [number % 2 for number in range(1800)])
    models = {
        form.name: Known(range(400) if form is forms.INT8 else range(0)) for form in (forms.FP32, *forms.QUANTISED)
    }
    choice = forms.choose(lambda form: models[form.name], tmp_path, many, [], 2)
    assert [form.name for form in choice.forms] == ["int8-full", "fp32"]
    assert (choice.answers.argmax(axis=1) == np.asarray(many.labels)).all()
    timed = forms.TIMED * forms.TIMES
    assert models["int8"].asked == 100 + timed and models["int8-full"].asked == 1800 + timed
    assert models["fp32"].asked == 300 + 2 * timed, "no more than tell"
