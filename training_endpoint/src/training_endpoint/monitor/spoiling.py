"""Misspelt copies of texts, whose labels are still those of the texts: what a version answers to them tells how its
confidence is to be taken where people write otherwise than in the test rows."""

import random
from collections.abc import Sequence

SHARE = 0.5


def misspelt(texts: Sequence[str], share: float = SHARE) -> list[str]:
    """Each text without a letter of that share of its words; the same again for the same texts."""
    rng = random.Random(0)  # noqa: S311 - no secret
    return [" ".join(_without_a_letter(word, share, rng) for word in text.split()) for text in texts]


def _without_a_letter(word: str, share: float, rng: random.Random) -> str:
    if len(word) < 3 or rng.random() >= share:
        return word
    place = rng.randrange(len(word))
    return word[:place] + word[place + 1 :]
