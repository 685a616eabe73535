"""One version after the other: prepared everywhere or nowhere, committed together, followed without being asked."""

import hashlib
import json
import shutil
from collections.abc import Callable
from pathlib import Path

import requests

from tests.integration.model_endpoint import models
from tests.integration.model_endpoint.conftest import Registered
from tests.integration.model_endpoint.stack import Serving
from tests.services import free_port, wait_until

Fleet = Callable[..., Serving]
MANUAL = {"MODEL_FOLLOW_SECONDS": "3600"}


def label(url: str) -> str:
    answer = requests.post(f"{url}/predict", json={"input": "A film to love."}, timeout=10)
    answer.raise_for_status()
    return str(answer.json()["predictions"][0]["label"])


def test_before_any_model_a_replica_is_up_and_says_what_to_do(fleet: Fleet) -> None:
    serving = fleet(1, MLFLOW_TRACKING_URI=f"http://127.0.0.1:{free_port()}")
    serving.start()
    url = serving.replicas[0].url
    wait_until("it says why", lambda: "does not answer" in requests.get(f"{url}/ready", timeout=5).text)
    assert requests.get(f"{url}/health", timeout=5).status_code == 200
    assert requests.get(f"{url}/ready", timeout=5).status_code == 503
    answer = requests.post(f"{url}/predict", json={"input": "a text"}, timeout=5)
    assert answer.status_code == 503 and answer.headers["Retry-After"] == "1"
    assert "run the pipeline" in answer.json()["error"]["message"]


def test_change_model_switches_every_replica(fleet: Fleet, registered: Registered, exported: list[Path]) -> None:
    registered.add(exported[0])
    registered.crown(1)
    serving = fleet(2, **MANUAL)
    serving.start()
    serving.wait_for(1)
    assert [label(one.url) for one in serving.replicas] == ["negative", "negative"]
    registered.add(exported[1])
    registered.crown(2)
    told = serving.replicas[0].ask("/change_model").json()
    assert told["version"] == 2
    assert [(one["version"], one["previous_version"]) for one in told["replicas"]] == [(2, 1), (2, 1)]
    assert len({one["replica"] for one in told["replicas"]}) == 2
    assert [label(one.url) for one in serving.replicas] == ["positive", "positive"]


def test_an_alias_moved_by_hand_is_followed(fleet: Fleet, registered: Registered, exported: list[Path]) -> None:
    registered.add(exported[0])
    registered.add(exported[1])
    registered.crown(2)
    serving = fleet(2)
    serving.start()
    serving.wait_for(2)
    registered.crown(1)
    serving.wait_for(1, 10)


def test_one_replica_that_cannot_prepare_keeps_all_on_the_old_version(
    fleet: Fleet, registered: Registered, exported: list[Path], tmp_path: Path
) -> None:
    registered.add(exported[0])
    registered.crown(1)
    serving = fleet(2, **MANUAL)
    serving.start()
    serving.wait_for(1)
    shutil.copytree(exported[1], tmp_path / "damaged")
    (tmp_path / "damaged/serving/model.fp32.onnx").write_bytes(b"cut off")
    registered.add(tmp_path / "damaged")
    registered.crown(2)
    answer = serving.replicas[1].ask("/change_model")
    assert answer.status_code == 502
    assert "model.fp32.onnx has another sha256" in answer.json()["error"]["message"]
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
    registered.add(exported[0])
    registered.add(tmp_path / "wrong")
    registered.crown(1)
    serving = fleet(1, **MANUAL)
    serving.start()
    serving.wait_for(1)
    answer = serving.replicas[0].ask("/models/prepare", version=2)
    assert answer.status_code == 422 and "golden text" in answer.json()["error"]["message"]


def test_what_training_has_not_made_is_refused_with_a_reason(
    fleet: Fleet, registered: Registered, exported: list[Path], tmp_path: Path
) -> None:
    models.save_flavor(models.tiny(1), tmp_path / "other")
    registered.add(exported[0])
    registered.add(tmp_path / "other")
    registered.crown(1)
    serving = fleet(1, **MANUAL)
    serving.start()
    serving.wait_for(1)
    answer = serving.replicas[0].ask("/models/prepare", version=2)
    assert answer.status_code == 422 and "No text classifier" in answer.json()["error"]["message"]


