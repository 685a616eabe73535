"""What a classifier answers on given rows, and how good that is."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from model_runner import softmax
from training_endpoint.learn.classifier import Classifier
from training_endpoint.learn.encoding import by_length, encode, pad

Probabilities = npt.NDArray[np.float64]
Labels = npt.NDArray[np.int64]

BATCH = 32


def predict(classifier: Classifier, texts: Sequence[str], size: int = BATCH) -> Probabilities:
    """What PyTorch answers: probabilities float64 [texts, labels], computed in fp32, `size` texts at a time."""
    import torch  # noqa: PLC0415 - takes seconds

    model = classifier.model.eval()
    ids = encode(classifier.tokenizer, texts, classifier.max_length)
    logits = np.empty((len(ids), len(classifier.label_names)), np.float32)
    with torch.inference_mode():
        for batch in by_length(ids.lengths, size):
            tokens, mask = (
                torch.from_numpy(array).to(model.device)
                for array in pad([ids[index] for index in batch], classifier.pad_id, classifier.pads_left)
            )
            logits[batch] = model(input_ids=tokens, attention_mask=mask).logits.float().cpu().numpy()
    return softmax(logits)


def metrics(probabilities: Probabilities, labels: Labels) -> dict[str, float]:
    """accuracy, macro_f1 (over the classes in `labels`) and log_loss (natural logarithm)."""
    predicted = probabilities.argmax(axis=1)
    return {
        "accuracy": float((predicted == labels).mean()),
        "macro_f1": macro_f1(predicted, labels, probabilities.shape[1]),
        "log_loss": float(log_losses(probabilities, labels).mean()),
    }


def log_losses(probabilities: Probabilities, labels: Labels) -> Probabilities:
    """-ln of the probability that each row's label got; a probability of 0 counts as 1e-12."""
    return np.asarray(-np.log(np.clip(probabilities[np.arange(len(labels)), labels], 1e-12, 1)))


def macro_f1(predicted: Labels, labels: Labels, classes: int, counts: Labels | None = None) -> float:
    """Mean F1 of the classes that `labels` has; 0 for a class never found. `counts`: how often each row counts."""
    matrix = confusion(predicted, labels, classes, counts)
    present = matrix.sum(axis=1) > 0
    return float(_f1(matrix)[present].mean()) if present.any() else 0.0


def confusion(predicted: Labels, labels: Labels, classes: int, counts: Labels | None = None) -> Labels:
    """Counts int64 [label, predicted]; `counts`: how often each row counts, once by default."""
    cells = np.bincount(labels * classes + predicted, weights=counts, minlength=classes * classes)
    return cells.astype(np.int64).reshape(classes, classes)


def per_class(predicted: Labels, labels: Labels, names: Sequence[str]) -> dict[str, dict[str, float]]:
    """precision, recall, f1 and rows of each class; a class without rows has recall and f1 0."""
    matrix = confusion(predicted, labels, len(names))
    hits = matrix.diagonal()
    precision = hits / np.maximum(matrix.sum(axis=0), 1)
    recall = hits / np.maximum(matrix.sum(axis=1), 1)
    f1 = _f1(matrix)
    return {
        name: {
            "precision": float(precision[index]),
            "recall": float(recall[index]),
            "f1": float(f1[index]),
            "rows": int(matrix[index].sum()),
        }
        for index, name in enumerate(names)
    }


def _f1(matrix: Labels) -> Probabilities:
    return np.asarray(2 * matrix.diagonal() / np.maximum(matrix.sum(axis=0) + matrix.sum(axis=1), 1))
