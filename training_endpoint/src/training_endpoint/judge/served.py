"""What a served file answers: tokenizers and ONNX Runtime, as the model endpoints run them."""

import json
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np

from mlops_contract.errors import PlatformError
from training_endpoint.judge.evaluate import Probabilities
from training_endpoint.learn.encoding import by_length, pad, softmax


class CannotRun(PlatformError):
    """The files are no text classifier that can be run here."""

    status = 422
    code = "cannot_run"


def answers(folder: Path, texts: Sequence[str], cores: int) -> tuple[list[str], Probabilities]:
    """The labels, and probabilities float64 [texts, labels]."""
    import onnxruntime  # noqa: PLC0415 - only where it is used
    from tokenizers import Tokenizer  # noqa: PLC0415

    try:
        manifest = json.loads((folder / "manifest.json").read_text())
        tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
        tokenizer.no_padding()
        tokenizer.enable_truncation(manifest["max_length"])
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        session = onnxruntime.InferenceSession(
            str(folder / manifest["model"]), options, providers=["CPUExecutionProvider"]
        )
        labels = [str(label) for label in manifest["labels"]]
    except Exception as error:  # the libraries' errors have no common class
        raise CannotRun(f"{type(error).__name__}: {str(error)[:200]}") from error
    ids = [encoded.ids for encoded in tokenizer.encode_batch_fast(list(texts))]
    logits = np.empty((len(ids), len(labels)), np.float32)

    def answer(batch: list[int]) -> None:
        tokens, mask = pad([ids[index] for index in batch], manifest["pad_token_id"])
        feed = {"input_ids": tokens, "attention_mask": mask}
        logits[batch] = session.run(["logits"], {name: feed[name] for name in manifest["inputs"]})[0]

    with ThreadPoolExecutor(cores) as pool:
        list(pool.map(answer, by_length(ids, 8)))
    return labels, softmax(logits)
