"""What can be known of a base model before the first step: whether it can be served, and by what."""

from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from model_runner import scores
from training_endpoint.errors import UnusableBaseModel
from training_endpoint.judge import export
from training_endpoint.judge.evaluate import Probabilities, predict
from training_endpoint.judge.forms import FP32
from training_endpoint.learn.classifier import Classifier

PROVEN = frozenset({"albert", "bert", "camembert", "distilbert", "electra", "mpnet", "roberta", "xlm-roberta"})
"""Architectures whose export the tests prove: they are tried only where their size is in doubt."""
TEXTS = 4


def trial(classifier: Classifier, texts: Sequence[str], work: Path) -> str:
    """Why ONNX cannot hold the untrained `classifier`, or nothing where it can; `texts` are some that it will meet.

    Raises `UnusableBaseModel` where PyTorch cannot run it either. Trained it may still turn out otherwise: the export
    looks again.
    """
    import torch  # noqa: PLC0415 - takes seconds

    if classifier.model.config.model_type in PROVEN and export.fits(classifier):
        return ""
    golden = export.golden_texts(texts)
    picked = [golden[round(place)] for place in np.linspace(0, len(golden) - 1, min(TEXTS, len(golden)))]
    with TemporaryDirectory(dir=work) as folder, torch.random.fork_rng():
        try:
            predict(classifier, picked)
            answers = predict(classifier, picked, 1)
            try:
                export.faithful(classifier, Path(folder) / FP32.file, picked, answers, export.SAME, _trace)
                return ""
            except export.CannotHold as why:
                alone = scores(export.run_by_torch(classifier, Path(folder)), picked, 1)
                told = str(why)
        except MemoryError:
            raise
        except Exception as error:  # whatever the libraries raise for a model that they cannot compute
            raise UnusableBaseModel(_refused(classifier, export.first_words(error))) from error
    if not np.abs(alone - answers).max() <= export.GOLDEN_TOLERANCE:
        raise UnusableBaseModel(_refused(classifier, "its safetensors answer otherwise than the model"))
    return told


def _trace(classifier: Classifier, file: Path, texts: Sequence[str], wanted: Probabilities) -> None:
    """Without the smaller graph: where there is none, the traced one is served."""
    export.trace(classifier, file)


def _refused(classifier: Classifier, why: str) -> str:
    kind = classifier.model.config.model_type
    return f"The base model (a {kind}) cannot be served as a text classifier: {why}; choose another base_model."
