"""Texts to token ids for one request: no more of them than a model reads, and no more than a request may cost."""

from collections.abc import Callable

from model_endpoint.errors import ModelBroke, TooLarge
from model_runner import Encoded, Model

FIRST = 4096
"""Characters of a text that are tokenized at first: more than most models read."""
SLICE = 32
"""Texts that are tokenized before it is asked again whether anybody waits for them."""


def encode(model: Model, texts: list[str], most: int, check: Callable[[], None]) -> list[Encoded]:
    """`texts` tokenized; TooLarge where they are more than `most` tokens, ModelBroke where the tokenizer breaks down.

    `check` is called between two slices of them; what it raises ends the work.
    """
    encoded: list[Encoded] = []
    tokens = 0
    for start in range(0, len(texts), SLICE):
        if start:
            check()
        part = _encode(model, texts[start : start + SLICE])
        tokens += sum(len(row.ids) for row in part)
        if tokens > most:
            raise TooLarge(
                f"These texts are more than {most} tokens, which is the most that one request may have: "
                "send fewer or shorter texts at a time."
            )
        encoded += part
    return encoded


def _encode(model: Model, texts: list[str]) -> list[Encoded]:
    """As `model.encode`, at a cost that does not grow with what is cut off.

    A text's beginning is enough where the model cuts it already; where it does not, as with blanks, more is taken.
    """
    try:
        rows = model.encode([_beginning(text, FIRST) for text in texts])
        for index, text in enumerate(texts):
            length = FIRST
            while length < len(text) and not rows[index].truncated:
                length *= 4
                (rows[index],) = model.encode([_beginning(text, length)])
    except (SystemExit, KeyboardInterrupt, MemoryError):
        raise
    except BaseException as error:  # a panic of the library is no Exception
        raise ModelBroke(f"The served model's tokenizer broke down over this input: {error}"[:300]) from error
    return rows


def _beginning(text: str, length: int) -> str:
    """At most `length` characters, up to a blank where there is one: half a word may have other tokens."""
    if len(text) <= length:
        return text
    blank = text.rfind(" ", length // 2, length)
    return text[: length if blank < 0 else blank]
