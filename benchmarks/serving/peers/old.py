"""The old design: Flask under uwsgi, a transformers pipeline in each of four processes."""

import os
from pathlib import Path
from typing import Any

from flask import Flask, jsonify, request
from transformers import AutoModelForSequenceClassification, AutoTokenizer, pipeline

folder = Path(os.environ["BENCH_MODEL"])
classify = pipeline(
    "text-classification",
    model=AutoModelForSequenceClassification.from_pretrained(folder / "model"),
    tokenizer=AutoTokenizer.from_pretrained(folder / "components/tokenizer"),
)
application = Flask(__name__)


@application.post("/predict")
def predict() -> Any:
    """Labels and scores."""
    texts = request.get_json()["input"]
    return jsonify(classify(texts, truncation=True))


@application.get("/health")
def health() -> str:
    """Up."""
    return "up"
