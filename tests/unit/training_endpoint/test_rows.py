"""Products by rows: as fp32, nearer than ONNX Runtime's own quantisation, and each token by itself."""

from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper, numpy_helper

from model_runner import scores
from model_runner.artifact import Form
from tests import tiny_models
from training_endpoint.judge import export, forms, rows

LABELS = ["bad", "good"]


@pytest.mark.parametrize("architecture", tiny_models.ARCHITECTURES)
@pytest.mark.parametrize("form", forms.QUANTISED, ids=lambda form: form.name)
def test_each_form_answers_almost_as_fp32(architecture: str, form: Form, tmp_path: Path) -> None:
    classifier = tiny_models.classifier(tmp_path / "base", LABELS, architecture)
    export.to_onnx(classifier, tmp_path / forms.FP32.file, tiny_models.TEXTS[:3])
    ids = [text.ids for text in export.model_of(tmp_path / forms.FP32.file, classifier).encode(tiny_models.TEXTS)]
    forms.quantise(tmp_path, form, forms.measure(tmp_path, ids))
    assert {file.name for file in tmp_path.glob("*.onnx")} == {forms.FP32.file, form.file}
    fp32, int8 = (
        scores(export.model_of(tmp_path / file, classifier), tiny_models.TEXTS, 1)
        for file in (forms.FP32.file, form.file)
    )
    assert 0 < np.abs(fp32 - int8).max() < 0.01
    operations = [node.op_type for node in onnx.load(str(tmp_path / form.file)).graph.node]
    whole = form is forms.INT8_MIXED
    assert operations.count("Attention") == (1 if whole else 0), "of the first layer"
    assert operations.count("QAttention") == (1 if whole else 2)
    assert operations.count("MatMulIntegerToFloat") >= (4 if whole else 6)


@pytest.mark.parametrize(("bits", "allowed"), [(8, 0.02), (7, 0.03)])
@pytest.mark.parametrize("after_gelu", [False, True])
def test_a_token_with_large_values_costs_the_others_nothing(
    bits: int, allowed: float, after_gelu: bool, tmp_path: Path
) -> None:
    chance = np.random.default_rng(0)
    weight = chance.normal(size=(64, 48)).astype(np.float32)
    constants = {"weight": weight, "bias": chance.normal(size=48)}
    made = [
        helper.make_node("Gelu", ["x"], ["tokens"], domain="com.microsoft")
        if after_gelu
        else helper.make_node("Identity", ["x"], ["tokens"]),
        helper.make_node("MatMul", ["tokens", "weight"], ["product"]),
        helper.make_node("Add", ["product", "bias"], ["sum"]),
    ]
    graph = helper.make_graph(
        made,
        "one product",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 3, 64])],
        [helper.make_tensor_value_info("sum", TensorProto.FLOAT, [1, 3, 48])],
        [numpy_helper.from_array(np.asarray(value, np.float32), name) for name, value in constants.items()],
    )
    opsets = [helper.make_opsetid("", 17), helper.make_opsetid("com.microsoft", 1)]
    onnx.save(helper.make_model(graph, opset_imports=opsets, ir_version=9), str(tmp_path / "fp32.onnx"))
    rows.quantise(tmp_path / "fp32.onnx", tmp_path / "int8.onnx", bits=bits, peaks={})
    x = chance.normal(size=(1, 3, 64)).astype(np.float32)
    x[0, 1] *= 1000
    x[0, 2] = 0
    fp32, int8 = (
        onnxruntime.InferenceSession(str(tmp_path / name), providers=["CPUExecutionProvider"]).run(["sum"], {"x": x})[0]
        for name in ("fp32.onnx", "int8.onnx")
    )
    assert np.isfinite(int8).all()
    for token in (0, 1):
        assert np.abs(fp32[0, token] - int8[0, token]).max() < allowed * np.abs(fp32[0, token]).max()
    assert np.abs(fp32[0, 2] - int8[0, 2]).max() < 0.05
