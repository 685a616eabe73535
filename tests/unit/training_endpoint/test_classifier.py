import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from tests import tiny_models
from training_endpoint.errors import BaseModelNotFound
from training_endpoint.judge.evaluate import predict
from training_endpoint.learn.classifier import find_base, load
from training_endpoint.learn.encoding import usable_length


def test_the_embedded_model_is_found_without_importing_it() -> None:
    code = (
        "import sys; from training_endpoint.learn.classifier import find_base; base = find_base('embedded'); "
        "assert (base.folder / 'config.json').is_file() and base.revision; "
        "assert not {'torch', 'transformers', 'sentence_transformers', 'huggingface_hub'} & set(sys.modules)"
    )
    paths = ":".join(path for path in sys.path if path)
    subprocess.run([sys.executable, "-c", code], check=True, env={"PYTHONPATH": paths})


def test_a_folder_becomes_a_classifier_with_the_labels_of_the_data(tmp_path: Path) -> None:
    base = find_base(str(tiny_models.save("distilbert", tmp_path)))
    classifier = load(base, ["x", "y", "z"], 4096)
    assert classifier.model.config.id2label == {0: "x", 1: "y", 2: "z"}
    assert classifier.max_length == 64
    again = find_base(str(tmp_path))
    assert again.revision == base.revision
    (tmp_path / "config.json").write_text((tmp_path / "config.json").read_text() + "\n")
    assert find_base(str(tmp_path)).revision != base.revision


def test_positions_before_the_first_text_token_do_not_count(tmp_path: Path) -> None:
    (tmp_path / "roberta").mkdir()
    classifier = tiny_models.classifier(tmp_path / "roberta", ["x", "y"], "roberta", max_length=4096)
    assert classifier.max_length == 64


def test_a_model_that_looks_at_the_last_token_is_padded_in_front(tmp_path: Path) -> None:
    tiny_models.save("xlnet", tmp_path)
    classifier = load(find_base(str(tmp_path)), ["x", "y"], 64)
    together = predict(classifier, tiny_models.TEXTS)
    assert np.abs(together - predict(classifier, tiny_models.TEXTS, 1)).max() < 1e-5
    assert not tiny_models.classifier(tmp_path / "bert", ["x", "y"]).pads_left


@pytest.mark.parametrize("name", ["/no/such/folder", "./none", "a/b/c", "~/none"])
def test_a_folder_that_is_not_there_is_said(name: str) -> None:
    with pytest.raises(BaseModelNotFound, match="no folder"):
        find_base(name)


def test_a_folder_without_a_model_is_said(tmp_path: Path) -> None:
    with pytest.raises(BaseModelNotFound, match=r"config\.json"):
        find_base(str(tmp_path))
    (tmp_path / "config.json").write_text('{"model_type": "bert"}')
    with pytest.raises(BaseModelNotFound, match="has no tokenizer"):
        load(find_base(str(tmp_path)), ["x", "y"], 64)


@pytest.mark.parametrize("name", ["~nobody-of-this-name/x", "a\0b", "/" + "a" * 300 + "/x", "x" * 5000])
def test_a_name_that_no_folder_can_have_is_said(name: str) -> None:
    with pytest.raises(BaseModelNotFound):
        find_base(name)


def test_a_folder_without_its_tokenizer_is_said_whole(tmp_path: Path) -> None:
    tiny_models.save("bert", tmp_path)
    for file in ("tokenizer.json", "tokenizer_config.json"):
        (tmp_path / file).unlink()
    with pytest.raises(BaseModelNotFound, match="tokenizer"):
        load(find_base(str(tmp_path)), ["x", "y"], 64)


@pytest.mark.parametrize(
    ("kind", "positions", "wanted"),
    [("xlnet", -1, 256), ("t5", None, 256), ("bert", 128, 128), ("camembert", 130, 128)],
)
def test_a_limit_that_is_none_does_not_count(kind: str, positions: int | None, wanted: int) -> None:
    class Configuration:
        model_type = kind
        max_position_embeddings = positions

    class Tokenizer:
        model_max_length = 10**30

    assert usable_length(Tokenizer, Configuration, 256) == wanted


def test_a_configuration_that_cannot_be_used_is_what_is_said(tmp_path: Path) -> None:
    tiny_models.save("bert", tmp_path)
    said = json.loads((tmp_path / "config.json").read_text())
    wrong = {**said, "hidden_size": "wide"}, {**said, "model_type": "of-nobody"}
    for config in wrong:
        (tmp_path / "config.json").write_text(json.dumps(config))
        with pytest.raises(BaseModelNotFound, match=r"config\.json|cannot be loaded as a text classifier") as refused:
            load(find_base(str(tmp_path)), ["x", "y"], 64)
        assert "tokenizer that can be loaded" not in refused.value.message
