"""The ledger decides, whatever is done to MLflow: a real one, a trained Champion, and real replicas that serve it.

Strangers use MLflow's own REST API, as anybody can who reaches it while MLFLOW_AUTH is off.
"""

import json
import pickle
import re
import time
import urllib.parse
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

import psycopg
import pytest
import requests

from tests import services, training
from tests.integration.model_endpoint.stack import TOKEN, Serving, serving
from tests.integration.training_endpoint.test_service import WHO, ended, endpoint, films
from tests.services import wait_until

NAME, ALIAS = "text-classifier", "Champion"
AUTHORIZED = {"Authorization": f"Bearer {TOKEN}"}
Files = dict[str, bytes]


@dataclass
class Registry:
    """MLflow as a stranger sees it."""

    url: str

    def call(self, method: str, path: str, **arguments: Any) -> dict[str, Any]:
        answer = requests.request(method, f"{self.url}/api/2.0/mlflow/{path}", timeout=60, **arguments)
        answer.raise_for_status()
        return dict(answer.json())

    @property
    def alias(self) -> int | None:
        named = {"name": NAME, "alias": ALIAS}
        answer = requests.get(f"{self.url}/api/2.0/mlflow/registered-models/alias", params=named, timeout=60)
        return int(answer.json()["model_version"]["version"]) if answer.ok else None

    def move(self, version: int) -> None:
        self.call("POST", "registered-models/alias", json={"name": NAME, "alias": ALIAS, "version": str(version)})

    def files(self, version: int) -> Files:
        where = {"name": NAME, "version": str(version)}
        uri = self.call("GET", "model-versions/get-download-uri", params=where)["artifact_uri"]
        root = uri.split(":", 1)[1].lstrip("/")
        store = f"{self.url}/api/2.0/mlflow-artifacts/artifacts"

        def walk(folder: str) -> Iterator[str]:
            path = f"{root}/{folder}".rstrip("/")
            for entry in requests.get(store, params={"path": path}, timeout=60).json().get("files", []):
                below = f"{folder}/{entry['path']}".lstrip("/")
                yield from walk(below) if entry["is_dir"] else [below]

        return {
            path: requests.get(f"{store}/{root}/{urllib.parse.quote(path)}", timeout=60).content for path in walk("")
        }

    def register(self, files: Files) -> int:
        """A version that training knows nothing of."""
        name = f"strange-{time.monotonic_ns()}"
        experiment = self.call("POST", "experiments/create", json={"name": name})["experiment_id"]
        run = self.call("POST", "runs/create", json={"experiment_id": experiment, "start_time": 1})["run"]["info"]
        root = run["artifact_uri"].split(":", 1)[1].lstrip("/") + "/model"
        for path, content in files.items():
            address = f"{self.url}/api/2.0/mlflow-artifacts/artifacts/{root}/{urllib.parse.quote(path)}"
            requests.put(address, data=content, timeout=60).raise_for_status()
        version = {"name": NAME, "source": f"{run['artifact_uri']}/model", "run_id": run["run_id"]}
        return int(self.call("POST", "model-versions/create", json=version)["model_version"]["version"])


@dataclass
class Platform:
    """All that decides and serves, with one Champion: version 1."""

    folder: Path
    database: str
    mlflow: ExitStack
    registry: Registry
    replicas: Serving
    training: str

    def start_mlflow(self) -> None:
        port = int(self.registry.url.rsplit(":", 1)[1])
        self.mlflow.enter_context(services.mlflow_server(self.folder / "mlflow", port))

    def train(self, run: str, **parameters: Any) -> dict[str, Any]:
        body = {"run_id": run, "epochs": 2, "batch_size": 8, "seed": 1, **parameters}
        job = requests.post(f"{self.training}/train", headers=AUTHORIZED, json=body, timeout=30).json()
        return ended(f"{self.training}{job['url']}", 400)

    def decide(self, what: str, **fields: Any) -> None:
        body = {"who": "a person", "reason": "by hand", **fields}
        answer = requests.post(f"{self.training}/{what}", headers=AUTHORIZED, json=body, timeout=60)
        assert answer.ok, answer.text

    def history(self) -> list[tuple[str, int, str]]:
        with psycopg.connect(self.database) as connection:
            query = "SELECT who, to_version, verdict FROM promotion_ledger ORDER BY id"
            return [(row[0], row[1], row[2]) for row in connection.execute(query)]

    def served(self) -> list[str | None]:
        return [replica.served() for replica in self.replicas.replicas]

    def answers(self) -> list[str]:
        """What each replica says of one text, to the last digit."""
        body = {"input": ["warm and funny, she said"]}
        return [json.dumps(one.ask("/predict", **body).json()["predictions"]) for one in self.replicas.replicas]

    def agree(self, version: int, seconds: float = 30) -> None:
        """Returns when the alias and every replica follow the ledger to `version`, and nothing else does."""

        def one() -> bool:
            return self.registry.alias == version and set(self.served()) == {str(version)}

        wait_until(f"all agree on version {version}", one, seconds)
        assert self.history()[-1][1] == version


