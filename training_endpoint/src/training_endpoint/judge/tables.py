"""Tables of embeddings, most of a small model's weights, kept once: the ONNX file reads them where PyTorch has them.

In the file's graph a table becomes a place in a safetensors file, of 16 bits a number, and what is looked up there is
widened to 32. Where each number of the table is one of 16 bits, the answers are the same to the last bit.
"""

import json
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

LEAST = 1 << 16
"""Bytes of 32-bit numbers below which a table stays in the file."""


def share(file: Path, weights: Path) -> str:
    """Rewrites the ONNX `file` so that it takes its tables from a safetensors file in the folder `weights`.

    The path is `weights/FILE` from where `file` lies. Returns it; empty, and nothing changes, where none has them.
    """
    model = onnx.load(str(file), load_external_data=False)
    users = defaultdict(list)
    for node in model.graph.node:
        for index, name in enumerate(node.input):
            users[name].append((node, index))
    found = ""
    for table in model.graph.initializer:
        if table.data_type not in (TensorProto.FLOAT, TensorProto.FLOAT16) or np.prod(table.dims) * 4 < LEAST:
            continue
        if table.data_location == TensorProto.EXTERNAL or not all(map(_looks_up, users[table.name])):
            continue
        numbers = numpy_helper.to_array(table)
        place = _find(numbers, weights, found)
        if place is None:
            continue
        found, offset, length = place
        if table.data_type == TensorProto.FLOAT:
            for node, _ in users[table.name]:
                _widen(model.graph, node)
        at = {"location": f"{weights.name}/{found}", "offset": str(offset), "length": str(length)}
        outside = TensorProto(name=table.name, data_type=TensorProto.FLOAT16, dims=table.dims)
        outside.data_location = TensorProto.EXTERNAL
        outside.external_data.extend(onnx.StringStringEntryProto(key=key, value=value) for key, value in at.items())
        table.CopyFrom(outside)
    if not found:
        return ""
    file.write_bytes(model.SerializeToString())
    return f"{weights.name}/{found}"


def _looks_up(use: tuple[onnx.NodeProto, int]) -> bool:
    node, place = use
    axis = next((one.i for one in node.attribute if one.name == "axis"), 0)
    return bool(node.op_type == "Gather" and place == 0 and axis == 0)


def _widen(graph: onnx.GraphProto, node: onnx.NodeProto) -> None:
    """Puts a cast to 32 bits behind `node`."""
    wide, node.output[0] = node.output[0], f"{node.output[0]}/narrow"
    cast = helper.make_node("Cast", [node.output[0]], [wide], to=TensorProto.FLOAT)
    graph.node.insert(list(graph.node).index(node) + 1, cast)


def _find(numbers: NDArray[np.float32], weights: Path, only: str) -> tuple[str, int, int] | None:
    """File, offset and length in bytes of the same numbers in 16 bits; `only` one file is looked into, if named."""
    with np.errstate(over="ignore"):
        narrow = numbers.astype(np.float16)
    if not np.array_equal(narrow.astype(np.float32), numbers.astype(np.float32)):
        return None
    for file in sorted(weights.glob("*.safetensors")):
        if only not in ("", file.name):
            continue
        for shape, offset, length in _tensors(file):
            if shape == list(numbers.shape):
                kept = np.memmap(file, np.float16, "r", offset, shape=numbers.shape)
                if np.array_equal(kept, narrow):
                    return file.name, offset, length
    return None


def _tensors(file: Path) -> Iterator[tuple[list[int], int, int]]:
    """Shape, offset and length of each tensor of 16-bit floats."""
    with file.open("rb") as opened:
        size = int.from_bytes(opened.read(8), "little")
        header = json.loads(opened.read(size))
    for name, entry in header.items():
        if name != "__metadata__" and entry["dtype"] == "F16":
            begin, end = entry["data_offsets"]
            yield entry["shape"], 8 + size + begin, end - begin
