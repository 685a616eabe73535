"""A traced ONNX graph made smaller, with the same answers: less is left to be computed for each text."""

from collections import defaultdict
from pathlib import Path
from typing import Any

import onnx
from onnx import numpy_helper

# What treats each token by itself, when all its other inputs are constants or tokens as well.
PER_TOKEN = {"Add", "BiasGelu", "FastGelu", "Gelu", "LayerNormalization", "MatMul"}


def shrink(traced: Path, heads: int, hidden: int, small: Path) -> None:
    """Writes into `small` what `traced` computes, in fewer nodes; the model has `heads` of attention, `hidden` wide.

    Attention, GELU and norms become one node each, where ONNX Runtime knows the pattern.
    """
    from onnxruntime.transformers import optimizer  # noqa: PLC0415 - only where it is used
    from onnxruntime.transformers.fusion_options import FusionOptions  # noqa: PLC0415 - as above

    options = FusionOptions("bert")
    options.enable_embed_layer_norm = False  # it wants tables of 32 bits: `tables` explains
    # A sum and its norm as one node are computed number by number on a CPU: in twice the time of the two.
    options.enable_skip_layer_norm = options.enable_bias_skip_layer_norm = False
    fused = optimizer.optimize_model(
        str(traced), "bert", num_heads=heads, hidden_size=hidden, opt_level=0, optimization_options=options
    )
    fused.topological_sort()
    first_token_only(fused.model.graph)
    fused.save_model_to_file(str(small))


def first_token_only(graph: onnx.GraphProto) -> None:
    """A classifier that looks at the first token needs no more of the last layer: what follows its attention.

    So the choice of the token moves up, in front of everything that treats each token by itself and for which
    nothing else asks. The nodes of `graph` must be sorted.
    """
    constants = _constants(graph)
    users: dict[str, list[str]] = defaultdict(list)
    for node in graph.node:
        for name in node.input:
            users[name].append(node.output[0])
    wanted = {node.output[0] for node in graph.node if _takes_first_token(node, constants)}
    narrow = set(wanted)
    for node in reversed(graph.node):
        asked = [user for name in node.output for user in users[name]]
        if asked and narrow.issuperset(asked) and _is_per_token(node, constants):
            narrow.add(node.output[0])
    narrow -= wanted

    nodes: list[onnx.NodeProto] = []
    chosen: set[str] = set()
    zero = onnx.helper.make_tensor("first_token", onnx.TensorProto.INT64, [1], [0])
    for node in graph.node:
        if node.output[0] in narrow:
            for place, name in enumerate(node.input):
                if not name or name in constants or name in narrow:
                    continue
                if name not in chosen:
                    chosen.add(name)
                    nodes.append(onnx.helper.make_node("Gather", [name, zero.name], [f"{name}/first"], axis=1))
                node.input[place] = f"{name}/first"
        nodes.append(node)
    if chosen:
        graph.initializer.append(zero)
        del graph.node[:]
        graph.node.extend(nodes)


def _constants(graph: onnx.GraphProto) -> dict[str, Any]:
    """The constant tensors by name."""
    found = {tensor.name: tensor for tensor in graph.initializer}
    for node in graph.node:
        if node.op_type == "Constant" and node.attribute[0].name == "value":
            found[node.output[0]] = node.attribute[0].t
    return found


def _takes_first_token(node: onnx.NodeProto, constants: dict[str, Any]) -> bool:
    """Whether it is `hidden[:, 0]`."""
    if node.op_type != "Gather" or _attribute(node, "axis", 0) != 1 or node.input[1] not in constants:
        return False
    index = numpy_helper.to_array(constants[node.input[1]])
    return index.shape == () and int(index) == 0


def _is_per_token(node: onnx.NodeProto, constants: dict[str, Any]) -> bool:
    if node.op_type == "MatMul" and node.input[1] not in constants:
        return False
    return node.op_type in PER_TOKEN and _attribute(node, "axis", -1) == -1


def _attribute(node: onnx.NodeProto, name: str, default: int) -> int:
    return next((int(one.i) for one in node.attribute if one.name == name), default)