@pytest.fixture(scope="module")
def platform(
    postgres_server: str, schema_template: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Platform]:
    folder = tmp_path_factory.mktemp("ledger")
    database = services.new_database(postgres_server, "ledger", schema_template)
    training.dataset(database, train=films(WHO[:5]), test=films(WHO[5:]))
    (folder / "mlflow").mkdir()
    with ExitStack() as stack:
        mlflow = stack.enter_context(ExitStack())
        url = mlflow.enter_context(services.mlflow_server(folder / "mlflow"))
        replicas = stack.enter_context(serving(url, NAME, folder, 2))
        replicas.start()
        variables = {
            "MLFLOW_TRACKING_URI": url,
            "MODEL_NAME": NAME,
            "PLATFORM_TOKEN": TOKEN,
            "MODEL_ENDPOINTS": ",".join(f"127.0.0.1:{one.port}" for one in replicas.replicas),
            "LATENCY_BUDGET_MS": "60000",
        }
        address = stack.enter_context(endpoint(database, folder, **variables))
        made = Platform(folder, database, mlflow, Registry(url), replicas, address)
        job = made.train("first")
        assert (job["status"], job["verdict"]) == ("succeeded", "first_champion"), job["error"]
        made.agree(1)
        yield made


def changed(files: Files, path: str, change: Callable[[Any], None]) -> None:
    content = json.loads(files[path])
    change(content)
    files[path] = json.dumps(content).encode()


def listed(files: Files, *paths: str) -> None:
    """The manifest names these files as they are now: a stranger who knows the format."""

    def name(manifest: Any) -> None:
        for path in paths:
            content = files[f"serving/{path}"]
            manifest["files"][path] = {"sha256": sha256(content).hexdigest(), "bytes": len(content)}

    changed(files, "serving/manifest.json", name)


def remote_code(files: Files, code: str) -> None:
    def evil(config: Any) -> None:
        config |= {"auto_map": {"AutoConfig": "evil.Config"}, "model_type": "evil", "architectures": ["Evil"]}

    changed(files, "model/config.json", evil)
    files["model/evil.py"] = f"{code}\nfrom transformers import BertConfig\nclass Config(BertConfig): ...\n".encode()
    files["MLmodel"] = re.sub(rb"pipeline_model_type: .*", b"pipeline_model_type: Evil", files["MLmodel"])


def code_path(files: Files, code: str) -> None:
    files["MLmodel"] = re.sub(rb"(\n +)code: *(null)?", rb"\1code: code", files["MLmodel"])
    for module in ("colorama", "tiktoken", "seaborn", "sklearn", "scipy", "pandas", "accelerate", "peft", "kernels"):
        files[f"code/{module}.py"] = f"{code}\nraise ImportError\n".encode()


class Pickled:
    def __init__(self, code: str) -> None:
        self.code = code

    def __reduce__(self) -> tuple[Any, ...]:
        return exec, (self.code,)


def pickled_weights(files: Files, code: str) -> None:
    for path in [path for path in files if path.startswith("serving/") or path.endswith(".safetensors")]:
        del files[path]
    files["model/pytorch_model.bin"] = pickle.dumps(Pickled(code))


def nothing_to_serve(files: Files, code: str) -> None:
    remote_code(files, code)
    for path in [path for path in files if path.startswith("serving/")]:
        del files[path]


