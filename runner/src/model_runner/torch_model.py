"""A version's safetensors, run by PyTorch: for machines with a GPU, and for models that ONNX cannot hold."""

import importlib.util
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from model_runner.artifact import Manifest
from model_runner.errors import CannotServe
from model_runner.model import Logits
from model_runner.text import Encoded, Encoder

if TYPE_CHECKING:
    import torch

# What transformers would act on: other code, other loaders, kernels from elsewhere.
IGNORED = ("auto_map", "quantization_config", "attn_implementation", "_attn_implementation", "torch_dtype", "dtype")
SMALLEST = 16


def gpu() -> bool:
    """Whether PyTorch is here and sees a GPU."""
    if not Path("/dev/nvidiactl").exists() or importlib.util.find_spec("torch") is None:
        return False
    import torch  # noqa: PLC0415 - costs 300 MB, so only where it is used

    return torch.cuda.is_available()


def has_weights(folder: Path) -> bool:
    """Whether a version's folder has what PyTorch needs."""
    return (folder / "model/config.json").exists() and any((folder / "model").glob("*.safetensors"))


class TorchModel:
    """A transformers sequence classifier; bfloat16 on a GPU, float32 on a CPU.

    Kernels are chosen by the shape of a batch. So each text is padded to a length that depends on it alone, and on a
    GPU each batch is filled up to `piece` rows: whatever a text is computed with, the shape is the same. On a CPU a
    batch is one text.
    """

    def __init__(self, folder: Path, manifest: Manifest, encoder: Encoder) -> None:
        import torch  # noqa: PLC0415 - costs 300 MB, so only where it is used

        self._torch: Any = torch
        on_gpu = gpu()
        self.device = "cuda" if on_gpu else "cpu"
        self._rows = 32 if on_gpu else 1
        # A GPU does one inference at a time.
        self.piece, self.parallel, self.joins = (32, 1, True) if on_gpu else (4, sys.maxsize, False)
        dtype = torch.bfloat16 if on_gpu else torch.float32
        self.labels = manifest.labels
        self.kind = f"torch {str(dtype).removeprefix('torch.')} on {self.device}"
        self._pad = manifest.pad_token_id
        self._max_length = manifest.max_length
        self._encoder = encoder
        self._model = _load(folder / "model", dtype).to(self.device).eval()
        # XLNet looks at the last token, be it padding.
        self._pads_left = getattr(self._model.config, "summary_type", "") == "last"
        if self._model.config.num_labels != len(self.labels):
            raise CannotServe(
                f"The model gives {self._model.config.num_labels} logits, the manifest names {len(self.labels)} labels."
            )

    def encode(self, texts: list[str]) -> list[Encoded]:
        return self._encoder.encode(texts)

    def logits(self, texts: list[Encoded]) -> Logits:
        found = np.empty((len(texts), len(self.labels)), np.float32)
        widths = np.array([self._width(text) for text in texts])
        for width in np.unique(widths):
            (places,) = np.nonzero(widths == width)
            for start in range(0, len(places), self._rows):
                batch = places[start : start + self._rows]
                found[batch] = self._batch([texts[index] for index in batch], int(width))[: len(batch)]
        return found

    def _width(self, text: Encoded) -> int:
        """Tokens that the text is padded to: its own on a CPU, else the next power of two."""
        if self._rows == 1:
            return len(text.ids)
        return min(self._max_length, max(SMALLEST, 1 << (len(text.ids) - 1).bit_length()))

    def _batch(self, texts: list[Encoded], width: int) -> Logits:
        ids = np.full((self._rows, width), self._pad, dtype=np.int64)
        mask = np.zeros_like(ids)
        mask[len(texts) :, 0] = 1  # the rows that only fill up
        for index, text in enumerate(texts):
            place = slice(width - len(text.ids), width) if self._pads_left else slice(len(text.ids))
            ids[index, place] = text.ids
            mask[index, place] = 1
        with self._torch.inference_mode():
            found: torch.Tensor = self._model(
                input_ids=self._torch.from_numpy(ids).to(self.device),
                attention_mask=self._torch.from_numpy(mask).to(self.device),
            ).logits
        return np.asarray(found.float().cpu().numpy(), dtype=np.float32)


def _load(folder: Path, dtype: Any) -> Any:
    """The model in `folder`: its configuration as plain values, its weights as safetensors, no code and no loader."""
    from safetensors.torch import load_file  # noqa: PLC0415 - imports torch
    from transformers import MODEL_FOR_SEQUENCE_CLASSIFICATION_MAPPING, AutoConfig  # noqa: PLC0415 - takes seconds

    try:
        values = json.loads((folder / "config.json").read_text())
        kind = values.pop("model_type")
        config = AutoConfig.for_model(kind, **{name: values[name] for name in values if name not in IGNORED})
        weights: dict[str, torch.Tensor] = {}
        for file in sorted(folder.glob("*.safetensors")):
            weights |= load_file(file)
        architecture = MODEL_FOR_SEQUENCE_CLASSIFICATION_MAPPING[type(config)]
        loaded, report = architecture.from_pretrained(
            None, config=config, state_dict=weights, dtype=dtype, output_loading_info=True
        )
    except Exception as error:  # transformers lets through errors of many libraries
        raise CannotServe(
            f"Transformers cannot load it as a text classifier: {type(error).__name__}: {error}"
        ) from error
    if report["missing_keys"]:
        raise CannotServe("No text classifier: it has no trained classification head.")
    return loaded
