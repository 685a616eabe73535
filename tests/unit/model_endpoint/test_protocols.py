"""Clients that we did not write, against a replica on a real socket."""

import json
import re
import warnings
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import requests
import tritonclient.http as triton
from flask.testing import FlaskClient
from huggingface_hub import InferenceClient
from openapi_spec_validator import validate

from model_endpoint.api import create_app
from tests.unit.model_endpoint import stub

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # MLflow's own, about itself
    from mlflow.pyfunc.scoring_server.client import ScoringServerClient

TEXTS = ["a good film", "a bad film"]
INFER = "/v2/models/text-classifier/infer"


def test_mlflows_own_client(address: str) -> None:
    host, port = address.split(":")
    client = ScoringServerClient(host, int(port))
    client.ping()
    assert client.get_version() == "3.17.2"
    for data in (pd.DataFrame({"text": TEXTS}), TEXTS):
        found = client.invoke(data).get_predictions()
        assert found["label"].tolist() == ["positive", "negative"]


@pytest.mark.parametrize(
    "body",
    [
        {"inputs": TEXTS},
        {"inputs": {"text": TEXTS}},
        {"instances": TEXTS},
        {"instances": [{"text": text} for text in TEXTS]},
        {"instances": [[text] for text in TEXTS]},
        {"dataframe_split": {"columns": ["text"], "data": [[text] for text in TEXTS]}},
        {"dataframe_split": {"columns": ["id", "text"], "index": [0, 1], "data": [[1, TEXTS[0]], [2, TEXTS[1]]]}},
        {"dataframe_records": [{"text": text} for text in TEXTS]},
        {"dataframe_records": [{"id": 1, "text": text} for text in TEXTS], "params": {}},
    ],
)
def test_every_shape_of_mlflows_scoring_protocol(client: FlaskClient, body: object) -> None:
    told = client.post("/invocations", json=body, buffered=True).json
    assert told and [row["label"] for row in told["predictions"]] == ["positive", "negative"]


def test_mlflows_params_give_more_labels(client: FlaskClient) -> None:
    told = client.post("/invocations", json={"inputs": TEXTS[:1], "params": {"top_k": 2}}, buffered=True).json
    assert told and [row["label"] for row in told["predictions"][0]] == ["positive", "negative"]


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"inputs": TEXTS, "instances": TEXTS},
        {"dataframe_split": TEXTS},
        {"dataframe_split": {"columns": ["text"], "data": [["a", "b"]]}},
        {"dataframe_split": {"columns": ["a", "b"], "data": [["a", "b"]]}},
        {"dataframe_records": [{}]},
        {"inputs": TEXTS, "params": 3},
    ],
)
def test_what_is_no_scoring_request_is_refused(client: FlaskClient, body: object) -> None:
    assert client.post("/invocations", json=body, buffered=True).status_code == 400


@pytest.mark.parametrize("compression", ["gzip", "deflate"])
@pytest.mark.parametrize("binary", [False, True])
def test_tritons_client_may_compress(address: str, binary: bool, compression: str) -> None:
    client = triton.InferenceServerClient(address)
    tensor = triton.InferInput("text", [2], "BYTES")
    tensor.set_data_from_numpy(np.array([text.encode() for text in TEXTS], dtype=object), binary_data=binary)
    found = client.infer("text-classifier", [tensor], request_compression_algorithm=compression)
    assert found.as_numpy("label").tolist() == ["positive", "negative"]
    client.close()


@pytest.mark.parametrize("binary", [False, True])
def test_tritons_client(address: str, binary: bool) -> None:
    client = triton.InferenceServerClient(address)
    assert client.is_server_live() and client.is_server_ready() and client.is_model_ready("text-classifier")
    assert client.is_model_ready("text-classifier", "7") and not client.is_model_ready("text-classifier", "8")
    metadata = client.get_model_metadata("text-classifier")
    assert metadata["versions"] == ["7"] and metadata["inputs"][0]["datatype"] == "BYTES"
    tensor = triton.InferInput("text", [2], "BYTES")
    tensor.set_data_from_numpy(np.array([text.encode() for text in TEXTS], dtype=object), binary_data=binary)
    found = client.infer("text-classifier", [tensor], request_id="mine")
    assert found.get_response()["model_version"] == "7" and found.get_response()["id"] == "mine"
    assert found.as_numpy("label").tolist() == ["positive", "negative"]
    assert found.as_numpy("scores").shape == (2, 2) and found.as_numpy("score").tolist()[0] > 0.7
    only = client.infer("text-classifier", [tensor], outputs=[triton.InferRequestedOutput("score", binary_data=False)])
    assert [output["name"] for output in only.get_response()["outputs"]] == ["score"]
    client.close()


def test_tritons_client_understands_a_refusal(address: str) -> None:
    client = triton.InferenceServerClient(address)
    tensor = triton.InferInput("other", [1], "BYTES")
    tensor.set_data_from_numpy(np.array([b"a"], dtype=object))
    with pytest.raises(triton.InferenceServerException, match='must have the name "text"'):
        client.infer("text-classifier", [tensor])
    with pytest.raises(triton.InferenceServerException, match="Served here is text-classifier, version 7"):
        client.get_model_metadata("another")
    client.close()


