"""Which challenger becomes the shadow."""

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest

from mlops_contract.store import FilesLost
from mlops_contract.words import Verdict
from tests import training
from training_endpoint.data.snapshot import Rows, Snapshot
from training_endpoint.judge.evaluate import Probabilities
from training_endpoint.release import opponent
from training_endpoint.release.opponent import Opponent
from training_endpoint.settings import Settings
from training_endpoint.shadow import choice, shadows
from training_endpoint.shadow.choice import Choice
from training_endpoint.shadow.shadows import Shadow

NAMES = ["bad", "good"]
LABELS = np.array([0, 1, 0, 1], np.int64)
NOW = datetime(2026, 1, 1, tzinfo=UTC)
STANDING = Shadow(1, "m", 4, 3, NAMES, NOW, None, None, None, 0, 0, None, None, None)
ROWS = Rows(["a", "b", "c", "d"], LABELS)
SNAPSHOT = Snapshot("films", "t", None, "text", "label", NAMES, ROWS, ROWS, "", "")


def right(*rows: bool) -> Probabilities:
    """Answers that are right on these of the four test rows."""
    return np.array([[0.9, 0.1] if (label == 0) == ok else [0.1, 0.9] for label, ok in zip(LABELS, rows, strict=True)])


CHAMPION = Opponent(3, right(True, True, False, False), NAMES)


def chosen(
    settings: Settings,
    verdict: Verdict = Verdict.KEPT_NO_DIFFERENCE,
    champion: Opponent | None = CHAMPION,
    now: int = 3,
) -> Choice:
    return choice.choose(settings, verdict, right(True, True, True, False), LABELS, champion, now, SNAPSHOT)


@pytest.fixture
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    monkeypatch.setattr(shadows, "current", lambda url, model: None)
    return training.settings("", tmp_path)


@pytest.mark.parametrize("verdict", list(Verdict))
def test_one_that_is_neither_promoted_nor_surely_worse_nor_unfit(settings: Settings, verdict: Verdict) -> None:
    found = chosen(settings, verdict)
    assert found.begins == (verdict in (Verdict.KEPT_NO_DIFFERENCE, Verdict.KEPT_PINNED))
    assert ("is the shadow now" in found.text) == found.begins


def test_against_the_champion_that_is_served_alone(settings: Settings) -> None:
    assert not chosen(settings, champion=None).begins
    assert not chosen(settings, champion=Opponent(3, None, trouble="gone")).begins
    assert not chosen(settings, now=5).begins, "it met an older one"


def test_not_where_it_is_switched_off_or_labels_cannot_tell(settings: Settings) -> None:
    assert chosen(replace(settings, shadow=False)) == Choice()
    assert chosen(replace(settings, promotion_metric="macro_f1")) == Choice()


def test_a_newer_one_replaces_it_only_where_it_is_right_on_more_test_rows(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shadows, "current", lambda url, model: STANDING)
    for rows, begins in (((True, False, False, True), True), ((True, True, False, True), False), ((True,) * 4, False)):
        answers = right(*rows)
        monkeypatch.setattr(opponent, "of", lambda *_, answers=answers: (NAMES, answers))
        found = chosen(settings)
        assert found.begins is begins and found.evidence["shadow"]["version"] == 4
        said = (
            "in place of version 4 with 0.5000" if begins else f"version 4 stays the shadow, with {sum(rows) / 4:.4f}"
        )
        assert found.text.endswith(said)


def test_one_of_another_champion_or_without_files_is_replaced(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shadows, "current", lambda url, model: replace(STANDING, champion_version=2))
    assert chosen(settings).begins

    def lost(*_: object) -> None:
        raise FilesLost("they are gone")

    monkeypatch.setattr(shadows, "current", lambda url, model: STANDING)
    monkeypatch.setattr(opponent, "of", lost)
    assert chosen(settings).text.endswith("in place of version 4, which cannot be loaded any more")
