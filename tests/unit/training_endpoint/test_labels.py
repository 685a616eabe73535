"""Which labels people take for one."""

import pytest

from training_endpoint.data.labels import alike
from training_endpoint.errors import NewLabel
from training_endpoint.labelling import classes

LONG = "Electronics > Computers and accessories > Portable computers > Cases"


@pytest.mark.parametrize(("name", "other"), [("good", "Good\u200b"), ("very good", "very  good"), (LONG, LONG.upper())])
def test_labels_that_differ_by_case_or_blanks_alone(name: str, other: str) -> None:
    with pytest.raises(NewLabel, match="case or blanks alone"):
        classes.check(other, [name], new=True, sure=False)
    assert len(alike({name: 1, other: 2})) == 1


def test_long_labels_may_begin_alike() -> None:
    classes.check(f"{LONG} for children", [LONG], new=True, sure=False)
    assert alike({LONG: 1, f"{LONG} for children": 1}) == []
