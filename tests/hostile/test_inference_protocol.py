"""The Open Inference Protocol's own REST description: each of its paths, with right and wrong names and bodies."""

import json

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.hostile import tally
from tests.hostile.tally import Client

KIND = "Open Inference Protocol"
NAME = "/v2/models/text-classifier"
GET = [
    "/v2",
    "/v2/health/live",
    "/v2/health/ready",
    NAME,
    f"{NAME}/ready",
    f"{NAME}/versions/7",
    f"{NAME}/versions/7/ready",
]
texts = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=1).filter(str.strip)
outputs = st.lists(st.sampled_from(["label", "score", "scores"]), unique=True)


def test_every_path_answers_as_the_protocol_says(door: str) -> None:
    client = Client(door)
    for path in GET:
        assert client.ask(KIND, "GET", path, None, {})[0] == 200, path
    for path in (
        "/v2/models/other",
        "/v2/models/other/ready",
        f"{NAME}/versions/8",
        f"{NAME}/versions/x/ready",
        "/v2/x",
    ):
        status, said = client.ask(KIND, "GET", path, None, {})
        assert status == 404 and isinstance(json.loads(said)["error"], str), path
    for path in (f"{NAME}/infer", f"{NAME}/versions/7/infer"):
        assert client.ask(KIND, "GET", path, None, {})[0] == 405
    tally.check(KIND)


@settings(
    max_examples=max(50, tally.CASES // 20), deadline=None, suppress_health_check=list(HealthCheck), database=None
)
@given(
    asked=st.lists(texts, min_size=1, max_size=5),
    wanted=outputs,
    name=st.none() | st.text(max_size=20),
    flat=st.booleans(),
)
def test_what_is_right_is_answered(
    door: str, asked: list[str], wanted: list[str], name: str | None, flat: bool
) -> None:
    tensor = {"name": "text", "datatype": "BYTES", "shape": [len(asked)] if flat else [len(asked), 1], "data": asked}
    document = {
        "inputs": [tensor],
        "outputs": [{"name": one} for one in wanted],
        **({} if name is None else {"id": name}),
    }
    status, said = Client(door).ask(KIND, "POST", f"{NAME}/infer", json.dumps(document).encode(), {})
    told = json.loads(said)
    assert status == 200, told
    assert told["model_name"] == "text-classifier" and told["model_version"] == "7" and told.get("id") == name
    assert {one["name"] for one in told["outputs"]} == set(wanted or ["label", "score", "scores"])
    for output in told["outputs"]:
        size = output["shape"][0] * (output["shape"][1] if len(output["shape"]) > 1 else 1)
        assert output["shape"][0] == len(asked) and len(output["data"]) == size


anything = st.recursive(
    st.none() | st.booleans() | st.floats(allow_nan=False) | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["name", "shape", "data"]), inner),
    max_leaves=6,
)


@settings(
    max_examples=max(50, tally.CASES // 20), deadline=None, suppress_health_check=list(HealthCheck), database=None
)
@given(field=st.sampled_from(["name", "datatype", "shape", "data", "parameters"]), value=anything, outer=st.booleans())
def test_what_is_wrong_is_refused_in_its_shape(door: str, field: str, value: object, outer: bool) -> None:
    tensor = {"name": "text", "datatype": "BYTES", "shape": [1], "data": ["x"]}
    document = {"inputs": value} if outer else {"inputs": [{**tensor, field: value}]}
    status, said = Client(door).ask(KIND, "POST", f"{NAME}/infer", json.dumps(document).encode(), {})
    assert status in (200, 400, 409)
    assert status == 200 or isinstance(json.loads(said)["error"], str)
