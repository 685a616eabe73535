"""Channels made about equally large: the same function, with less lost when it becomes bytes."""

from pathlib import Path

import numpy as np
import onnx
import onnxruntime
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from model_runner import scores
from tests import tiny_models
from training_endpoint.judge import export, forms, rows, smooth

LABELS = ["bad", "good"]


def run(file: Path, x: NDArray[np.float32]) -> NDArray[np.float32]:
    session = onnxruntime.InferenceSession(str(file), providers=["CPUExecutionProvider"])
    return np.asarray(session.run(["y"], {"x": x})[0])


def test_a_few_large_channels_cost_half_of_what_they_did(tmp_path: Path) -> None:
    chance = np.random.default_rng(0)
    weight = chance.normal(size=(64, 48)).astype(np.float32)
    nodes = [helper.make_node("Identity", ["x"], ["tokens"]), helper.make_node("MatMul", ["tokens", "weight"], ["y"])]
    graph = helper.make_graph(
        nodes,
        "one product",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, "length", 64])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [1, "length", 48])],
        [numpy_helper.from_array(weight, "weight")],
    )
    fp32 = tmp_path / "fp32.onnx"
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9), str(fp32))
    x = chance.normal(size=(1, 200, 64)).astype(np.float32)
    x[..., [3, 40]] *= 20
    lost = []
    for peaks in ({}, {"tokens": np.abs(x[0]).max(axis=0)}):
        rows.quantise(fp32, tmp_path / "int8.onnx", bits=8, peaks=peaks)
        lost.append(float(np.square(run(tmp_path / "int8.onnx", x) - x @ weight).mean()))
    assert lost[1] < lost[0] / 2

    smoothed = onnx.load(str(fp32))
    smooth.smooth(smoothed.graph, {"tokens": np.abs(x[0]).max(axis=0)})
    onnx.save(smoothed, str(fp32))
    assert np.abs(run(fp32, x) - x @ weight).max() < 1e-3


def test_what_a_model_computes_stays_the_same(tmp_path: Path) -> None:
    classifier = tiny_models.classifier(tmp_path / "base", LABELS)
    file = tmp_path / forms.FP32.file
    export.to_onnx(classifier, file, tiny_models.TEXTS[:3])
    model = export.model_of(file, classifier)
    before = scores(model, tiny_models.TEXTS, 1)
    known = smooth.peaks(file, [text.ids for text in model.encode(tiny_models.TEXTS)])
    graph = onnx.load(str(file))
    makers = {name: node.op_type for node in graph.graph.node for name in node.output}
    assert len(known) == 6, "what attention, what follows it and the feed-forward part get, of two layers"
    assert not {makers[name] for name in known} & {"BiasGelu", "Gelu"}
    smooth.smooth(graph.graph, known)
    onnx.save(graph, str(file))
    assert [node.op_type for node in graph.graph.node].count("Mul") >= 6
    assert np.abs(scores(export.model_of(file, classifier), tiny_models.TEXTS, 1) - before).max() < 1e-5


def test_channels_without_values_or_weights_are_no_trouble(tmp_path: Path) -> None:
    weight = np.ones((40, 8), np.float32)
    weight[7] = 0
    graph = helper.make_graph(
        [helper.make_node("Identity", ["x"], ["tokens"]), helper.make_node("MatMul", ["tokens", "weight"], ["y"])],
        "one product",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 2, 40])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [1, 2, 8])],
        [numpy_helper.from_array(weight, "weight")],
    )
    onnx.save(
        helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9),
        str(tmp_path / "fp32.onnx"),
    )
    x = np.ones((1, 2, 40), np.float32)
    x[..., 9] = 0
    for peaks in ({"tokens": np.abs(x[0, 0])}, {"tokens": np.zeros(40, np.float32)}):
        rows.quantise(tmp_path / "fp32.onnx", tmp_path / "int8.onnx", bits=8, peaks=peaks)
        assert np.abs(run(tmp_path / "int8.onnx", x) - x @ weight).max() < 0.5
