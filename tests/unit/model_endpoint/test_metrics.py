"""What dashboards of other servers look for is there, by the model's name and version."""

import re
from pathlib import Path

import pytest
from flask.testing import FlaskClient

from mlops_contract.voucher import Voucher
from model_endpoint.api import create_app
from model_endpoint.metrics import Metrics
from model_endpoint.slot import Loaded
from model_endpoint.standing import Standing
from tests.unit.model_endpoint import stub

INFER = {"inputs": [{"name": "text", "datatype": "BYTES", "shape": [1], "data": ["good"]}]}
MODEL = 'model_name="text-classifier",model_version="7"'


def samples(client: FlaskClient) -> dict[str, float]:
    text = client.get("/metrics", buffered=True).text
    return {name: float(value) for name, value in re.findall(r"^([^#\s][^\n]*) (\S+)$", text, re.MULTILINE)}


def test_predictions_are_counted_whichever_way_they_come(client: FlaskClient) -> None:
    for path, body in (
        ("/predict", {"input": "good"}),
        ("/predict?", {"input": ["good", "bad"]}),
        ("/invocations", {"inputs": "good"}),
        ("/v2/models/text-classifier/infer", INFER),
        ("/", {"inputs": "good"}),
    ):
        assert client.post(path, json=body, buffered=True).status_code == 200
    client.post("/predict", json={"input": ""}, buffered=True)
    client.post("/invocations", json={}, buffered=True)
    client.get("/predict", buffered=True)
    found = samples(client)
    assert found[f"model_infer_request_success_total{{{MODEL}}}"] == 5
    assert found[f"model_infer_request_failure_total{{{MODEL}}}"] == 2
    for part in ("preprocess", "predict", "postprocess"):
        assert found[f'request_{part}_seconds_count{{model_name="text-classifier"}}'] == 5
        assert 0 <= found[f'request_{part}_seconds_sum{{model_name="text-classifier"}}'] < 5
    assert found['rest_server_requests_total{method="POST",path="/predict",status_code="200"}'] == 2
    assert found['rest_server_requests_total{method="POST",path="/predict",status_code="400"}'] == 1
    infer = 'http_request_method="POST",http_response_status_code="200",http_route="/v2/models/{name}/infer"'
    assert found[f"http_server_request_duration_seconds_count{{{infer},{MODEL}}}"] == 1
    assert found['model_requests_total{endpoint="predict",status="200"}'] == 2, "today's are still there"


def test_buckets_are_open_telemetrys(client: FlaskClient) -> None:
    client.post("/predict", json={"input": "good"}, buffered=True)
    bounds = {
        bound
        for name in samples(client)
        for bound in re.findall(r'^http_server_request_duration_seconds_bucket.*le="([^"]+)"', name)
    }
    wanted = "0.005 0.01 0.025 0.05 0.075 0.1 0.25 0.5 0.75 1.0 2.5 5.0 7.5 10.0 +Inf"
    assert bounds == set(wanted.split())


def test_callers_cannot_make_series_without_end(client: FlaskClient) -> None:
    client.get("/health", buffered=True)
    client.open("/x", method="BREW0", buffered=True)
    before = len(samples(client))
    for n in range(50):
        client.get(f"/nothing/{n}", buffered=True)
        client.open("/x", method=f"BREW{n}", buffered=True)
        client.post(f"/v2/models/m{n}/infer", json=INFER, buffered=True)
    assert len(samples(client)) - before < 100


def test_versions_of_long_ago_are_forgotten() -> None:
    metrics = Metrics()
    for version in map(str, range(1, 301)):
        for route in ("/predict", "/health"):
            metrics.known.answered("POST", route, "200", ("films", version), 0.01)
        metrics.known.inferred(("films", version), (0.001, 0.01, 0.001))
        metrics.known.inferred(("films", version), None)
    metrics.known.answered("POST", "/predict", "200", ("mails", "1"), 0.01)
    text = metrics.text().decode()
    assert set(re.findall(r'model_name="films",model_version="(\d+)"', text)) == {"297", "298", "299", "300"}
    assert 'model_name="mails",model_version="1"' in text


def test_the_metrics_at_the_root_tell_of_every_classifier(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Standing, "watched", lambda self: None)  # no desk is here that lends it the right to answer
    server = stub.server(tmp_path, MODEL_ENDPOINTS="127.0.0.1:9")
    app = create_app(server.settings, server)
    classifiers = app.extensions["classifiers"]
    classifiers.keep(["spam"], "", {})
    try:
        replica = classifiers._all["spam"].server.replica
        replica.slot.offer(Loaded(Voucher("spam", 3, "run3", "place", {}), stub.Stub()))
        replica.commit(3, 1, "stub")
        client = app.test_client()
        assert client.post("/classifiers/spam/predict", json={"input": "good"}, buffered=True).status_code == 200
        assert samples(client)['model_infer_request_success_total{model_name="spam",model_version="3"}'] == 1
    finally:
        classifiers.keep([], "", {})
