import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from tokenizers import Tokenizer

from model_endpoint.encoding import FIRST, encode
from model_endpoint.errors import NobodyWaits, TooLarge
from model_runner import Encoded
from tests.integration.model_endpoint.models import BASE


class Counting:
    """A tokenizer with a limit, that counts the characters it is given."""

    def __init__(self, most: int = 64) -> None:
        self.tokenizer = Tokenizer.from_file(str(BASE / "tokenizer.json"))
        self.tokenizer.no_padding()
        self.tokenizer.enable_truncation(most)
        self.characters = 0

    def encode(self, texts: list[str]) -> list[Encoded]:
        self.characters += sum(map(len, texts))
        return [Encoded(found.ids, bool(found.overflowing)) for found in self.tokenizer.encode_batch_fast(texts)]


def encoded(model: Any, text: str) -> Encoded:
    (row,) = encode(model, [text], 10**9, lambda: None)
    return row


@hypothesis_settings(deadline=None, max_examples=60)
@given(
    word=st.sampled_from(["ab", "a", "\u200d", "\u6f22", "x\u0301", "\ufdfa", "supercalifragilistic", "\x1b", "1.5"]),
    blank=st.sampled_from([" ", "", "\n", "     ", "\u3000"]),
    count=st.integers(1, 20_000),
    end=st.text(max_size=5),
)
def test_ids_and_flag_are_those_of_the_whole_text(word: str, blank: str, count: int, end: str) -> None:
    model = Counting()
    text = (word + blank) * count + end
    (whole,) = model.encode([text])
    assert encoded(model, text) == whole


def test_what_is_cut_off_is_not_tokenized() -> None:
    model = Counting()
    assert encoded(model, "word " * 20_000).truncated
    assert model.characters <= FIRST


def test_blanks_do_not_hide_the_words_behind_them() -> None:
    model = Counting()
    assert encoded(model, " " * 99_000 + "good") == Encoded(model.tokenizer.encode("good").ids, False)


def test_the_limit_is_said_and_ends_the_work_early() -> None:
    model = Counting()
    with pytest.raises(TooLarge, match=re.escape("more than 1000 tokens")):
        encode(model, ["word " * 100] * 512, 1000, lambda: None)  # type: ignore[arg-type]
    assert model.characters < 512 * 500 / 8


def test_nobody_waits_any_more() -> None:
    model = Counting()

    def gone() -> None:
        raise NobodyWaits("gone")

    with pytest.raises(NobodyWaits):
        encode(model, ["word"] * 512, 10**9, gone)  # type: ignore[arg-type]
    assert model.characters < 512 * 4 / 8
