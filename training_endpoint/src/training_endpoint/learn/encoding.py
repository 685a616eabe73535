"""Texts to token ids, once, and token ids to batches of almost equal length."""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from model_runner import Encoder

Ids = npt.NDArray[np.int64]


# RoBERTa and its relatives number positions from the padding index + 1.
FROM_PADDING = ("roberta", "camembert", "longformer", "mpnet", "ibert", "data2vec-text", "xmod", "luke", "esm")


def usable_length(tokenizer: Any, config: Any, wanted: int) -> int:
    """Tokens a text may have: `wanted`, or less where the model has fewer positions. XLNet says -1 for no limit."""
    positions = getattr(config, "max_position_embeddings", None) or 0
    if positions > 2 and any(name in config.model_type for name in FROM_PADDING):
        positions -= 2
    return int(min(limit for limit in (wanted, tokenizer.model_max_length, positions) if limit > 0))


def encode(tokenizer: Any, texts: Sequence[str], max_length: int) -> list[list[int]]:
    """Token ids of each text as the served model gets them, cut at `max_length`, not padded."""
    return [text.ids for text in encoder(tokenizer, max_length).encode(texts)]


def encoder(tokenizer: Any, max_length: int) -> Encoder:
    """The served model's encoder, of a fast tokenizer of transformers."""
    return Encoder.from_json(tokenizer.backend_tokenizer.to_str(), max_length)


def pad(sequences: Sequence[Sequence[int]], pad_id: int, left: bool = False) -> tuple[Ids, Ids]:
    """`input_ids` and `attention_mask`, both int64 [batch, longest], padded on the right, or on the left."""
    longest = max(len(sequence) for sequence in sequences)
    ids = np.full((len(sequences), longest), pad_id, dtype=np.int64)
    mask = np.zeros_like(ids)
    for row, sequence in enumerate(sequences):
        place = slice(longest - len(sequence), longest) if left else slice(len(sequence))
        ids[row, place] = sequence
        mask[row, place] = 1
    return ids, mask


def by_length(sequences: Sequence[Sequence[int]], size: int) -> Iterator[list[int]]:
    """Indexes of all sequences in batches of `size`, longest first: what does not fit in memory fails at once."""
    order = sorted(range(len(sequences)), key=lambda index: -len(sequences[index]))
    for start in range(0, len(order), size):
        yield order[start : start + size]
