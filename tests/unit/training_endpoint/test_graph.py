from pathlib import Path

import numpy as np
import onnx
import pytest

from model_runner import scores
from tests import tiny_models
from training_endpoint.clock import Clock
from training_endpoint.data.snapshot import Rows
from training_endpoint.judge import export, graph

TEXTS = tiny_models.TEXTS
ROWS = Rows(TEXTS, [number % 2 for number in range(40)])
LABELS = ["bad", "good"]


def operations(file: Path) -> list[str]:
    return [node.op_type for node in onnx.load(str(file)).graph.node]


@pytest.mark.parametrize("architecture", tiny_models.ARCHITECTURES)
def test_the_small_graph_answers_the_same_with_fewer_nodes(architecture: str, tmp_path: Path) -> None:
    classifier = tiny_models.classifier(tmp_path / "base", LABELS, architecture)
    traced, small = tmp_path / "traced.onnx", tmp_path / "small.onnx"
    export.trace(classifier, traced)
    config = classifier.model.config
    graph.shrink(traced, config.num_attention_heads, config.hidden_size, small)
    assert operations(small).count("Attention") == config.num_hidden_layers
    assert len(operations(small)) < len(operations(traced)) / 2
    assert "SkipLayerNormalization" not in operations(small), "which takes twice as long as its parts"
    answers = [scores(export.model_of(file, classifier), TEXTS, 2) for file in (traced, small)]
    assert np.abs(answers[0] - answers[1]).max() < 1e-5


@pytest.mark.parametrize("architecture", tiny_models.ARCHITECTURES)
def test_the_last_layer_ends_with_one_token(architecture: str, tmp_path: Path) -> None:
    classifier = tiny_models.classifier(tmp_path / "base", LABELS, architecture)
    traced, small = tmp_path / "traced.onnx", tmp_path / "small.onnx"
    export.trace(classifier, traced)
    graph.shrink(traced, classifier.model.config.num_attention_heads, classifier.model.config.hidden_size, small)
    nodes = list(onnx.load(str(small)).graph.node)
    first = next(place for place, node in enumerate(nodes) if node.output[0].endswith("/first"))
    last = max(place for place, node in enumerate(nodes) if node.op_type == "Attention")
    assert last < first
    assert "BiasGelu" in [node.op_type for node in nodes[first:]]


def test_a_token_that_others_ask_for_is_not_left_out() -> None:
    """Here the mean over all tokens is wanted too, so the layer must be computed for all of them."""
    make = onnx.helper
    weight = make.make_tensor("weight", onnx.TensorProto.FLOAT, [4, 4], np.eye(4, dtype=np.float32).ravel())
    zero = make.make_tensor("zero", onnx.TensorProto.INT64, [], [0])
    nodes = [
        make.make_node("MatMul", ["hidden", "weight"], ["dense"]),
        make.make_node("Gather", ["dense", "zero"], ["token"], axis=1),
        make.make_node("ReduceMean", ["dense"], ["mean"], axes=[1], keepdims=0),
        make.make_node("Add", ["token", "mean"], ["logits"]),
    ]
    shapes = [make.make_tensor_value_info(name, onnx.TensorProto.FLOAT, None) for name in ("hidden", "logits")]
    made = make.make_graph(nodes, "test", shapes[:1], shapes[1:], [weight, zero])
    graph.first_token_only(made)
    assert list(made.node) == nodes


@pytest.mark.parametrize("fault", ["raises", "answers otherwise"])
def test_where_the_small_graph_fails_the_traced_one_is_served(
    fault: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(_traced: Path, _heads: int, _hidden: int, small: Path) -> None:
        if fault == "raises":
            raise ValueError("an unknown pattern")
        export.trace(tiny_models.classifier(tmp_path / "other", LABELS), small)

    monkeypatch.setattr(graph, "shrink", broken)
    classifier = tiny_models.classifier(tmp_path / "base", LABELS)
    served, _ = export.export(classifier, ROWS, [], tmp_path / "serving", Clock())
    assert served.difference < served.allowed
    assert {file.suffix for file in served.folder.iterdir()} == {".json", ".onnx"}
    assert len(list(served.folder.glob("*.onnx"))) == 1
