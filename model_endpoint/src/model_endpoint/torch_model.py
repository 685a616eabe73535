"""Serves MLflow's transformers flavor with PyTorch.

For machines with a GPU; and, slower than ONNX Runtime, for versions that were registered by hand without `serving/`.
"""

import importlib.util
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from model_endpoint.errors import CannotServe
from model_endpoint.model import Encoded, Manifest, Scores

if TYPE_CHECKING:
    import torch


def gpu() -> bool:
    """Whether PyTorch is here and sees a GPU."""
    if not Path("/dev/nvidiactl").exists() or importlib.util.find_spec("torch") is None:
        return False
    import torch  # noqa: PLC0415 - costs 300 MB, so only where it is used

    return torch.cuda.is_available()


def flavored(folder: Path) -> bool:
    """Whether a version's folder has MLflow's transformers flavor."""
    return (folder / "model/config.json").exists()


class TorchModel:
    """A transformers sequence classifier; bfloat16 and in batches on a GPU, float32 on a CPU."""

    chunk = 64

    def __init__(self, folder: Path) -> None:
        import torch  # noqa: PLC0415 - costs 300 MB, so only where it is used
        from transformers import AutoModelForSequenceClassification, AutoTokenizer  # noqa: PLC0415

        self._torch: Any = torch
        on_gpu = gpu()
        self.device = "cuda" if on_gpu else "cpu"
        dtype = torch.bfloat16 if on_gpu else torch.float32
        # A GPU does one inference at a time, and padding costs it little.
        self.parallel, self.overhead = (1, 10_000.0) if on_gpu else (sys.maxsize, 10.0)
        model = folder / "model"
        if not flavored(folder):
            raise CannotServe("No text classifier: the version has neither serving/ nor MLflow's transformers flavor.")
        parts = folder / "components" / "tokenizer"
        try:
            loaded, report = AutoModelForSequenceClassification.from_pretrained(
                model, local_files_only=True, dtype=dtype, output_loading_info=True
            )
            self._tokenizer: Any = AutoTokenizer.from_pretrained(
                parts if parts.exists() else model, local_files_only=True
            )
        except (OSError, ValueError, KeyError) as error:
            raise CannotServe(f"Transformers cannot load it as a text classifier: {error}") from error
        if report["missing_keys"]:
            raise CannotServe("No text classifier: it has no trained classification head.")
        self._model = loaded.to(self.device).eval()
        names = loaded.config.id2label
        self.labels = [str(names[index]) for index in range(loaded.config.num_labels)]
        self.kind = f"torch {str(dtype).removeprefix('torch.')} on {self.device}"
        limit = min(self._tokenizer.model_max_length, getattr(loaded.config, "max_position_embeddings", 512))
        exported = (folder / "manifest.json").exists()
        self._max_length = min(limit, Manifest.read(folder).max_length if exported else 512)

    def encode(self, texts: list[str]) -> list[Encoded]:
        whole = self._tokenizer(texts, truncation=True, max_length=self._max_length, return_overflowing_tokens=True)
        rows: dict[int, Encoded] = {}
        for source, ids in zip(whole["overflow_to_sample_mapping"], whole["input_ids"], strict=True):
            rows[source] = Encoded(rows[source].ids, True) if source in rows else Encoded(ids, False)
        return [rows[index] for index in range(len(texts))]

    def logits(self, batch: list[Encoded]) -> Scores:
        length = max(len(row.ids) for row in batch)
        ids = np.full((len(batch), length), self._tokenizer.pad_token_id or 0, dtype=np.int64)
        mask = np.zeros_like(ids)
        for index, row in enumerate(batch):
            ids[index, : len(row.ids)] = row.ids
            mask[index, : len(row.ids)] = 1
        with self._torch.inference_mode():
            found: torch.Tensor = self._model(
                input_ids=self._torch.from_numpy(ids).to(self.device),
                attention_mask=self._torch.from_numpy(mask).to(self.device),
            ).logits
        return np.asarray(found.float().cpu().numpy(), dtype=np.float32)
