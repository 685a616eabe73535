"""One version after the other: prepared everywhere or nowhere, committed together, kept over restarts."""

import dataclasses
import hashlib
import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import requests

from tests.integration.model_endpoint import models
from tests.integration.model_endpoint.conftest import Registered
from tests.integration.model_endpoint.stack import Serving
from tests.integration.model_endpoint.stack import serving as serving_fleet
from tests.services import free_port, wait_until
from training_endpoint.errors import SwitchFailed

Fleet = Callable[..., Serving]


def label(url: str) -> str:
    answer = requests.post(f"{url}/predict", json={"input": "A film to love."}, timeout=10)
    answer.raise_for_status()
    return str(answer.json()["predictions"][0]["label"])


def test_before_any_model_a_replica_is_up_and_says_what_to_do(fleet: Fleet) -> None:
    serving = fleet(1, MLFLOW_TRACKING_URI=f"http://127.0.0.1:{free_port()}")
    serving.start()
    url = serving.replicas[0].url
    wait_until("it says why", lambda: "run the pipeline" in requests.get(f"{url}/ready", timeout=5).text)
    assert requests.get(f"{url}/health", timeout=5).status_code == 200
    assert requests.get(f"{url}/ready", timeout=5).status_code == 503
    answer = requests.post(f"{url}/predict", json={"input": "a text"}, timeout=5)
    assert answer.status_code == 503 and answer.headers["Retry-After"] == "1"
    assert "run the pipeline" in answer.json()["error"]["message"]


def test_every_replica_is_switched(fleet: Fleet, registered: Registered, exported: list[Path]) -> None:
    serving = fleet(2)
    serving.start()
    serving.switch(registered.add(exported[0]))
    assert [label(one.url) for one in serving.replicas] == ["negative", "negative"]
    told = serving.switch(registered.add(exported[1]))
    assert told["version"] == 2
    assert [(one["version"], one["previous_version"]) for one in told["replicas"]] == [(2, 1), (2, 1)]
    assert len({one["replica"] for one in told["replicas"]}) == 2
    assert [label(one.url) for one in serving.replicas] == ["positive", "positive"]


def test_an_alias_in_mlflow_is_not_followed(fleet: Fleet, registered: Registered, exported: list[Path]) -> None:
    serving = fleet(1)
    serving.start()
    serving.switch(registered.add(exported[0]))
    registered.add(exported[1])
    registered.client.set_registered_model_alias(registered.name, "Champion", "2")
    (replica,) = serving.replicas
    replica.process.terminate()
    replica.process.wait(20)
    serving.start()
    serving.wait_for(1)
    assert label(replica.url) == "negative"


def test_one_replica_that_cannot_prepare_keeps_all_on_the_old_version(
    fleet: Fleet, registered: Registered, exported: list[Path]
) -> None:
    serving = fleet(2)
    serving.start()
    serving.switch(registered.add(exported[0]))
    voucher = registered.add(exported[1])
    altered = {**voucher.files, "serving/model.fp32.onnx": "0" * 64}
    with pytest.raises(SwitchFailed, match=r"model\.fp32\.onnx with another sha256"):
        serving.switch(dataclasses.replace(voucher, files=altered))
    assert [label(one.url) for one in serving.replicas] == ["negative", "negative"]


def test_wrong_golden_answers_are_refused(
    fleet: Fleet, registered: Registered, exported: list[Path], tmp_path: Path
) -> None:
    shutil.copytree(exported[1], tmp_path / "wrong")
    golden = tmp_path / "wrong/serving/golden.json"
    document = json.loads(golden.read_text())
    document["cases"][0]["scores"]["fp32"] = {"negative": 1.0, "positive": 0.0}
    golden.write_text(json.dumps(document))
    models.list_again(tmp_path / "wrong/serving")
    serving = fleet(1)
    serving.start()
    serving.switch(registered.add(exported[0]))
    voucher = registered.add(tmp_path / "wrong")
    answer = serving.replicas[0].ask("/models/prepare", voucher=voucher.as_dict())
    assert answer.status_code == 422 and "golden text" in answer.json()["error"]["message"]


def test_what_is_no_text_classifier_is_refused_with_a_reason(
    fleet: Fleet, registered: Registered, exported: list[Path], tmp_path: Path
) -> None:
    (tmp_path / "other").mkdir()
    (tmp_path / "other/MLmodel").write_text("flavors: {sklearn: {}}")
    serving = fleet(1)
    serving.start()
    voucher = registered.add(tmp_path / "other")
    answer = serving.replicas[0].ask("/models/prepare", voucher=voucher.as_dict())
    assert answer.status_code == 422 and "has no serving/" in answer.json()["error"]["message"]


