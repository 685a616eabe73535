"""No text is answered twice by the same files."""

import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from mlops_contract.voucher import Voucher
from model_runner import Probabilities, machine
from training_endpoint.release import remembered
from training_endpoint.settings import Settings


class Version:
    """Answers a text's length, and notes what it was asked."""

    def __init__(self, folder: Path, digest: str = "a" * 64) -> None:
        variables = {"DATABASE_URL": "postgresql://h/d", "MLFLOW_TRACKING_URI": "http://m", "PLATFORM_TOKEN": "t"}
        self.settings = Settings.from_env(variables | {"STATE_DIR": str(folder)})
        self.voucher = Voucher("films", 1, "run", "root", {"serving/model.onnx": digest}, {}, {})
        self.asked: list[str] = []

    def answer(self, texts: Sequence[str]) -> Probabilities:
        self.asked += texts
        return np.array([[len(text) / 7, 1 - len(text) / 7] for text in texts])

    def answers(self, *texts: str) -> list[float]:
        found = remembered.answers(self.settings, self.voucher, texts, self.answer)
        assert found.shape == (len(texts), 2) and found.dtype == np.float64
        return [float(row[0]) * 7 for row in found]


def test_only_new_texts_are_answered(tmp_path: Path) -> None:
    first, later = Version(tmp_path), Version(tmp_path)
    assert first.answers("a", "bb", "a") == [1, 2, 1] and first.asked == ["a", "bb"]
    assert later.answers("ccc", "bb", "a") == [3, 2, 1] and later.asked == ["ccc"]
    assert Version(tmp_path).answers("ccc") == [3]


def test_what_a_challenger_answered_is_not_asked_of_the_champion(tmp_path: Path) -> None:
    version = Version(tmp_path)
    texts = ["a", "bb\N{SNOWMAN}"]
    remembered.note(version.settings, version.voucher, texts, version.answer(texts))
    version.asked.clear()
    assert version.answers(*reversed(texts)) == [3, 1] and not version.asked


def test_other_files_and_another_processor_answer_for_themselves(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    Version(tmp_path).answers("a")
    other = Version(tmp_path, "b" * 64)
    other.answers("a")
    monkeypatch.setattr(machine, "processor", lambda: ["model name: another"])
    moved = Version(tmp_path)
    moved.answers("a")
    assert other.asked == moved.asked == ["a"]


@pytest.mark.parametrize("content", [b"", b"PK", b"no zip at all", None])
def test_what_is_damaged_is_answered_again(tmp_path: Path, content: bytes | None) -> None:
    Version(tmp_path).answers("a", "bb")
    (file,) = (tmp_path / "answers").iterdir()
    whole = file.read_bytes()
    file.write_bytes(whole[: len(whole) // 2] if content is None else content)
    again = Version(tmp_path)
    assert again.answers("a", "bb") == [1, 2] and again.asked == ["a", "bb"]
    assert Version(tmp_path).answers("bb") == [2]


def test_there_is_a_bound(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(remembered, "MOST", 3)
    version = Version(tmp_path)
    assert version.answers("a", "bb", "ccc") == [1, 2, 3]
    assert version.answers("a", "dddd") == [1, 4], "the others are forgotten"
    version.asked.clear()
    assert version.answers("dddd", "bb", "a") == [4, 2, 1] and version.asked == ["bb"]
    assert version.answers(*"abcde") == [1] * 5, "too many to be kept"
    used = next((tmp_path / "answers").iterdir())
    for number in range(2 * remembered.KEPT):
        for file in (tmp_path / "answers").iterdir():
            os.utime(file, (1e9, 1e9 + number))
        Version(tmp_path).answers("a")
        Version(tmp_path, f"{number:064d}").answers("a")
    assert len(list((tmp_path / "answers").iterdir())) == remembered.KEPT and used.exists(), "those used last"
