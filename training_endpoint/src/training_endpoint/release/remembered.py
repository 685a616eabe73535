"""What versions answered here: the same files give the same text the same answer, so none is computed twice.

    answers/KEY.npz   of one version, on this kind of processor: digests of texts, and the probabilities

Nothing is lost with a file but the time to answer again.
"""

import hashlib
import importlib.metadata
import json
import logging
import os
import zipfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np

from mlops_contract.voucher import Voucher
from model_runner import Probabilities, machine
from training_endpoint.settings import Settings

KEPT = 8
"""Versions, those asked or noted last."""
MOST = 50_000
"""Texts of each."""
PACKAGES = ("numpy", "onnxruntime", "tokenizers", "torch")

log = logging.getLogger(__name__)


def answers(
    settings: Settings, voucher: Voucher, texts: Sequence[str], answer: Callable[[Sequence[str]], Probabilities]
) -> Probabilities:
    """[texts, labels]; `answer` is asked only for those that the version has not answered yet."""
    file = _file(settings, voucher)
    known = _read(file)
    wanted = [_digest(text) for text in texts]
    new = {digest: text for digest, text in zip(wanted, texts, strict=True) if digest not in known}
    if new:
        known |= zip(new, answer(list(new.values())), strict=True)
        _write(file, known if len(known) <= MOST else {digest: known[digest] for digest in wanted})
    return np.array([known[digest] for digest in wanted])


def note(settings: Settings, voucher: Voucher, texts: Sequence[str], found: Probabilities) -> None:
    """What the version's own form for this machine answered."""
    _write(_file(settings, voucher), dict(zip(map(_digest, texts), found, strict=True)))


def _file(settings: Settings, voucher: Voucher) -> Path:
    """Named by all that an answer depends on, beside the text."""
    packages = [importlib.metadata.version(name) for name in PACKAGES]
    told = json.dumps([sorted(voucher.files.items()), machine.processor(), packages])
    return settings.state_dir / "answers" / f"{hashlib.sha256(told.encode()).hexdigest()}.npz"


def _digest(text: str) -> bytes:
    return hashlib.blake2b(text.encode(errors="surrogatepass"), digest_size=16).digest()


def _read(file: Path) -> dict[bytes, Probabilities]:
    try:
        with file.open("rb") as opened, np.load(opened, allow_pickle=False) as kept:
            digests = [row.tobytes() for row in kept["digests"]]
            os.utime(file)
            return dict(zip(digests, kept["answers"], strict=True))
    except FileNotFoundError:
        return {}
    except (OSError, EOFError, KeyError, ValueError, zipfile.BadZipFile) as error:
        log.warning("%s is damaged, its texts are answered again: %s", file, error)
        return {}


def _write(file: Path, known: Mapping[bytes, Probabilities]) -> None:
    """Beside, then renamed; then the oldest go. Nothing is written of more texts than are kept."""
    if len(known) > MOST:
        return
    digests = np.frombuffer(b"".join(known), np.uint8).reshape(-1, 16)
    fresh = file.with_suffix(".new")
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        with fresh.open("wb") as opened:
            np.savez(opened, digests=digests, answers=np.array(list(known.values())))
        fresh.replace(file)
        for old in sorted(file.parent.iterdir(), key=lambda one: -one.stat().st_mtime)[KEPT:]:
            old.unlink(missing_ok=True)
    except OSError as error:
        log.warning("answers are not remembered: %s", error)
