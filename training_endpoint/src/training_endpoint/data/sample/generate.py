"""Makes train.csv, test.csv and new.csv from the sentences in material.toml.

    python -m training_endpoint.data.sample.generate

Each detail and each whole review goes into one of the three files alone, so that test.csv is about things that were
never trained on, and the rows of new.csv teach something that train.csv does not. Facts, tags and the
clauses that decide are common to the files, as in life. The same seed gives the same bytes.
"""

import csv
import random
import tomllib
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).parent
SEED = 1
# Rows of each label, whole reviews among them, the share of the clauses, and of the reviews that change their mind.
FILES = {"train": (160, 12, 0.5, 0.0), "test": (500, 6, 0.25, 0.3), "new": (400, 24, 0.25, 0.8)}
TAGGED_SHARE = 0.8

# a and b stand for details that fit the label, x for one that speaks against it, v for the clause that decides,
# fact for a fact. A capital letter starts a sentence.
ONE_SIDED = ("{fact} {A}, and {v}.", "{A}. {V}.", "{V}: {a}.", "{fact} {A}. {V}.")
TWO_DETAILS = ("{A}, and {b}.", "{fact} {A}, and {b}.", "{A}. {B}. {V}.")
MIXED = (
    "{X}, but {v}.",
    "{X}. Still, {v}.",
    "Although {x}, {v}.",
    "{V}, even though {x}.",
    "{fact} {X}, and yet {v}.",
    "Yes, {x}. No matter: {v}.",
    "{fact} {X}. Then again, {a}, and {v}.",
)


def deal(items: list[str], dice: random.Random) -> dict[str, list[str]]:
    """Shuffles the items and shares them out among the files, each to one."""
    shuffled = dice.sample(items, len(items))
    hands, start = {}, 0
    for file, (_, _, share, _) in FILES.items():
        end = start + round(len(items) * share)
        hands[file] = shuffled[start:end]
        start = end
    return hands


def sentence(clause: str) -> str:
    """The clause with a capital letter."""
    return clause[0].upper() + clause[1:]


def compose(topic: dict[str, Any], tags: list[str], positive: bool, mixed: float, dice: random.Random) -> str:
    """One review about the topic, with the chance `mixed` that it changes its mind."""
    pro, contra, verdict = ("good", "bad", "keep") if positive else ("bad", "good", "drop")
    plain = ONE_SIDED if topic["one_detail"] else ONE_SIDED + TWO_DETAILS
    forms: tuple[str, ...] = MIXED if dice.random() < mixed else plain
    a, b = dice.sample(topic[pro], 2)
    parts = {"a": a, "b": b, "x": dice.choice(topic[contra]), "v": dice.choice(topic[verdict])}
    capitals = {name.upper(): sentence(clause) for name, clause in parts.items()}
    review = dice.choice(forms).format(**parts, **capitals, fact=dice.choice(topic["facts"]))
    if dice.random() < TAGGED_SHARE:
        tag = dice.choice(tags)
        review = dice.choice((f"{tag} {review}", f"{review} {tag}"))
    return review


def generate(material: dict[str, Any], seed: int = SEED) -> dict[str, list[tuple[str, str]]]:
    """(text, label) rows by file, shuffled; no text occurs twice in all of them."""
    dice = random.Random(seed)  # noqa: S311 - nothing secret
    whole = {label: deal(reviews, dice) for label, reviews in material["whole"].items()}
    topics: dict[str, list[dict[str, Any]]] = {file: [] for file in FILES}
    for name, topic in material.items():
        if name in ("whole", "tags"):
            continue
        good, bad = deal(topic["good"], dice), deal(topic["bad"], dice)
        for file in FILES:
            topics[file].append({"one_detail": False} | topic | {"good": good[file], "bad": bad[file]})
    seen: set[str] = set()
    result = {}
    for file, (count, whole_count, _, mixed) in FILES.items():
        rows = []
        for label in ("negative", "positive"):
            texts = whole[label][file][:whole_count]
            while len(texts) < count:
                topic = topics[file][len(texts) % len(topics[file])]
                text = compose(topic, material["tags"][label], label == "positive", mixed, dice)
                if text not in seen:
                    seen.add(text)
                    texts.append(text)
            rows += [(text, label) for text in texts]
        result[file] = dice.sample(rows, len(rows))
    return result


def main() -> None:
    """Writes the three files."""
    material = tomllib.loads((FOLDER / "material.toml").read_text(encoding="utf-8"))
    for file, rows in generate(material).items():
        with (FOLDER / f"{file}.csv").open("w", encoding="utf-8", newline="") as target:
            writer = csv.writer(target, lineterminator="\n")
            writer.writerow(("text", "label"))
            writer.writerows(rows)
        print(f"{file}.csv: {len(rows)} rows")


if __name__ == "__main__":
    main()
