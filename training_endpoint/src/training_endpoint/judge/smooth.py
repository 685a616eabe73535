"""The channels of a product's input made about equally large: what they are divided by, its weights get.

In a transformer a few channels are ten times as large as the others, and make the scale by which a token's values
become bytes. Shared out between values and weights, their size costs less than half of that (Xiao et al. 2023).
"""

from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import helper, numpy_helper

from model_runner.onnx_model import session

LEAST = 32
"""Weights with fewer rows stay as they are: nothing is gained by them."""
GELU = {"BiasGelu", "FastGelu", "Gelu"}
SHARE = 0.6
"""The exponent of a channel's size in what it is divided by; with more, it is the weights that become uneven."""
SMALLEST = 1e-4
"""Of the largest: what is smaller has no say in any scale."""

Peaks = dict[str, NDArray[np.float32]]
"""By the name of a product's input: the largest size of each of its channels."""


def products(graph: onnx.GraphProto) -> list[onnx.NodeProto]:
    """The nodes that multiply tokens with a constant matrix, in the order in which they are computed."""
    shapes = {tensor.name: tensor.dims for tensor in graph.initializer}
    found = [node for node in graph.node if node.op_type in ("MatMul", "Attention")]
    return [node for node in found if len(shapes.get(node.input[1], [])) == 2 and shapes[node.input[1]][0] >= LEAST]


def peaks(fp32: Path, texts: Iterable[Sequence[int]]) -> Peaks:
    """What the inputs of `fp32`'s products reach on `texts`, each its token ids; for a moment a file lies beside it."""
    model = onnx.load(str(fp32), load_external_data=False)
    names = list(_by_input(model.graph))
    for name in names:
        steps = (
            helper.make_node("Abs", [name], [f"{name}/sizes"]),
            helper.make_node("Flatten", [f"{name}/sizes"], [f"{name}/tokens"], axis=-1),
            helper.make_node("ReduceMax", [f"{name}/tokens"], [f"{name}/peaks"], axes=[0], keepdims=0),
        )
        model.graph.node.extend(steps)
        model.graph.output.append(helper.make_tensor_value_info(f"{name}/peaks", onnx.TensorProto.FLOAT, None))
    file = fp32.with_name("peaks.onnx")
    try:
        onnx.save(model, str(file))
        running = session(file)
    finally:
        file.unlink(missing_ok=True)
    found: Peaks = {}
    for text in texts:
        ids = np.array([text], np.int64)
        reached = running.run([f"{name}/peaks" for name in names], {"input_ids": ids, "attention_mask": ids * 0 + 1})
        found = {name: np.maximum(found.get(name, 0), one) for name, one in zip(names, reached, strict=True)}
    return found


def smooth(graph: onnx.GraphProto, known: Peaks, left: frozenset[str] = frozenset()) -> None:
    """Changes the products whose inputs are `known`, but for those that give what is `left`; it computes the same."""
    weights = {tensor.name: tensor for tensor in graph.initializer}
    even: dict[str, onnx.NodeProto] = {}
    for name, users in _by_input(graph, left).items():
        if name not in known or not 0 < known[name].max() < np.inf:
            continue
        matrices = [numpy_helper.to_array(weights[user.input[1]]) for user in users]
        sizes = _raised(known[name])
        looked_at = _raised(np.max([np.abs(matrix).max(axis=1) for matrix in matrices], axis=0))
        factors = (sizes**SHARE / looked_at ** (1 - SHARE)).astype(np.float32)
        shares = numpy_helper.from_array(1 / factors, f"{name}/shares")
        graph.initializer.append(shares)
        even[users[0].output[0]] = helper.make_node("Mul", [name, shares.name], [f"{name}/even"])
        for user, matrix in zip(users, matrices, strict=True):
            user.input[0] = f"{name}/even"
            user.input[1] = f"{user.output[0]}/uneven"
            graph.initializer.append(numpy_helper.from_array(matrix * factors[:, None], user.input[1]))
    nodes = list(graph.node)
    del graph.node[:]
    for node in nodes:
        graph.node.extend([even[node.output[0]], node] if node.output[0] in even else [node])


def _raised(sizes: NDArray[np.float32]) -> NDArray[np.float32]:
    largest = max(float(sizes.max()), float(np.finfo(np.float32).tiny))
    return np.maximum(sizes, np.float32(largest * SMALLEST))


def _by_input(graph: onnx.GraphProto, left: frozenset[str] = frozenset()) -> dict[str, list[onnx.NodeProto]]:
    """By its input's name, the products but for those of what GELU gives: that has no negative values to speak of."""
    makers = {name: node.op_type for node in graph.node for name in node.output}
    found: dict[str, list[onnx.NodeProto]] = {}
    for node in products(graph):
        if makers.get(node.input[0]) not in (*GELU, None) and node.output[0] not in left:
            found.setdefault(node.input[0], []).append(node)
    return found
