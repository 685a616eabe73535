from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from model_endpoint.batches import cut, padding


def cost(lengths: list[int], sizes: list[int], overhead: float) -> float:
    starts = [sum(sizes[:place]) for place in range(len(sizes))]
    return sum(overhead + lengths[start] * size for start, size in zip(starts, sizes, strict=True))


def every_way(texts: int, most: int) -> list[list[int]]:
    if not texts:
        return [[]]
    return [[size, *rest] for size in range(1, min(most, texts) + 1) for rest in every_way(texts - size, most)]


@given(st.lists(st.integers(2, 60), max_size=9), st.integers(1, 5), st.integers(0, 40))
def test_no_other_way_to_cut_is_cheaper(lengths: list[int], most: int, overhead: int) -> None:
    lengths.sort(reverse=True)
    sizes = cut(lengths, most, overhead)
    assert sum(sizes) == len(lengths) and all(1 <= size <= most for size in sizes)
    assert cost(lengths, sizes, overhead) == min(cost(lengths, way, overhead) for way in every_way(len(lengths), most))


def test_like_lengths_are_one_batch_and_unlike_ones_are_not() -> None:
    assert cut([21, 20, 20, 19], 8, 10) == [4]
    assert cut([200, 199, 12, 11, 11], 8, 10) == [2, 3]


def test_where_an_inference_costs_much_the_limit_alone_counts() -> None:
    sizes = cut(sorted(range(1, 201), reverse=True), 64, 10_000)
    assert len(sizes) == 4 and all(one >= 8 for one, _ in pairwise(sizes))


def test_padding_is_what_the_shorter_texts_get() -> None:
    assert padding(30, 4, 20, 2) == 20
    assert padding(20, 4, 30, 2) == 40
    assert padding(20, 4, 20, 2) == 0
