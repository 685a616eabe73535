"""Writes what each image holds, by package, version and hash: python3 requirements/sbom.py [FOLDER].

One CycloneDX 1.6 document for each lock, FOLDER/NAME.cdx.json; FOLDER is `release` unless given. Standard library only.
"""

from __future__ import annotations

import hashlib
import json
import re
import sys
import uuid
from pathlib import Path
from typing import Any

LOCKS = Path(__file__).resolve().parent
# Which locks an image, or an environment without containers, is made of.
PARTS = {
    "relay": ["relay.lock"],
    "mlflow-server": ["mlflow.lock"],
    "airflow": ["airflow.lock"],
    "training-endpoint": ["ml.lock", "model.lock", "torch-cpu.txt"],
    "training-endpoint-gpu": ["ml.lock", "model.lock", "torch-cuda.txt"],
    "model-endpoint": ["ml.lock", "model.lock", "torch-cpu.txt"],
    "model-endpoint-gpu": ["ml.lock", "model.lock", "torch-cuda.txt"],
    "native": ["native.lock", "model.lock", "torch-cpu.txt"],
}
PACKAGE = re.compile(
    r"^([A-Za-z0-9][\w.-]*)(?:\[[^\]]*\])?==([^\s;\\]+)(?:\s*;\s*([^\\\n]*))?((?:\s*\\\n\s*--hash=\S+)*)", re.M
)


def components(lock: Path) -> list[dict[str, Any]]:
    """The packages of a lock; one that is for some machines only says for which."""
    found = []
    for name, version, marker, hashes in PACKAGE.findall(lock.read_text(encoding="utf-8")):
        purl = f"pkg:pypi/{re.sub('[-_.]+', '-', name).lower()}@{version.replace('+', '%2B')}"
        component: dict[str, Any] = {"type": "library", "bom-ref": purl, "name": name, "version": version, "purl": purl}
        digests = re.findall(r"sha256:([0-9a-f]{64})", hashes)
        # Each hash is that of one file, of which an installation takes one.
        component["externalReferences"] = [
            {
                "type": "distribution",
                "url": f"https://pypi.org/project/{name}/{version}/",
                "hashes": [{"alg": "SHA-256", "content": digest}],
            }
            for digest in digests
        ]
        if marker.strip():
            component["properties"] = [{"name": "environment-marker", "value": marker.strip()}]
        found.append(component)
    return found


def document(image: str) -> dict[str, Any]:
    """The bill of materials of an image; the same locks give the same document."""
    texts = b"".join((LOCKS / name).read_bytes() for name in PARTS[image])
    by_purl = {component["bom-ref"]: component for name in PARTS[image] for component in components(LOCKS / name)}
    return {
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "serialNumber": f"urn:uuid:{uuid.UUID(bytes=hashlib.sha256(image.encode() + texts).digest()[:16], version=4)}",
        "version": 1,
        "metadata": {"component": {"type": "container", "bom-ref": image, "name": image}},
        "components": sorted(by_purl.values(), key=lambda component: str(component["bom-ref"])),
    }


def main() -> None:
    """Writes them all."""
    folder = Path(sys.argv[1] if len(sys.argv) > 1 else "release")
    folder.mkdir(parents=True, exist_ok=True)
    for image in PARTS:
        made = document(image)
        file = folder / f"{image}.cdx.json"
        file.write_text(json.dumps(made, indent=1) + "\n", encoding="utf-8")
        print(f"{file}: {len(made['components'])} packages")


if __name__ == "__main__":
    main()