@pytest.mark.parametrize("voucher", [None, {}, {"name": "x"}, "1"])
def test_what_is_no_voucher_is_refused(fleet: Fleet, voucher: object) -> None:
    serving = fleet(1)
    serving.start()
    assert serving.replicas[0].ask("/models/prepare", voucher=voucher).status_code == 400


def test_a_replica_restarts_from_its_cache_without_a_registry(
    fleet: Fleet, registered: Registered, exported: list[Path]
) -> None:
    serving = fleet(1)
    serving.start()
    serving.switch(registered.add(exported[1]))
    (replica,) = serving.replicas
    wait_until("the state is stored", lambda: bool(list((serving.folder / "cache/state").glob("*.json"))))
    replica.process.terminate()
    replica.process.wait(20)
    serving.mlflow = f"http://127.0.0.1:{free_port()}"
    serving.start()
    serving.wait_for(1)
    assert label(replica.url) == "positive"


def test_a_damaged_cache_is_downloaded_again(fleet: Fleet, registered: Registered, exported: list[Path]) -> None:
    serving = fleet(1)
    serving.start()
    serving.switch(registered.add(exported[1]))
    (replica,) = serving.replicas
    wait_until("the state is stored", lambda: bool(list((serving.folder / "cache/state").glob("*.json"))))
    replica.process.terminate()
    replica.process.wait(20)
    for model in (serving.folder / "cache/versions").glob("*/model.fp32.onnx"):
        model.write_bytes(b"damaged")
    serving.start()
    serving.wait_for(1)
    assert label(replica.url) == "positive"
    assert "is not whole" in replica.log.read_text()


def test_a_replica_gives_another_one_files_that_the_registry_has_lost(
    fleet: Fleet, registered: Registered, exported: list[Path], tmp_path: Path
) -> None:
    first = fleet(1)
    first.start()
    voucher = registered.add(exported[1])
    first.switch(voucher)
    (tmp_path / "elsewhere").mkdir()
    gone = f"http://127.0.0.1:{free_port()}"
    with serving_fleet(gone, registered.name, tmp_path / "elsewhere", 1) as second:
        second.variables["MODEL_ENDPOINTS"] = f"127.0.0.1:{first.replicas[0].port},127.0.0.1:{second.replicas[0].port}"
        second.start()
        second.wait_for(1)
        assert label(second.replicas[0].url) == "positive"
    url = first.replicas[0].url
    digest = voucher.files["serving/manifest.json"]
    assert requests.get(f"{url}/models/files/{digest}", timeout=5).status_code == 401
    for digest in ("0" * 64, "..", "x"):
        assert first.replicas[0].ask(f"/models/files/{digest}").status_code == 404


def test_the_cache_keeps_each_file_once_and_only_the_last_versions(
    fleet: Fleet, registered: Registered, exported: list[Path]
) -> None:
    serving = fleet(1, MODEL_CACHE_VERSIONS="2")
    serving.start()
    for number in range(4):
        serving.switch(registered.add(exported[number % 2]))
    kept = [folder.name.partition("-")[0] for folder in (serving.folder / "cache/versions").iterdir()]
    assert sorted(kept) == ["3", "4"]
    for blob in (serving.folder / "cache/blobs").iterdir():
        assert hashlib.sha256(blob.read_bytes()).hexdigest() == blob.name
        assert blob.stat().st_nlink >= 2


def test_inside_calls_need_the_token(fleet: Fleet) -> None:
    serving = fleet(1)
    serving.start()
    url = serving.replicas[0].url
    for path in ("/models/prepare", "/models/withdraw", "/models/hold", "/models/commit", "/models/release"):
        assert requests.post(f"{url}{path}", json={"version": 1, "epoch": 1}, timeout=5).status_code == 401
    assert requests.get(f"{url}/models", timeout=5).status_code == 401


def test_a_replica_that_is_down_does_not_stop_the_others_and_catches_up(
    fleet: Fleet, registered: Registered, exported: list[Path]
) -> None:
    serving = fleet(2)
    first, second = serving.replicas
    serving.start()
    serving.switch(registered.add(exported[0]))
    second.process.terminate()
    second.process.wait(20)
    told = serving.switch(registered.add(exported[1]))
    assert [one["address"] for one in told["replicas"]] == [f"127.0.0.1:{first.port}"]
    serving.start(second)
    serving.wait_for(2)