def test_a_replica_restarts_from_its_cache_without_a_registry(
    fleet: Fleet, registered: Registered, exported: list[Path]
) -> None:
    registered.add(exported[1])
    registered.crown(1)
    serving = fleet(1)
    serving.start()
    serving.wait_for(1)
    (replica,) = serving.replicas
    wait_until("the state is stored", lambda: bool(list((serving.folder / "cache/state").glob("*.json"))))
    replica.process.terminate()
    replica.process.wait(20)
    serving.mlflow = f"http://127.0.0.1:{free_port()}"
    serving.start()
    serving.wait_for(1)
    assert label(replica.url) == "positive"
    ready = requests.get(f"{replica.url}/ready", timeout=5)
    assert ready.json()["source"] == "cache" and ready.headers["X-Model-Source"] == "cache"


def test_a_damaged_cache_is_downloaded_again(fleet: Fleet, registered: Registered, exported: list[Path]) -> None:
    registered.add(exported[1])
    registered.crown(1)
    serving = fleet(1)
    serving.start()
    serving.wait_for(1)
    (replica,) = serving.replicas
    replica.process.terminate()
    replica.process.wait(20)
    for model in (serving.folder / "cache/versions").glob("*/model.fp32.onnx"):
        model.write_bytes(b"damaged")
    serving.start()
    serving.wait_for(1)
    assert label(replica.url) == "positive"


def test_the_cache_keeps_each_file_once_and_only_the_last_versions(
    fleet: Fleet, registered: Registered, exported: list[Path]
) -> None:
    for number in range(4):
        registered.add(exported[number % 2])
    serving = fleet(1, MODEL_CACHE_VERSIONS="2", **MANUAL)
    registered.crown(1)
    serving.start()
    serving.wait_for(1)
    for number in (2, 3, 4):
        registered.crown(number)
        assert serving.replicas[0].ask("/change_model").ok
    kept = [folder.name.partition("-")[0] for folder in (serving.folder / "cache/versions").iterdir()]
    assert sorted(kept) == ["3", "4"]
    for blob in (serving.folder / "cache/blobs").iterdir():
        assert hashlib.sha256(blob.read_bytes()).hexdigest() == blob.name
        assert blob.stat().st_nlink >= 2


def test_a_version_that_is_not_the_champion_is_not_switched_to(
    fleet: Fleet, registered: Registered, exported: list[Path]
) -> None:
    registered.add(exported[0])
    registered.add(exported[1])
    registered.crown(1)
    serving = fleet(1)
    serving.start()
    serving.wait_for(1)
    answer = serving.replicas[0].ask("/change_model", version=2)
    assert answer.status_code == 409 and "move the alias first" in answer.json()["error"]["message"]
    assert serving.replicas[0].ask("/change_model", version=1).ok


def test_inside_calls_need_the_token(fleet: Fleet) -> None:
    serving = fleet(1, **MANUAL)
    serving.start()
    url = serving.replicas[0].url
    for path in ("/change_model", "/models/prepare", "/models/hold", "/models/commit", "/models/release"):
        assert requests.post(f"{url}{path}", json={"version": 1, "epoch": 1}, timeout=5).status_code == 401
    assert requests.get(f"{url}/models", timeout=5).status_code == 401


def test_a_replica_that_is_down_does_not_stop_the_others_and_catches_up(
    fleet: Fleet, registered: Registered, exported: list[Path]
) -> None:
    registered.add(exported[0])
    registered.add(exported[1])
    registered.crown(1)
    serving = fleet(2, **MANUAL)
    first, second = serving.replicas
    serving.start()
    serving.wait_for(1)
    second.process.terminate()
    second.process.wait(20)
    registered.crown(2)
    told = first.ask("/change_model").json()
    assert [one["address"] for one in told["replicas"]] == [f"127.0.0.1:{first.port}"]
    serving.start(second)
    serving.wait_for(2)
