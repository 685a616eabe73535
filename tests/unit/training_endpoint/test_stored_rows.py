from pathlib import Path

import numpy as np

from training_endpoint.data.rows import AT_ONCE, Rows, Texts

TEXTS = ["a", "", "naïve ☃", "x" * 1000, "with\0null", *map(str, range(AT_ONCE + 3))]


def test_rows_are_the_same_when_they_are_mapped(tmp_path: Path) -> None:
    rows = Rows(TEXTS, np.arange(len(TEXTS)) % 3, np.arange(len(TEXTS), dtype=np.uint64))
    rows.save(tmp_path / "rows")
    found = Rows.load(tmp_path / "rows")
    assert found == rows and isinstance(found.texts, Texts) and len(found) == len(TEXTS)
    assert found.texts[2] == TEXTS[2] and found.texts[-1] == TEXTS[-1] and list(found.texts[1:4]) == TEXTS[1:4]
    places = np.array([len(TEXTS) - 1, 0, 3])
    for some in (found.pick(places), found.pick(places).pick(np.array([0, 1, 2])), rows.pick(places)):
        assert list(some.texts) == [TEXTS[place] for place in places] and list(some.labels) == list(places % 3)
        assert some.hashes is not None and list(some.hashes) == list(places)
        assert list(some.texts[1:]) == [TEXTS[0], TEXTS[3]]
    found.pick(places).save(tmp_path / "some")
    assert Rows.load(tmp_path / "some") == rows.pick(places)
    for file in (tmp_path / "rows").iterdir():
        file.unlink()
    assert list(found.texts) == TEXTS, "a file that is mapped may be removed"


def test_no_row_is_no_trouble(tmp_path: Path) -> None:
    Rows([], []).save(tmp_path / "none")
    assert len(Rows.load(tmp_path / "none")) == 0 and list(Rows.load(tmp_path / "none").texts) == []
