"""Texts to token ids, once, and token ids to batches of almost equal length."""

import tempfile
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from model_runner import Encoder

Ids = npt.NDArray[np.int64]
Lengths = npt.NDArray[np.int64]

AT_ONCE = 4_096
"""So many texts are tokenised at a time."""
SHORT = 2**16
"""Where all token ids are smaller, one takes two bytes."""


class Tokens:
    """The token ids of many texts, one after the other in a file that is mapped, and where each text's end."""

    def __init__(self, ids: npt.NDArray[np.integer[Any]], ends: Ids) -> None:
        self._ids, self._ends = ids, ends

    def __len__(self) -> int:
        return len(self._ends) - 1

    def __getitem__(self, place: int) -> npt.NDArray[np.integer[Any]]:
        return self._ids[self._ends[place] : self._ends[place + 1]]

    def __iter__(self) -> Iterator[npt.NDArray[np.integer[Any]]]:
        return (self[place] for place in range(len(self)))

    @property
    def lengths(self) -> Lengths:
        """Tokens of each text, int64 [texts]."""
        return np.diff(self._ends)

    def used(self, vocabulary: int) -> npt.NDArray[np.bool_]:
        """Which ids occur, bool [vocabulary]."""
        found = np.zeros(vocabulary, bool)
        for start in range(0, len(self._ids), 1 << 20):
            found[self._ids[start : start + (1 << 20)]] = True
        return found


# RoBERTa and its relatives number positions from the padding index + 1.
FROM_PADDING = ("roberta", "camembert", "longformer", "mpnet", "ibert", "data2vec-text", "xmod", "luke", "esm")


def usable_length(tokenizer: Any, config: Any, wanted: int) -> int:
    """Tokens a text may have: `wanted`, or less where the model has fewer positions. XLNet says -1 for no limit."""
    positions = getattr(config, "max_position_embeddings", None) or 0
    if positions > 2 and any(name in config.model_type for name in FROM_PADDING):
        positions -= 2
    return int(min(limit for limit in (wanted, tokenizer.model_max_length, positions) if limit > 0))


def encode(tokenizer: Any, texts: Sequence[str], max_length: int, folder: Path | None = None) -> Tokens:
    """Token ids of each text as the served model gets them, cut at `max_length`, not padded.

    They lie in a file in `folder`, or where temporary files are, that nobody else sees.
    """
    served = encoder(tokenizer, max_length)
    kind = np.dtype(np.uint16 if max(tokenizer.get_vocab().values()) < SHORT else np.int32)
    ends = np.zeros(len(texts) + 1, np.int64)
    with tempfile.TemporaryFile(dir=folder) as file:
        for start in range(0, len(texts), AT_ONCE):
            for number, text in enumerate(served.encode(list(texts[start : start + AT_ONCE])), start + 1):
                file.write(np.array(text.ids, kind).tobytes())
                ends[number] = len(text.ids)
        np.cumsum(ends, out=ends)
        file.flush()
        return Tokens(np.memmap(file, kind, "r") if ends[-1] else np.empty(0, kind), ends)


def encoder(tokenizer: Any, max_length: int) -> Encoder:
    """The served model's encoder, of a fast tokenizer of transformers."""
    return Encoder.from_json(tokenizer.backend_tokenizer.to_str(), max_length)


def pad(sequences: Iterable[npt.ArrayLike], pad_id: int, left: bool = False) -> tuple[Ids, Ids]:
    """`input_ids` and `attention_mask`, both int64 [batch, longest], padded on the right, or on the left."""
    arrays = [np.asarray(sequence) for sequence in sequences]
    longest = max(map(len, arrays))
    ids = np.full((len(arrays), longest), pad_id, dtype=np.int64)
    mask = np.zeros_like(ids)
    for row, sequence in enumerate(arrays):
        place = slice(longest - len(sequence), longest) if left else slice(len(sequence))
        ids[row, place] = sequence
        mask[row, place] = 1
    return ids, mask


def by_length(lengths: Lengths, size: int) -> Iterator[Ids]:
    """Indexes of all texts in batches of `size`, longest first: what does not fit in memory fails at once."""
    order = np.argsort(-lengths, kind="stable")
    for start in range(0, len(order), size):
        yield order[start : start + size]
