import json
import re
from pathlib import Path

import pytest
from flask.testing import FlaskClient
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from model_endpoint.api import create_app
from model_endpoint.cores import Cores
from model_endpoint.predict import Predictor
from model_endpoint.slot import Loaded, Slot
from model_runner import Encoded, Logits
from tests.unit.model_endpoint import stub

JSON = {"Content-Type": "application/json"}


def test_one_text_and_a_list_are_answered_in_order(client: FlaskClient) -> None:
    one = client.post("/predict", json={"input": "good"}, buffered=True)
    assert one.json == {
        "predictions": [
            {"label": "positive", "score": 0.731059, "scores": {"positive": 0.731059, "negative": 0.268941}}
        ],
        "model": {"name": "text-classifier", "version": "7", "run_id": "run7"},
    }
    assert one.headers["X-Model-Version"] == "7" and one.headers["X-Model-Run-Id"] == "run7"
    texts = ["bad", "good and long", "good", "bad bad bad"]
    many = client.post("/predict", json={"input": texts}, buffered=True).json
    assert many and [row["label"] for row in many["predictions"]] == ["negative", "positive", "positive", "negative"]


def test_top_k_limits_the_scores(client: FlaskClient) -> None:
    told = client.post("/predict", json={"input": "good", "top_k": 1}, buffered=True).json
    assert told and told["predictions"][0]["scores"] == {"positive": 0.731059}


def test_as_many_labels_as_there_are_is_the_most(client: FlaskClient) -> None:
    told = client.post("/predict", json={"input": "good", "top_k": 10**30}, buffered=True).json
    assert told and len(told["predictions"][0]["scores"]) == 2


def test_a_long_text_is_cut_and_says_so(client: FlaskClient) -> None:
    told = client.post("/predict", json={"input": ["good " * 60, "good"]}, buffered=True).json
    assert told and [row.get("truncated") for row in told["predictions"]] == [True, None]


@pytest.mark.parametrize(
    ("body", "status", "said"),
    [
        (b"", 400, "empty"),
        (b"{", 400, "not JSON"),
        (b'{"input": "\xff"}', 400, "not UTF-8"),
        (b"[" * 9000, 400, "nested too deeply"),
        (b'"text"', 400, "must be an object"),
        (b"{}", 400, '"input" is missing'),
        (b'{"input": []}', 400, "at least one text"),
        (b'{"input": null}', 400, "at least one text"),
        (b'{"input": {"a": 1}}', 400, "at least one text"),
        (b'{"input": ["a", 3]}', 400, "Input 1 is no text"),
        (b'{"input": ["a", " "]}', 400, "Input 1 is empty"),
        (b'{"input": "a\\u0000"}', 400, r"the character zero, U\+0000, at 1"),
        (b'{"input": "\\ud800"}', 400, r"half of a surrogate pair, U\+D800, at 0"),
        (b'{"input": "ok \\udc00\\ud800"}', 400, r"half of a surrogate pair, U\+DC00, at 3"),
        (b'{"input": "a", "topk": 1}', 400, "Unknown field 'topk'"),
        (b'{"input": "a", "top_k": 0}', 400, "whole number from 1"),
        (b'{"input": "a", "top_k": true}', 400, "whole number from 1"),
        (b'{"input": "a", "top_k": "2"}', 400, "whole number from 1"),
        (b'{"input": "a", "top_k": NaN}', 400, "whole number from 1"),
        (b'{"input": "a", "top_k": Infinity}', 400, "whole number from 1"),
        (b'{"input": "a", "top_k": 1e999}', 400, "whole number from 1"),
        (b'{"input": "a", "top_k": -' + b"9" * 5000 + b"}", 400, "not JSON"),
        (b'{"input": "a", "top_k": ' + b"9" * 5000 + b"}", 400, "not JSON"),
        (b'{"input": [NaN]}', 400, "Input 0 is no text"),
        (b'{"input": "a"} {}', 400, "not JSON"),
        (b'\xef\xbb\xbf\xef\xbb\xbf{"input": "a"}', 400, "not JSON"),
        (json.dumps({"input": "a"}).encode("utf-16"), 400, "not UTF-8"),
        (b'{"a": ' * 3000, 400, "nested too deeply"),
        (b'{"<b>": 1}', 400, "Unknown field '<b>'"),
        (json.dumps({"input": "a" * 1001}).encode(), 413, "1000 are allowed"),
        (json.dumps({"input": ["a"] * 21}).encode(), 413, "at most 20"),
        (json.dumps({"input": "a" * 30000}).encode(), 413, "exceeds"),
    ],
)
def test_bad_input_is_refused_with_a_sentence(client: FlaskClient, body: bytes, status: int, said: str) -> None:
    answer = client.post("/predict", data=body, headers=JSON, buffered=True)
    assert answer.status_code == status
    assert answer.json is not None
    assert re.search(said, answer.json["error"]["message"])


@pytest.mark.parametrize("text", ["page one\x0cpage two", "\x1b[1mbold\x1b[0m", "a\x7fb", "a\x0bb", "\ufeffa", "\x85a"])
def test_a_text_that_a_database_takes_is_answered(client: FlaskClient, text: str) -> None:
    assert client.post("/predict", json={"input": text}, buffered=True).status_code == 200


def test_a_byte_order_mark_is_no_part_of_the_json(client: FlaskClient) -> None:
    for path, field in (("/predict", "input"), ("/invocations", "inputs"), ("/", "inputs")):
        body = b"\xef\xbb\xbf" + json.dumps({field: "good"}).encode()
        assert client.post(path, data=body, headers=JSON, buffered=True).status_code == 200


