"""How the drills are ordered, and how an interrupted run of them goes on."""

import random
from itertools import chain

from tests.chaos import drill
from tests.chaos.test_faults import batches


def test_a_table_gives_back_what_held_and_nothing_else() -> None:
    held, broken = drill.CELLS[5], drill.CELLS[100]
    outcomes = {
        broken: drill.Outcome(3.2, 9, 1, 0, 0, ["TimeoutError: not within 5 s | a job\ntrains"]),
        held: drill.Outcome(12.4, 100, 2),
    }
    told = drill.table({cell: drill.row(cell, one) for cell, one in outcomes.items()})
    assert [line.count("|") for line in told.splitlines()] == [10] * 4
    assert drill.read_table(f"# A page\n\n{told}\nMore.") == {held: drill.row(held, outcomes[held])}
    assert drill.read_table(told)[held][3:] == ("12", "100", "2", "0", "0", "yes")


def test_each_cell_is_in_one_batch_and_none_shares_a_job_that_it_must_not() -> None:
    cells = list(drill.CELLS)
    random.Random(1).shuffle(cells)
    assert len(cells) == len(set(cells)) == 12 * 3 * 6
    found = list(batches(cells, 6))
    assert sorted(map(str, chain(*found))) == sorted(map(str, cells))
    assert all(len({cell.moment for cell in together}) == 1 for together in found)
    assert {len(together) for together in found if together[0].moment in ("delivery", "training")} == {6}
    assert {len(together) for together in found if together[0].moment not in ("delivery", "training")} == {1}
    assert {len(together) for together in batches(cells, 1)} == {1}
