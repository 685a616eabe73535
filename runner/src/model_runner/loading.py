"""From a version's folder to something that answers, proven on its golden texts."""

from collections.abc import Callable
from pathlib import Path

import numpy as np

from model_runner.artifact import TOKENIZER, TORCH, Golden, Manifest
from model_runner.errors import CannotServe
from model_runner.machine import features
from model_runner.model import Model, softmax
from model_runner.text import Encoder


def wants_torch(backend: str) -> bool:
    """Whether a version with both is served by PyTorch; `backend` is onnx, torch, or auto (on a GPU)."""
    from model_runner import torch_model  # noqa: PLC0415 - imports torch only when asked to load

    return backend == TORCH or (backend == "auto" and torch_model.gpu())


def gather(fetch: Callable[..., Path], backend: str) -> Path:
    """The folder with all that `load` needs of a version; `fetch` gets the version's folders that it is given."""
    folder = fetch("serving/")
    form = Manifest.read(folder).form(features())
    if wants_torch(backend) or (form is not None and form.name == TORCH):
        return fetch("serving/", "model/")
    return fetch("serving/", form.data) if form is not None and form.data else folder


def footprint(folder: Path, backend: str) -> int:
    """Bytes of the weights that `load` would keep in memory."""
    form = Manifest.read(folder).form(features())
    if form is None or form.name == TORCH or wants_torch(backend):
        files = list((folder / "model").glob("*.safetensors"))
    else:
        files = [folder / form.file, *([folder / form.data] if form.data else [])]
    return sum(file.stat().st_size for file in files if file.exists())


def load(folder: Path, backend: str) -> Model:
    """The model in `folder`, its golden texts answered right; the folder has manifest.json and what that lists.

    `backend` is onnx, torch (which needs `model/` too), or auto; a version that ONNX cannot hold is run by PyTorch
    whatever it is. CannotServe says why not.
    """
    manifest = Manifest.read(folder)
    form, model = _choose(folder, manifest, backend)
    golden = Golden.read(folder, form)
    if not golden.texts:
        raise CannotServe("serving/golden.json has no cases.")
    for text, wanted in zip(golden.texts, golden.scores, strict=True):
        _check(model, text, wanted, golden.tolerance)
    return model


def _choose(folder: Path, manifest: Manifest, backend: str) -> tuple[str, Model]:
    """The form's name and the model that runs it."""
    from model_runner import torch_model  # noqa: PLC0415 - as above
    from model_runner.onnx_model import OnnxModel  # noqa: PLC0415 - imports onnxruntime

    form = manifest.form(features())
    no_other = form is not None and form.name == TORCH
    weights = torch_model.has_weights(folder)
    try:
        encoder = Encoder.from_file(folder / TOKENIZER, manifest.max_length)
        if no_other or backend == TORCH or (weights and (wants_torch(backend) or (backend == "auto" and form is None))):
            if not weights:
                why = "it has no other form" if no_other else "MODEL_BACKEND is torch"
                raise CannotServe(f"The version has no safetensors, and {why}.")
            return TORCH, torch_model.TorchModel(folder, manifest, encoder)
        if form is None:
            raise CannotServe("The version has no ONNX form that this processor can run.")
        return form.name, OnnxModel(folder / form.file, form.name, manifest.labels, encoder)
    except (ValueError, OSError) as error:
        raise CannotServe(f"The version's files cannot be read: {error}") from error


def _check(model: Model, text: str, wanted: dict[str, float], tolerance: float) -> None:
    """Warms the model up, and refuses it where it answers otherwise than where it was made."""
    try:
        scores = softmax(model.logits(model.encode([text])))
    except Exception as error:  # whatever the libraries raise for a model that they cannot compute
        raise CannotServe(f"It cannot answer the golden text {text[:60]!r}: {error}") from error
    if scores.shape != (1, len(model.labels)) or not np.isfinite(scores).all():
        raise CannotServe("No text classifier: it does not give one finite score for each label.")
    try:
        expected = np.array([wanted[label] for label in model.labels])
    except KeyError as error:
        raise CannotServe(f"serving/golden.json has no score of the label {error}.") from error
    if not np.abs(scores[0] - expected).max() <= tolerance:
        raise CannotServe(f"The golden text {text[:60]!r} gets other scores here than where it was trained.")
