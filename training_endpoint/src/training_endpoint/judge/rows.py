"""An ONNX graph whose matrix products are computed in int8, with a scale for each token and each weight's column.

One scale for a whole text, as ONNX Runtime's own dynamic quantisation has it, is made by the text's largest value,
which one token has: what the others lose by it is most of the error.
"""

from collections import defaultdict
from pathlib import Path

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import helper, numpy_helper

from training_endpoint.judge.smooth import GELU, Peaks, products, smooth

LOWEST = 0.17
"""GELU gives no less than minus this. Added to its output, all 8 bits are there for what is above."""
CONTRIB = "com.microsoft"
ATTENTION = {"num_heads", "unidirectional", "mask_filter_value", "scale"}
"""What both kinds of its node know."""


def quantise(fp32: Path, int8: Path, *, bits: int, peaks: Peaks, exact: float = 0) -> None:
    """Writes into `int8` what `fp32` computes, with weights of `bits` bits; `peaks` as `smooth` measures them.

    The first products, their share `exact`, stay as they are. Raises `ValueError` where none is left.
    """
    model = onnx.load(str(fp32))
    found = [node.output[0] for node in products(model.graph)]
    left = round(len(found) * exact)
    if left == len(found):
        raise ValueError("the graph has no product with a constant matrix")
    smooth(model.graph, peaks, frozenset(found[:left]))
    _Rows(model.graph, 2 ** (bits - 1) - 1, set(found[left:])).rewrite()
    if all(one.domain != CONTRIB for one in model.opset_import):
        model.opset_import.append(helper.make_opsetid(CONTRIB, 1))
    onnx.save(model, str(int8))


class _Rows:
    def __init__(self, graph: onnx.GraphProto, top: int, products: set[str]) -> None:
        self.graph = graph
        self.top = top
        self.products = products
        self.weights = {tensor.name: tensor for tensor in graph.initializer}
        self.makers = {name: node for node in graph.node for name in node.output}
        self.users: dict[str, list[onnx.NodeProto]] = defaultdict(list)
        for node in graph.node:
            for name in node.input:
                self.users[name].append(node)
        self.nodes: list[onnx.NodeProto] = []
        self.made: dict[str, onnx.TensorProto] = {}
        self.quantised: dict[tuple[str, bool], tuple[str, str]] = {}

    def rewrite(self) -> None:
        """Puts other nodes in the place of each of the products."""
        for node in self.graph.node:
            if node.output[0] not in self.products:
                self.nodes.append(node)
            elif node.op_type == "MatMul":
                self._product(node)
            else:
                self._attention(node)
        del self.graph.node[:]
        self.graph.node.extend(self.nodes)
        asked = {name for node in self.nodes for name in node.input}
        kept = [tensor for name, tensor in {**self.weights, **self.made}.items() if name in asked]
        del self.graph.initializer[:]
        self.graph.initializer.extend(kept)

    def _weight(self, node: onnx.NodeProto) -> tuple[NDArray[np.int8], NDArray[np.float32]]:
        """The matrix in whole numbers, and by what each column of them is to be multiplied."""
        weight = numpy_helper.to_array(self.weights[node.input[1]])
        scales = np.maximum(np.abs(weight).max(axis=0), 1e-12) / self.top
        return np.round(weight / scales).astype(np.int8), scales.astype(np.float32)

    def _attention(self, node: onnx.NodeProto) -> None:
        """ONNX Runtime's own node has one scale for the whole text: enough, once the channels are about equal."""
        if len(node.input) > 4 or any(one.name not in ATTENTION for one in node.attribute):
            self.nodes.append(node)
            return
        out = node.output[0]
        integers, scales = self._weight(node)
        values = [f"{out}/bytes", f"{out}/step", f"{out}/zero"]
        self.nodes.append(helper.make_node("DynamicQuantizeLinear", [node.input[0]], values))
        inputs = [
            values[0],
            self._constant(f"{out}/weight", integers),
            node.input[2],
            values[1],
            self._constant(f"{out}/scales", scales),
            node.input[3] if len(node.input) == 4 else "",
            values[2],
            self._constant("rows/none", np.int8(0)),
        ]
        self._node("QAttention", inputs, out, domain=CONTRIB)
        self.nodes[-1].attribute.extend(node.attribute)

    def _product(self, node: onnx.NodeProto) -> None:
        out = node.output[0]
        integers, scales = self._weight(node)
        after = self._bias_after(node)
        tokens, largest = self._tokens(node.input[0], after is not None)
        zero, step = ("zero", 1 / 255) if after is not None else ("middle", 1 / 127)
        inputs = [
            tokens,
            self._constant(f"{out}/weight", integers),
            self._constant(f"rows/step_{zero}", np.float32(step)),
            self._constant(f"{out}/scales", scales),
            self._constant(f"rows/{zero}", np.uint8(0 if zero == "zero" else 128)),
        ]
        self._node("MatMulIntegerToFloat", inputs, f"{out}/of_one", domain=CONTRIB)
        self._node("Mul", [f"{out}/of_one", largest], out)
        if after is not None:
            # What was added to each value comes off again with the bias.
            place = next(place for place, name in enumerate(after.input) if name in self.weights)
            bias = numpy_helper.to_array(self.weights[after.input[place]])
            shifted = bias - LOWEST * integers.astype(np.float32).sum(axis=0) * scales
            after.input[place] = self._constant(f"{out}/bias", shifted.astype(np.float32))

    def _bias_after(self, node: onnx.NodeProto) -> onnx.NodeProto | None:
        """The node that adds a bias to this product of GELU's output, where it is the only one to use it."""
        maker, users = self.makers.get(node.input[0]), self.users[node.output[0]]
        if maker is None or maker.op_type not in GELU or len(users) != 1:
            return None
        (user,) = users
        biased = user.op_type == "Add" and any(name in self.weights for name in user.input)
        return user if biased else None

    def _tokens(self, name: str, raised: bool) -> tuple[str, str]:
        """Each token's values as bytes, and by what one is to be multiplied."""
        key = (name, raised)
        if key not in self.quantised:
            own = f"{name}/{'raised' if raised else 'rows'}"
            if raised:
                source = self._node("Add", [name, self._constant("rows/lowest", np.float32(LOWEST))], f"{own}/values")
                size = source
            else:
                source, size = name, self._node("Abs", [name], f"{own}/size")
            peak = self._node("ReduceMax", [size], f"{own}/peak", axes=[-1], keepdims=1)
            # A token of nothing but zeros stays one.
            largest = self._node("Max", [peak, self._constant("rows/tiny", np.float32(1e-9))], f"{own}/largest")
            shares = self._node("Div", [source, largest], f"{own}/shares")
            zero, step = ("zero", 1 / 255) if raised else ("middle", 1 / 127)
            inputs = [
                shares,
                self._constant(f"rows/step_{zero}", np.float32(step)),
                self._constant(f"rows/{zero}", np.uint8(0 if raised else 128)),
            ]
            self.quantised[key] = (self._node("QuantizeLinear", inputs, f"{own}/bytes"), largest)
        return self.quantised[key]

    def _constant(self, name: str, value: NDArray[np.generic] | np.generic) -> str:
        self.made.setdefault(name, numpy_helper.from_array(np.asarray(value), name))
        return name

    def _node(self, operation: str, inputs: list[str], output: str, **attributes: object) -> str:
        self.nodes.append(helper.make_node(operation, inputs, [output], **attributes))  # type: ignore[arg-type] # untyped
        return output
