"""What labels say about two models, where only one of them is right: evidence that may be looked at after every label.

Each label on a text that two models answer differently is a bet on who is right. Under "the shadow is not better",
P(shadow right | exactly one right) <= 1/2, whatever happened before, no way of betting gains on average; so a wealth
that began with 1 reaches 20 with a probability of at most 1/20, ever (Ville 1939; Ramdas et al. 2023 call it an
e-process). The bettor here spreads his stake evenly over all shares above one half.
"""

from dataclasses import dataclass
from enum import StrEnum


class Side(StrEnum):
    """For whom the labels decide."""

    SHADOW = "shadow"
    CHAMPION = "champion"


def wealth(won: int, lost: int) -> float:
    """What a stake of 1 on "who won is the better one" has become: the mean of (2p)^won (2(1 - p))^lost over p > 1/2.

    In closed form, sum over k <= won of C(won + lost + 1, k) / ((won + lost + 1) C(won + lost, won)). The order of the
    labels does not matter, so one that is taken back leaves the wealth that there had been without it.
    """
    term = total = 1 / (lost + 1)
    for k in range(won, 0, -1):
        term *= k / (won + lost + 2 - k)
        total += term
    return min(total, 1e300)  # a number in JSON, too


@dataclass(frozen=True)
class Tally:
    """Labels on texts that shadow and Champion answer differently, by who is right."""

    won: int = 0
    """The shadow alone."""
    lost: int = 0
    """The Champion alone."""
    neither: int = 0
    """Another class was right: no bet."""

    @property
    def labels(self) -> int:
        return self.won + self.lost + self.neither

    @property
    def better(self) -> float:
        """Evidence against "the shadow is not better"."""
        return wealth(self.won, self.lost)

    @property
    def worse(self) -> float:
        """Evidence against "the shadow is not worse"."""
        return wealth(self.lost, self.won)

    def decides(self, significance: float) -> Side | None:
        """For whom, wrongly with a probability of at most `significance` each; None: further labels are wanted."""
        if self.better >= 1 / significance:
            return Side.SHADOW
        return Side.CHAMPION if self.worse >= 1 / significance else None
