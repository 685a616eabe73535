"""Which texts are computed together: those for which padding costs less than an inference of their own.

All is counted in tokens: a batch is as wide as its longest text, and an inference costs a fixed number of tokens more.
"""


def cut(lengths: list[int], most: int, overhead: float) -> list[int]:
    """The sizes of the cheapest batches of at most `most` texts, whose `lengths` in tokens are sorted, longest first.

    The cheapest way to cut the first n texts is the cheapest of all ways to cut fewer, and one batch more.
    """
    cheapest = [0.0]
    last: list[int] = [0]
    for end in range(1, len(lengths) + 1):
        ways = ((cheapest[end - n] + overhead + lengths[end - n] * n, n) for n in range(1, min(most, end) + 1))
        cost, size = min(ways)
        cheapest.append(cost)
        last.append(size)
    sizes: list[int] = []
    end = len(lengths)
    while end:
        sizes.append(last[end])
        end -= last[end]
    return sizes[::-1]


def padding(longest: int, texts: int, other_longest: int, other_texts: int) -> int:
    """The tokens that are computed for nothing when a batch and another one become one."""
    together = max(longest, other_longest) * (texts + other_texts)
    return together - longest * texts - other_longest * other_texts