def test_the_specifications_own_form_of_a_request(client: FlaskClient) -> None:
    tensor = {"name": "text", "shape": [2, 1], "datatype": "BYTES", "data": [["good"], ["bad"]]}
    told = client.post(INFER, json={"id": "42", "inputs": [tensor]}, buffered=True).json
    assert told == {
        "model_name": "text-classifier",
        "model_version": "7",
        "id": "42",
        "outputs": [
            {"name": "label", "datatype": "BYTES", "shape": [2], "data": ["positive", "negative"]},
            {"name": "score", "datatype": "FP32", "shape": [2], "data": [0.731059, 0.731059]},
            {"name": "scores", "datatype": "FP32", "shape": [2, 2], "data": [0.268941, 0.731059, 0.731059, 0.268941]},
        ],
    }


@pytest.mark.parametrize(
    "change",
    [
        {"shape": [0]},
        {"shape": [-2]},
        {"shape": [True]},
        {"shape": [1, 0]},
        {"shape": [2, 1, 1]},
        {"shape": "2"},
        {"datatype": "FP32"},
        {"data": None},
        {"data": [1, 2]},
        {"parameters": []},
    ],
)
def test_a_wrong_tensor_is_refused_with_a_sentence(client: FlaskClient, change: dict[str, object]) -> None:
    tensor = {"name": "text", "shape": [2], "datatype": "BYTES", "data": TEXTS, **change}
    answer = client.post(INFER, json={"inputs": [tensor]}, buffered=True)
    assert answer.status_code == 400 and answer.json and isinstance(answer.json["error"], str)


@pytest.mark.parametrize(("shape", "said"), [([3], "3"), ([1, 2], "1 × 2"), ([2, 2], "2 × 2")])
def test_a_shape_that_contradicts_the_data_is_a_conflict(client: FlaskClient, shape: list[int], said: str) -> None:
    tensor = {"name": "text", "shape": shape, "datatype": "BYTES", "data": TEXTS}
    answer = client.post(INFER, json={"inputs": [tensor]}, buffered=True)
    assert answer.status_code == 409 and answer.json == {"error": f"The shape says {said} texts, the data has 2."}


@pytest.mark.parametrize("field", [{"id": 5}, {"parameters": 3}, {"outputs": 0}, {"outputs": [{"name": "other"}]}])
def test_wrong_fields_beside_the_tensor_are_refused(client: FlaskClient, field: dict[str, object]) -> None:
    tensor = {"name": "text", "shape": [2], "datatype": "BYTES", "data": TEXTS}
    assert client.post(INFER, json={"inputs": [tensor], **field}, buffered=True).status_code == 400


@pytest.mark.parametrize("path", ["/v2/nothing", "/v2/models", "/v2/models/a/b/c", "/v2/"])
def test_what_is_not_there_is_said_in_the_protocols_own_shape(client: FlaskClient, path: str) -> None:
    answer = client.get(path, buffered=True)
    assert answer.status_code == 404 and answer.json and isinstance(answer.json["error"], str)


@pytest.mark.parametrize("data", [b"\x01", b"\x09\0\0\0ab", b"\x01\0\0\0\xff"])
def test_damaged_binary_tensors_are_refused(client: FlaskClient, data: bytes) -> None:
    document = json.dumps({"inputs": [{"name": "text", "shape": [1], "datatype": "BYTES"}]}).encode()
    headers = {"Inference-Header-Content-Length": str(len(document))}
    answer = client.post(INFER, data=document + data, headers=headers, buffered=True)
    assert answer.status_code == 400


def test_hugging_faces_client(address: str) -> None:
    client = InferenceClient(model=f"http://{address}/")
    found = client.text_classification("a good film")
    assert [element.label for element in found] == ["positive", "negative"]
    assert client.text_classification("bad", top_k=1)[0].label == "negative"


def test_hugging_faces_shape_of_a_list(address: str) -> None:
    told = requests.post(f"http://{address}/", json={"inputs": TEXTS}, timeout=5).json()
    assert [row[0]["label"] for row in told] == ["positive", "negative"]


def test_the_description_is_valid_and_whole(tmp_path: Path) -> None:
    app = create_app(stub.settings(tmp_path))
    described = app.test_client().get("/openapi.json", buffered=True).json
    assert described
    validate(described)
    inside = ("/change_model", "/models", "/metrics", "/static")
    routes = {
        (re.sub(r"<(\w+)>", r"{\1}", rule.rule), method.lower())
        for rule in app.url_map.iter_rules()
        if not rule.rule.startswith(inside)
        for method in (rule.methods or set()) - {"HEAD", "OPTIONS"}
    }
    found = {
        (path, method) for path, item in described["paths"].items() for method in item if method in ("get", "post")
    }
    assert routes == found


def test_the_metrics_count_what_was_answered(client: FlaskClient) -> None:
    client.post("/predict", json={"input": TEXTS}, buffered=True)
    client.post("/predict", json={}, buffered=True)
    text = client.get("/metrics", buffered=True).text
    assert 'model_requests_total{endpoint="predict",status="200"} 1.0' in text
    assert 'model_requests_total{endpoint="predict",status="400"} 1.0' in text
    assert "model_texts_sum 2.0" in text and "model_version 7.0" in text
