"""What the benchmark of labels compares: each way chooses as many texts, and none twice."""

import numpy as np
import pytest

from benchmarks.labelling import queue


@pytest.mark.parametrize("way", queue.WAYS)
def test_each_way_chooses_as_many_texts_and_none_twice(way: str) -> None:
    chance = np.random.default_rng(0)
    scores = chance.dirichlet([1, 1], 300)
    taken = np.arange(50)
    more = queue.chosen(way, scores, taken, 100, chance)
    assert len(set(more.tolist())) == 100 and not np.isin(more, taken).any()
    margins = np.abs(scores[:, 0] - scores[:, 1])
    if way == "margin":
        assert margins[more].max() <= np.delete(margins, np.concatenate([taken, more])).min()