def test_a_count_that_a_program_writes_as_a_float_is_a_count(client: FlaskClient) -> None:
    told = client.post("/predict", json={"input": "good", "top_k": 1.0}, buffered=True).json
    assert told and len(told["predictions"][0]["scores"]) == 1
    assert client.post("/predict", json={"input": "good", "top_k": 1.5}, buffered=True).status_code == 400


def test_more_tokens_than_a_request_may_have_are_refused_before_they_are_computed(tmp_path: Path) -> None:
    model = stub.Stub()
    server = stub.server(tmp_path, model, MODEL_MAX_TOKENS="100")
    client = create_app(server.settings, server).test_client()
    answer = client.post("/predict", json={"input": ["good " * 40] * 3}, buffered=True)
    assert answer.status_code == 413 and answer.json and "100 tokens" in answer.json["error"]["message"]
    assert not model.batches
    assert client.post("/predict", json={"input": ["good " * 40] * 2}, buffered=True).status_code == 200


def test_what_takes_too_long_is_given_up_and_says_what_to_do(tmp_path: Path) -> None:
    model = stub.Stub(seconds=0.1)
    server = stub.server(tmp_path, model, MODEL_ANSWER_SECONDS="0.25", MODEL_CORES="1")
    client = create_app(server.settings, server).test_client()
    answer = client.post("/predict", json={"input": ["good"] * 160}, buffered=True)
    assert answer.status_code == 413 and answer.json and "send fewer at a time" in answer.json["error"]["message"]
    assert len(model.batches) < 10
    assert client.post("/predict", json={"input": "good"}, buffered=True).status_code == 200


class Broken(stub.Stub):
    """Its tokenizer, or its inference, raises what no `except Exception` catches."""

    class Panic(BaseException):
        pass

    def __init__(self, where: str) -> None:
        super().__init__()
        self.where = where

    def encode(self, texts: list[str]) -> list[Encoded]:
        if self.where == "encode" and "bomb" in texts[0]:
            raise self.Panic("regex")
        return super().encode(texts)

    def logits(self, batch: list[Encoded]) -> Logits:
        if self.where == "logits" and len(batch[0].ids) == 7:
            raise self.Panic("inference")
        return super().logits(batch)


@pytest.mark.parametrize("where", ["encode", "logits"])
@pytest.mark.parametrize("path", ["/predict", "/predict?", "/invocations", "/"])
def test_a_model_that_panics_costs_one_answer_and_no_thread(tmp_path: Path, where: str, path: str) -> None:
    server = stub.server(tmp_path, Broken(where))
    client = create_app(server.settings, server).test_client()
    field = "input" if "predict" in path else "inputs"
    kind = "application/json" if path == "/predict" else "application/json; charset=utf-8"
    for text in ("bomb a b c d e f", ["bomb a b c d e f"] * 20):
        answer = client.post(path, data=json.dumps({field: text}), content_type=kind, buffered=True)
        assert answer.status_code == 500 and answer.json and answer.json["error"]["code"] == "model_broke"
    assert client.post("/predict", json={"input": ["good"] * 20}, buffered=True).status_code == 200
    assert server.replica.slot.requests == 0


def test_wrong_content_type_and_method_are_refused(client: FlaskClient) -> None:
    assert client.post("/predict", data=b'{"input": "a"}', buffered=True).status_code == 415
    answer = client.get("/predict", buffered=True)
    assert answer.status_code == 405 and "POST" in answer.headers["Allow"]


anything = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.sampled_from(["input", "inputs", "top_k", "data"]), inner),
)


@hypothesis_settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
@given(path=st.sampled_from(["/predict", "/invocations", "/", "/v2/models/text-classifier/infer"]), value=anything)
def test_no_json_makes_a_5xx(client: FlaskClient, path: str, value: object) -> None:
    keys = ["input", "inputs", "instances", "dataframe_split", "dataframe_records"]
    for body in (value, *({key: value} for key in keys)):
        assert client.post(path, json=body, buffered=True).status_code < 500


@hypothesis_settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(text=st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=60))
def test_whatever_text_a_row_can_hold_is_answered(client: FlaskClient, text: str) -> None:
    answer = client.post("/predict", json={"input": text + "."}, buffered=True)
    assert answer.status_code == 200, answer.text


@hypothesis_settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(path=st.sampled_from(["/predict", "/invocations", "/", "/v2/models/text-classifier/infer"]), data=st.binary())
def test_no_bytes_make_a_5xx(client: FlaskClient, path: str, data: bytes) -> None:
    headers = {**JSON, "Inference-Header-Content-Length": str(len(data) // 2)}
    assert client.post(path, data=data, headers=headers, buffered=True).status_code < 500


def test_a_large_request_is_cut_for_the_cores(tmp_path: Path) -> None:
    model = stub.Stub()
    slot = Slot(8, 1)
    slot.offer(stub.loaded(1, model))
    slot.commit(1, 1, "leader")
    predictor = Predictor(slot, Cores(2), stub.settings(tmp_path))
    predictor.classify(["good"] * 30, [])
    assert sorted(model.batches) == [6, 8, 8, 8]
    model.batches.clear()
    predictor.classify(["good"] * 4, [])
    assert model.batches == [2, 2]


def test_overload_is_answered_at_once(tmp_path: Path) -> None:
    server = stub.server(tmp_path, MODEL_MAX_REQUESTS="1")
    client = create_app(server.settings, server).test_client()
    refused = []

    def ask_again(_: Loaded) -> None:
        refused.append(client.post("/predict", json={"input": "good"}, buffered=True))

    server.replica.slot.run(ask_again, [])
    (answer,) = refused
    assert answer.status_code == 503 and answer.headers["Retry-After"] == "1"
    assert answer.json and answer.json["error"]["code"] == "overloaded"
    assert client.post("/predict", json={"input": "good"}, buffered=True).status_code == 200
