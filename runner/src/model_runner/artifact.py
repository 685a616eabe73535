"""The files of a version: the one place that knows how they are written and read.

docs/architecture.md has the contract. A version has one or more *forms*, the best first: the same
classifier at another precision. Each has golden answers of its own, and may need something of the processor.
"""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from model_runner.errors import CannotServe

FORMAT = 3
MANIFEST, GOLDEN, TOKENIZER = "manifest.json", "golden.json", "tokenizer.json"
INPUTS = ("input_ids", "attention_mask")
TORCH = "torch"
"""The form that PyTorch runs: `model/` beside the other files, config.json and safetensors."""


@dataclass(frozen=True)
class Form:
    """One ONNX file, or `WEIGHTS`; `needs` are words of `machine.features`."""

    name: str
    file: str
    needs: frozenset[str] = frozenset()
    data: str = ""
    """The safetensors file, relative to the version's root in MLflow, in which the ONNX file has its largest tables."""


WEIGHTS = Form(TORCH, "model/")
"""The only form of a version that ONNX cannot hold."""


@dataclass(frozen=True)
class Manifest:
    """What the files are; the labels stand in the order of the logits, the forms in the order of preference."""

    labels: list[str]
    max_length: int
    pad_token_id: int
    forms: list[Form]
    files: dict[str, str] = field(default_factory=dict)
    """The sha256 of each file beside the manifest."""

    @classmethod
    def read(cls, folder: Path) -> "Manifest":
        """Reads the manifest; CannotServe says what is wrong with it."""
        try:
            values = json.loads((folder / MANIFEST).read_text())
            if values["format"] not in (1, 2, FORMAT):
                raise CannotServe(f"The manifest's format is {values['format']!r}; this server knows 1 to {FORMAT}.")
            found = cls(
                labels=[str(label) for label in values["labels"]],
                max_length=int(values["max_length"]),
                pad_token_id=int(values["pad_token_id"]),
                forms=_forms(values),
                files={str(name): str(entry["sha256"]) for name, entry in values["files"].items()},
            )
        except FileNotFoundError as error:
            raise CannotServe("No text classifier of this platform: it has no serving/manifest.json.") from error
        except (ValueError, KeyError, TypeError, AttributeError, OverflowError, RecursionError) as error:
            raise CannotServe(f"serving/manifest.json is damaged: {error!r}.") from error
        for name in found.files:
            if Path(name).name != name:
                raise CannotServe(f"The manifest names the file {name!r}: files lie beside it.")
        for name in (TOKENIZER, *(form.file for form in found.forms if form.name != TORCH)):
            if name not in found.files:
                raise CannotServe(f"The manifest does not list {name!r} among its files.")
        for form in found.forms:
            if form.data and not is_torch(form.data):
                raise CannotServe(f"The manifest names the file {form.data!r}: weights are safetensors in model/.")
        if len(set(found.labels)) < max(1, len(found.labels)) or found.max_length < 1:
            raise CannotServe("serving/manifest.json is damaged: no labels, a label twice, or no tokens.")
        return found

    def form(self, features: frozenset[str]) -> Form | None:
        """The best form for a processor with `features`; None where it can run none."""
        return next((form for form in self.forms if form.needs <= features), None)

    def write(self, folder: Path) -> None:
        """Writes the manifest of what lies in `folder` now."""
        _write_json(
            folder / MANIFEST,
            {
                "format": FORMAT if any(form.data for form in self.forms) else 2,
                "labels": self.labels,
                "max_length": self.max_length,
                "pad_token_id": self.pad_token_id,
                "inputs": list(INPUTS),
                "forms": [
                    {"name": form.name, "file": form.file, "needs": sorted(form.needs)}
                    | ({"data": form.data} if form.data else {})
                    for form in self.forms
                ],
                "files": {
                    file.name: {"sha256": sha256(file), "bytes": file.stat().st_size}
                    for file in sorted(folder.iterdir())
                    if file.name != MANIFEST and file.is_file()
                },
            },
        )


@dataclass(frozen=True)
class Golden:
    """What one form answered where it was made, one text a call; `tolerance` is for other processors."""

    texts: list[str]
    scores: list[dict[str, float]]
    """For each text the probability of each label."""
    tolerance: float

    @classmethod
    def read(cls, folder: Path, form: str) -> "Golden":
        """The golden answers of `form`; CannotServe where there are none, or damaged ones."""
        try:
            values = json.loads((folder / GOLDEN).read_text())
            cases, tolerance = values["cases"], values["tolerance"]
            if isinstance(tolerance, dict):
                tolerance = tolerance[form]
                scores = [case["scores"][form] for case in cases]
            else:  # the first format had one form
                scores = [case["scores"] for case in cases]
            texts = [str(case["text"]) for case in cases]
            read = [{str(label): float(score) for label, score in one.items()} for one in scores]
            return cls(texts, read, float(tolerance))
        except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
            raise CannotServe(f"serving/golden.json has no answers of the form {form}: {error!r}.") from error


def write_golden(folder: Path, texts: Sequence[str], forms: dict[str, tuple[list[dict[str, float]], float]]) -> None:
    """Writes golden.json: `forms` has for each form's name the scores of each text, and the tolerance."""
    cases = [
        {"text": text, "scores": {name: scores[index] for name, (scores, _) in forms.items()}}
        for index, text in enumerate(texts)
    ]
    _write_json(folder / GOLDEN, {"tolerance": {name: one for name, (_, one) in forms.items()}, "cases": cases})


def sha256(file: Path) -> str:
    """The digest of a file's content, in hexadecimal."""
    with file.open("rb") as opened:
        return hashlib.file_digest(opened, "sha256").hexdigest()


def is_torch(path: str) -> bool:
    """Whether the PyTorch form reads this file; `path` is relative to the version's root in MLflow."""
    folder, _, name = path.rpartition("/")
    return folder == "model" and (name == "config.json" or name.endswith(".safetensors"))


def _forms(values: dict[str, Any]) -> list[Form]:
    if values["format"] == 1:
        return [Form(str(values["precision"]), str(values["model"]))]
    return [
        Form(str(one["name"]), str(one["file"]), frozenset(map(str, one["needs"])), str(one.get("data", "")))
        for one in values["forms"]
    ]


def _write_json(file: Path, value: Any) -> None:
    file.write_text(json.dumps(value, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
