"""The Champion as training needs it: what its served file answers, and its weights to go on from.

Only files that the ledger vouches for are read, by digest; nothing that came from the registry is executed.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np

from mlops_contract.store import FilesLost
from model_runner import CannotServe, gather, machine
from model_runner import answers as answers_of
from model_runner.artifact import Manifest
from training_endpoint.errors import BaseModelNotFound, UnknownVersion
from training_endpoint.judge.evaluate import Probabilities
from training_endpoint.learn import classifier as classifiers
from training_endpoint.learn.classifier import Classifier
from training_endpoint.release import inheritance, ledger, remembered, versions
from training_endpoint.settings import Settings

TRIED = 5  # Champions, the newest first


@dataclass(frozen=True)
class Opponent:
    """What a Champion answers on the challenger's test rows."""

    version: int
    probabilities: Probabilities | None
    """[test rows, labels of the snapshot], 0 for a class that it does not know; None where none could be loaded."""
    label_names: Sequence[str] = ()
    trouble: str = ""
    """Why it is not the present Champion, or why there are no answers."""


def answers(settings: Settings, texts: Sequence[str], label_names: Sequence[str]) -> Opponent | None:
    """The answers of the newest of the ledger's Champions that loads; None before the first.

    Raises what may pass, `MlflowUnavailable` above all: that is no verdict on anybody.
    """
    known = ledger.champions(settings.database_url, settings.model_name)
    troubles = []
    for version in known[:TRIED]:
        try:
            names, found = of(settings, version, texts, label_names)
        except (FilesLost, UnknownVersion, CannotServe) as error:
            troubles.append(f"version {version} cannot be loaded any more: {error.message}")
            continue
        return Opponent(version, found, names, "; ".join(troubles)[:500])
    if not known:
        return None
    return Opponent(known[0], None, trouble="; ".join(troubles)[:500])


def of(
    settings: Settings, version: int, texts: Sequence[str], label_names: Sequence[str]
) -> tuple[list[str], Probabilities]:
    """A version's own labels, and what it answers: [texts, label_names], 0 for a class that it does not know.

    Raises `FilesLost`, `UnknownVersion` or `CannotServe` where it can be loaded no more.
    """
    voucher = inheritance.voucher(settings, version)
    folder = gather(partial(versions.files, settings, voucher), "onnx")
    names = Manifest.read(folder).labels
    found = remembered.answers(settings, voucher, texts, lambda asked: answers_of(folder, asked, machine.cores())[1])
    aligned = np.zeros((len(texts), len(label_names)))
    for index, name in enumerate(label_names):
        if name in names:
            aligned[:, index] = found[:, names.index(name)]
    return names, aligned


def classifier(settings: Settings, max_length: int) -> tuple[int, Classifier] | None:
    """The present Champion's number and its PyTorch model; None where there is none, or no weights of it."""
    newest = ledger.newest(settings.database_url, settings.model_name)
    if newest is None or newest.to_version is None:
        return None
    try:
        voucher = inheritance.voucher(settings, newest.to_version)
        folder = versions.files(settings, voucher, "model/", "components/", "serving/")
        return voucher.version, classifiers.reload(folder, max_length)
    except (FilesLost, UnknownVersion, BaseModelNotFound):
        return None
