"""The description agrees with the service: its routes, its ranges, and that only the token changes anything."""

import re
from pathlib import Path

from openapi_spec_validator import validate

from tests import training
from training_endpoint.http.api import create_app
from training_endpoint.learn.hyperparameters import OVERRIDES, RANGES, START_FROM
from training_endpoint.settings import MODES


def test_the_description_is_valid_and_whole(tmp_path: Path) -> None:
    app = create_app(training.settings("", tmp_path))
    described = app.test_client().get("/openapi.json").json
    assert described
    validate(described)
    routes = {
        (re.sub(r"<(\w+)>", r"{\1}", rule.rule), method.lower())
        for rule in app.url_map.iter_rules()
        if rule.endpoint != "static"
        for method in (rule.methods or set()) - {"HEAD", "OPTIONS"}
    }
    methods = ("get", "post", "delete")
    assert routes == {(path, name) for path, item in described["paths"].items() for name in item if name in methods}
    for path, item in described["paths"].items():
        for name in methods:
            if name in item:
                assert ("security" in item[name]) == (name != "get" or path in ("/feedback", "/labelling/export")), path


def test_overrides_have_the_ranges_that_are_checked(tmp_path: Path) -> None:
    described = create_app(training.settings("", tmp_path)).test_client().get("/openapi.json").json
    assert described
    body = described["paths"]["/train"]["post"]["requestBody"]["content"]["application/json"]["schema"]
    assert set(body["properties"]) == {*OVERRIDES, "run_id", "classifier"}
    assert tuple(body["properties"]["start_from"]["enum"]) == START_FROM
    assert tuple(body["properties"]["training_mode"]["enum"]) == MODES
    for name, (_, low, high) in RANGES.items():
        assert (body["properties"][name]["minimum"], body["properties"][name]["maximum"]) == (low, high), name
