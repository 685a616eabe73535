"""No class name and no number of classes fails a picture, and with it the job."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings as effort
from hypothesis import strategies as st

from training_endpoint.judge import plots

PNG = b"\x89PNG"


def drawn(file: Path, names: list[str], champion: bool = True) -> bytes:
    chance = np.random.default_rng(0)
    matrix = chance.integers(0, 9, (len(names), len(names)))
    named = {"Champion (version 1)": matrix, "challenger": matrix} if champion else {"challenger": matrix}
    changes = {name: float(chance.normal()) for name in names} if champion else {}
    plots.save(file, lambda: plots.comparison(named, changes, names))
    return file.read_bytes()


@pytest.mark.parametrize(
    "names",
    [
        ["costs $5", "costs $6"],
        ["$", "$$", "$\\frac{1}"],
        ["_hidden", "#1", "%s", "{x}"],
        ["1", "2", "3"],
        ["", " ", "\n"],
        ["好评", "差评", "🙂", "سيئ"],
        ["a\x07bell", "tab\there"],
        ["long " * 100, "long " * 100 + "2"],
        [f"intent_{n}" for n in range(77)],
        [f"intent_{n}" for n in range(600)],
        ["alone"],
    ],
    ids=lambda names: ascii(names[0])[:20] + f"-{len(names)}",
)
def test_any_classes_give_a_picture(names: list[str], tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    for champion in (True, False):
        assert drawn(tmp_path / "comparison.png", names, champion).startswith(PNG)
    assert not caplog.records


@effort(max_examples=10, deadline=None)
@given(st.lists(st.text(max_size=8), min_size=2, max_size=3, unique=True))
def test_any_names_give_a_picture(tmp_path_factory: pytest.TempPathFactory, names: list[str]) -> None:
    assert drawn(tmp_path_factory.mktemp("plots") / "comparison.png", names, champion=True).startswith(PNG)


@pytest.mark.parametrize("values", [[], [0.7], [0.7, float("nan"), float("inf")], [0.5] * 1000])
def test_any_losses_give_a_picture(values: list[float], tmp_path: Path) -> None:
    plots.save(tmp_path / "loss.png", lambda: plots.losses(values))
    assert (tmp_path / "loss.png").read_bytes().startswith(PNG)


def test_what_cannot_be_drawn_is_logged_and_left_out(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    plots.save(tmp_path / "comparison.png", lambda: plots.comparison({}, {}, ["a", "b"]))
    assert not (tmp_path / "comparison.png").exists()
    assert "comparison.png could not be drawn" in caplog.text
