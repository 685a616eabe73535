"""Real but tiny classifiers of several architectures, made on the spot: random weights, a vocabulary of words."""

from pathlib import Path
from typing import Any

from training_endpoint.learn.classifier import BaseModel, Classifier, load

WORDS = ["good", "great", "fine", "lovely", "bad", "awful", "poor", "dull"]
WORDS += ["the", "a", "film", "book", "was", "is", "very", "not", "it", "and", "of"]
TEXTS = [" ".join(WORDS[number % 7 : number % 7 + 1 + number % 11]) for number in range(40)]
SPECIAL = ["[PAD]", "[UNK]", "[CLS]", "[SEP]"]
ARCHITECTURES = ("bert", "distilbert", "roberta")


def save(architecture: str, folder: Path, **others: Any) -> Path:
    """Saves an untrained base model of `architecture`, `others` in its configuration, with its tokenizer."""
    import torch
    from transformers import AutoConfig, AutoModel

    torch.manual_seed(0)
    sizes: dict[str, Any] = {"vocab_size": len(SPECIAL) + len(WORDS), "max_position_embeddings": 66, "pad_token_id": 0}
    if architecture == "xlnet":  # has no limit
        del sizes["max_position_embeddings"]
        sizes |= {"d_model": 32, "n_layer": 1, "n_head": 2, "d_inner": 64}
    elif architecture == "distilbert":
        sizes |= {"dim": 32, "n_layers": 2, "n_heads": 2, "hidden_dim": 64}
    else:
        sizes |= {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 64}
    AutoModel.from_config(AutoConfig.for_model(architecture, **{**sizes, **others})).save_pretrained(folder)
    _tokenizer().save_pretrained(folder)
    return folder


def classifier(folder: Path, labels: list[str], architecture: str = "bert", max_length: int = 64) -> Classifier:
    """An untrained tiny classifier."""
    if not (folder / "config.json").exists():
        save(architecture, folder)
    return load(BaseModel(architecture, folder, "1"), labels, max_length)


def _tokenizer() -> Any:
    from tokenizers import Tokenizer, models, pre_tokenizers, processors
    from transformers import PreTrainedTokenizerFast

    vocabulary = {word: index for index, word in enumerate(SPECIAL + WORDS)}
    words = Tokenizer(models.WordLevel(vocabulary, unk_token="[UNK]"))
    words.pre_tokenizer = pre_tokenizers.Whitespace()
    words.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
    )
    names = dict(zip(("pad_token", "unk_token", "cls_token", "sep_token"), SPECIAL, strict=True))
    return PreTrainedTokenizerFast(tokenizer_object=words, model_max_length=64, **names)
