import csv
import tomllib
from pathlib import Path

import pytest

from training_endpoint.data.sample import generate
from training_endpoint.data.sources import SAMPLE

COUNTS = {"train": 320, "test": 1000, "new": 800}


def rows(file: str) -> list[dict[str, str]]:
    with (SAMPLE / f"{file}.csv").open(encoding="utf-8", newline="") as source:
        return list(csv.DictReader(source))


def test_the_files_are_what_the_generator_makes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "material.toml").write_bytes((SAMPLE / "material.toml").read_bytes())
    monkeypatch.setattr(generate, "FOLDER", tmp_path)
    generate.main()
    for file in COUNTS:
        assert (tmp_path / f"{file}.csv").read_bytes() == (SAMPLE / f"{file}.csv").read_bytes()


@pytest.mark.parametrize(("file", "count"), COUNTS.items())
def test_both_classes_are_equally_many(file: str, count: int) -> None:
    labels = [row["label"] for row in rows(file)]
    assert len(labels) == count and labels.count("positive") == labels.count("negative") == count // 2


def test_no_text_occurs_twice() -> None:
    texts = [row["text"].lower() for file in COUNTS for row in rows(file)]
    assert len(set(texts)) == len(texts)


def test_no_detail_of_the_test_part_is_in_the_training_parts() -> None:
    material = tomllib.loads((SAMPLE / "material.toml").read_text(encoding="utf-8"))
    whole = material.pop("whole")
    del material["tags"]
    opinions = {clause.lower() for topic in material.values() for kind in ("good", "bad") for clause in topic[kind]}
    opinions |= {review.lower() for reviews in whole.values() for review in reviews}
    test = "\n".join(row["text"].lower() for row in rows("test"))
    others = "\n".join(row["text"].lower() for file in ("train", "new") for row in rows(file))
    tested = {opinion for opinion in opinions if opinion in test}
    assert len(tested) > 80 and not {opinion for opinion in tested if opinion in others}