def tokenizer_panics(files: Files, code: str) -> None:
    """On a golden text, so when the version is prepared."""
    trap = {"type": "Replace", "pattern": {"Regex": "(a+)+$"}, "content": "x"}
    changed(files, "serving/tokenizer.json", lambda tokenizer: tokenizer.update(normalizer=trap))
    changed(files, "serving/golden.json", lambda golden: golden["cases"][0].update(text="a" * 30 + "b"))
    listed(files, "tokenizer.json", "golden.json")


def tokenizer_traps(files: Files, code: str) -> None:
    """Golden texts pass; one request would stop the replica."""
    trap = {"type": "Replace", "pattern": {"Regex": "(q+)+$"}, "content": "x"}

    def set_trap(tokenizer: Any) -> None:
        both = [one for one in (tokenizer["normalizer"], trap) if one]
        tokenizer["normalizer"] = {"type": "Sequence", "normalizers": both}

    changed(files, "serving/tokenizer.json", set_trap)
    listed(files, "tokenizer.json")


def other_labels(files: Files, code: str) -> None:
    """A version that would load: its answers are the opposite of the trained ones."""
    changed(files, "serving/manifest.json", lambda manifest: manifest["labels"].reverse())


VANDALS = [remote_code, code_path, pickled_weights, nothing_to_serve, tokenizer_panics, tokenizer_traps, other_labels]


@pytest.mark.timeout(600)
@pytest.mark.parametrize("vandal", VANDALS, ids=lambda vandal: vandal.__name__)
def test_a_version_made_by_hand_is_neither_run_nor_served(platform: Platform, vandal: Any) -> None:
    before, answers = platform.history(), platform.answers()
    ran = platform.folder / f"ran-{vandal.__name__}"
    files = platform.registry.files(1)
    vandal(files, f"open({str(ran)!r}, 'w').close()")
    version = platform.registry.register(files)
    platform.registry.move(version)
    platform.agree(1)
    told = requests.get(f"{platform.training}/release", headers=AUTHORIZED, timeout=10).json()
    assert str(version) in json.dumps(told), "the move is reported"
    assert not ran.exists(), "a version's code ran"
    assert platform.history() == before and platform.answers() == answers


@pytest.mark.timeout(900)
def test_a_roll_back_while_mlflow_is_down_is_served_at_once_and_named_later(platform: Platform) -> None:
    answers = platform.answers()
    newest = platform.train("to promote", seed=3)["model_version"]
    platform.decide("promote", version=newest)
    platform.agree(newest)
    before = platform.history()
    platform.mlflow.close()
    platform.decide("rollback")
    assert platform.served() == ["1", "1"] and platform.answers() == answers
    assert [row[1] for row in platform.history()[len(before) :]] == [1]
    platform.start_mlflow()
    platform.agree(1, 60)
    assert len(platform.history()) == len(before) + 1, "nothing was decided twice"


@pytest.mark.timeout(900)
def test_the_next_job_compares_with_the_champion_though_mlflow_has_lost_it(platform: Platform) -> None:
    """Its version and its run are gone, the newest version in MLflow is a stranger's, the alias names that one."""
    files = platform.registry.files(1)
    ran = platform.folder / "ran-lost"
    remote_code(files, f"open({str(ran)!r}, 'w').close()")
    strange = platform.registry.register(files)
    lost = {"name": NAME, "version": "1"}
    run = platform.registry.call("GET", "model-versions/get", params=lost)["model_version"]["run_id"]
    platform.registry.call("DELETE", "model-versions/delete", json=lost)
    platform.registry.call("POST", "runs/delete", json={"run_id": run})
    platform.registry.move(strange)
    answers = platform.answers()

    job = platform.train("after the loss", seed=2)
    assert job["status"] == "succeeded", job["error"]
    assert job["verdict"] != "first_champion" and job["champion_version"] == 1
    assert platform.served() == ["1", "1"] and platform.answers() == answers
    assert not ran.exists()


@pytest.mark.timeout(600)
def test_replicas_that_restart_beside_a_hostile_registry_serve_what_they_served(platform: Platform) -> None:
    answers, served = platform.answers(), platform.served()
    for replica in platform.replicas.replicas:
        replica.process.kill()
        replica.process.wait(20)
    platform.replicas.start()
    wait_until("both serve again", lambda: platform.served() == served, 30)
    assert platform.answers() == answers
