"""The bills of materials: every package of the locks, as the locks say."""

import json
import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_every_locked_package_is_listed_with_its_hashes(tmp_path: Path) -> None:
    command = [sys.executable, str(ROOT / "requirements/sbom.py"), str(tmp_path / "release")]
    subprocess.run(command, check=True, capture_output=True)
    made = {file.name.split(".")[0]: json.loads(file.read_text()) for file in (tmp_path / "release").iterdir()}
    targets = set(re.findall(r"^FROM \S+ AS (relay|mlflow-server|training-endpoint|model-endpoint)$",
                             (ROOT / "Dockerfile").read_text(), re.M))  # fmt: skip
    assert targets | {"airflow", "native"} <= set(made)
    for image, lock in (("relay", "relay.lock"), ("mlflow-server", "mlflow.lock"), ("airflow", "airflow.lock")):
        text = (ROOT / "requirements" / lock).read_text()
        locked = {tuple(found) for found in re.findall(r"^([\w.-]+)(?:\[.*?\])?==([^\s;]+)", text, re.M)}
        listed = {(part["name"], part["version"]) for part in made[image]["components"]}
        assert listed == locked and locked
        hashes = re.findall(r"sha256:([0-9a-f]{64})", text)
        said = [
            reference["hashes"][0]["content"]
            for part in made[image]["components"]
            for reference in part["externalReferences"]
        ]
        assert sorted(said) == sorted(hashes)
    assert any(part["name"] == "torch" for part in made["training-endpoint"]["components"])
    for document in made.values():
        assert (document["bomFormat"], document["specVersion"]) == ("CycloneDX", "1.6")
        references = [part["bom-ref"] for part in document["components"]]
        assert len(set(references)) == len(references)


def test_the_same_locks_give_the_same_document(tmp_path: Path) -> None:
    for folder in ("one", "two"):
        command = [sys.executable, str(ROOT / "requirements/sbom.py"), str(tmp_path / folder)]
        subprocess.run(command, check=True, capture_output=True)
    assert (tmp_path / "one/relay.cdx.json").read_bytes() == (tmp_path / "two/relay.cdx.json").read_bytes()
