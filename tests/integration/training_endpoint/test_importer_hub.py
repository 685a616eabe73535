"""Datasets and base models from the hub's own libraries, each in a process of its own as in the service."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests import hub_standin
from training_endpoint.data import importer

CARD = """---
configs:
- config_name: plain_text
  default: true
  data_files:
  - split: train
    path: plain_text/train-*
  - split: test
    path: plain_text/test-*
dataset_info:
  config_name: plain_text
  features:
  - name: text
    dtype: string
  - name: label
    dtype:
      class_label:
        names:
          '0': neg
          '1': pos
  splits:
  - name: train
    num_bytes: 1000
    num_examples: 40
  - name: test
    num_bytes: 1000
    num_examples: 20
---
"""
# Prints a line for each NAME TOKEN pair.
MODEL = """
import json, sys
from training_endpoint.learn import classifier
from mlops_contract.errors import PlatformError

for name, token in zip(sys.argv[1::2], sys.argv[2::2]):
    try:
        base = classifier.find_base(name, token)
    except PlatformError as error:
        print(error.code)
        continue
    loaded = classifier.load(base, ["neg", "pos"], 16)
    shape = loaded.model(**loaded.tokenizer("a fine film", return_tensors="pt")).logits.shape
    print(base.revision, json.dumps(loaded.model.config.id2label), list(shape))
"""


@pytest.fixture
def hub(tmp_path: Path) -> Iterator[hub_standin.Hub]:
    folder = tmp_path / "imdb"
    (folder / "plain_text").mkdir(parents=True)
    (folder / "README.md").write_text(CARD)
    for split, count in (("train", 40), ("test", 20)):
        rows = {"text": [f"{split} review {n}" for n in range(count)], "label": [n % 2 for n in range(count)]}
        pq.write_table(pa.table(rows), folder / f"plain_text/{split}-00000-of-00001.parquet")
    with hub_standin.serve() as hub:
        hub.datasets = {"stanfordnlp/imdb": folder, "closed/imdb": folder}
        hub.gated = {"closed/imdb", "closed/tiny"}
        yield hub


def python(hub: hub_standin.Hub, home: Path, *arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """Runs Python with the stand-in as its hub and an empty cache."""
    environment = {**os.environ, **hub.environment, "HF_HOME": str(home), "PYTHONPATH": os.pathsep.join(sys.path)}
    command = [sys.executable, *arguments]
    return subprocess.run(
        command, env=environment | variables, capture_output=True, text=True, timeout=250, check=False
    )


def import_it(
    hub: hub_standin.Hub, database: str, home: Path, dataset: str, token: str = ""
) -> subprocess.CompletedProcess[str]:
    variables = {"DATABASE_URL": database, "MLFLOW_TRACKING_URI": "http://127.0.0.1:9", "PLATFORM_TOKEN": "x"}
    command = ["-m", "training_endpoint.data.importer", "--dataset", dataset]
    return python(hub, home, *command, HUGGINGFACE_TOKEN=token, **variables)


def test_a_dataset_of_the_hub_is_imported(hub: hub_standin.Hub, database: str, tmp_path: Path) -> None:
    done = import_it(hub, database, tmp_path / "home", "stanfordnlp/imdb")
    assert done.returncode == 0, done.stderr
    assert "Current dataset: imdb, 40 training and 20 test rows." in done.stdout
    assert importer.current(database) == {
        "name": "imdb", "train_table": "imdb_train", "test_table": "imdb_test", "text_column": "text",
        "label_column": "label", "labels": ["neg", "pos"], "source": "stanfordnlp/imdb", "pending_events": 0,
        "train": {"rows": 40, "classes": {"neg": 20, "pos": 20}},
        "test": {"rows": 20, "classes": {"neg": 10, "pos": 10}},
    }  # fmt: skip
    assert any(request.endswith("plain_text/train-00000-of-00001.parquet") for request in hub.requests)


def test_a_gated_dataset_needs_the_token(hub: hub_standin.Hub, database: str, tmp_path: Path) -> None:
    without = import_it(hub, database, tmp_path / "a", "closed/imdb")
    assert without.returncode == 1 and "is gated: accept its terms" in without.stderr
    wrong = import_it(hub, database, tmp_path / "b", "closed/imdb", "hf_wrong")
    assert wrong.returncode == 1 and "The hub refuses HUGGINGFACE_TOKEN" in wrong.stderr
    assert importer.current(database) is None
    right = import_it(hub, database, tmp_path / "c", "closed/imdb", hub.token)
    assert right.returncode == 0, right.stderr


def test_an_unknown_dataset_and_an_absent_hub_are_said(hub: hub_standin.Hub, database: str, tmp_path: Path) -> None:
    unknown = import_it(hub, database, tmp_path / "a", "no/such")
    assert unknown.returncode == 1 and "The hub has no public dataset no/such" in unknown.stderr
    hub.url = "http://127.0.0.1:9"
    absent = import_it(hub, database, tmp_path / "b", "stanfordnlp/imdb")
    assert absent.returncode == 1 and "The hub cannot be reached for dataset stanfordnlp/imdb" in absent.stderr


def test_a_base_model_of_the_hub_is_loaded(hub: hub_standin.Hub, tmp_path: Path) -> None:
    hub_standin.tiny_model(tmp_path / "tiny")
    hub.models = dict.fromkeys(("distilbert/distilbert-base-uncased", "closed/tiny"), tmp_path / "tiny")

    asked = ["distilbert/distilbert-base-uncased", "", "closed/tiny", "", "closed/tiny", hub.token]
    asked += ["no/such", "", "no/such", hub.token, "closed/tiny", "hf_wrong"]
    done = python(hub, tmp_path / "home", "-W", "ignore", "-c", MODEL, *asked)
    assert done.returncode == 0, done.stderr
    loaded = f'{hub_standin.COMMIT} {{"0": "neg", "1": "pos"}} [1, 2]'
    refused = ["hub_not_found", "hub_not_found", "hub_bad_token"]
    assert done.stdout.splitlines() == [loaded, "hub_gated", loaded, *refused]

    # Without the hub, what is in the cache is used, and what is not is said.
    hub.url = "http://127.0.0.1:9"
    asked = ["distilbert/distilbert-base-uncased", "", "org/another", ""]
    absent = python(hub, tmp_path / "home", "-W", "ignore", "-c", MODEL, *asked)
    assert absent.stdout.splitlines() == [loaded, "hub_unreachable"], absent.stderr
