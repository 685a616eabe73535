"""What a training step need not compute, left out while `lean` lasts; the model learns the same."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from typing import Any

import numpy as np
import torch
from torch.nn import functional

from training_endpoint.learn.encoding import Tokens

# Their classifiers look at the first token, and their layers are built alike.
FIRST_TOKEN = {"bert", "roberta", "xlm-roberta"}


@contextmanager
def lean(model: Any, ids: Tokens) -> Iterator[None]:
    """While it lasts, `model` is for texts of these token ids only, and its largest weight may be another object."""
    with ExitStack() as stack:
        embedding = model.get_input_embeddings()
        if type(embedding) is torch.nn.Embedding:
            stack.enter_context(_vocabulary_in_use(embedding, ids))
        if model.config.model_type in FIRST_TOKEN:
            stack.enter_context(_first_token_only(model.base_model.encoder.layer[-1].attention))
        if model.device.type == "cpu":
            stack.enter_context(_quick_dropout(model))
        yield


@contextmanager
def _vocabulary_in_use(embedding: torch.nn.Embedding, ids: Tokens) -> Iterator[None]:
    """Only the rows of tokens that occur have gradients and states of the optimiser; the others stay as they are."""
    whole = embedding.weight
    occurs = ids.used(len(whole))
    if embedding.padding_idx is not None:
        occurs[embedding.padding_idx] = True
    used = torch.from_numpy(np.flatnonzero(occurs)).to(whole.device)
    places = torch.zeros(len(whole), dtype=torch.int64, device=whole.device)
    places[used] = torch.arange(len(used), device=whole.device)
    padding_place = None if embedding.padding_idx is None else int(places[embedding.padding_idx])

    def forward(tokens: torch.Tensor) -> torch.Tensor:
        return functional.embedding(places[tokens], embedding.weight, padding_place)

    embedding.weight = torch.nn.Parameter(whole.detach()[used])
    embedding.forward = forward  # type: ignore[method-assign, assignment]
    try:
        yield
    finally:
        del embedding.forward
        with torch.no_grad():
            whole[used] = embedding.weight
        embedding.weight = whole


@contextmanager
def _first_token_only(attention: Any) -> Iterator[None]:
    """Of the last layer nobody asks for other tokens than the first: those only lend it their keys and values."""
    inner = attention.self

    def forward(
        hidden: torch.Tensor, attention_mask: torch.Tensor | None = None, **_: Any
    ) -> tuple[torch.Tensor, None]:
        query, key, value = (
            linear(tokens).unflatten(-1, (-1, inner.attention_head_size)).transpose(1, 2)
            for linear, tokens in ((inner.query, hidden[:, :1]), (inner.key, hidden), (inner.value, hidden))
        )
        seen = functional.scaled_dot_product_attention(
            query,
            key,
            value,
            None if attention_mask is None else attention_mask[:, :, :1],
            inner.dropout.p if inner.training else 0.0,
        )
        return seen.transpose(1, 2).flatten(2), None

    inner.forward = forward
    sum_with_first = attention.output.register_forward_pre_hook(lambda _, inputs: (inputs[0], inputs[1][:, :1]))
    try:
        yield
    finally:
        sum_with_first.remove()
        del inner.forward


@contextmanager
def _quick_dropout(model: torch.nn.Module) -> Iterator[None]:
    """Dropout by 16 random bits a value: on a CPU PyTorch draws a float for each, ten times slower."""
    modules = [module for module in model.modules() if type(module) is torch.nn.Dropout and module.p > 0]
    for module in modules:
        module.forward = partial(_dropped, module)  # type: ignore[method-assign]
    try:
        yield
    finally:
        for module in modules:
            del module.forward


def _dropped(module: torch.nn.Dropout, values: torch.Tensor) -> torch.Tensor:
    if not module.training:
        return values
    numbers = torch.empty(-(-values.numel() // 4), dtype=torch.int64).random_(-(2**63), None)
    least = np.iinfo(np.int16).min + round(module.p * 2**16)
    kept = numbers.view(torch.int16)[: values.numel()].view(values.shape) >= least
    return values * kept.to(values.dtype).mul_(1 / (1 - module.p))
