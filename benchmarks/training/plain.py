"""The other side: the plain recipe with Hugging Face's own Trainer. `python -m benchmarks.training.plain TASK.json`

Batches in random order, each padded to its longest text, fp32. What else a run is told is the same as on our side.
"""

import sys
import tempfile
from pathlib import Path
from typing import Any

from transformers import (
    AutoModelForSequenceClassification,
    AutoTokenizer,
    DataCollatorWithPadding,
    Trainer,
    TrainingArguments,
    set_seed,
)

from benchmarks.training.task import Task, timed
from training_endpoint.data.snapshot import Rows
from training_endpoint.learn.classifier import find_base


def main(task: Task, work: str) -> None:
    """Trains and tests in this process."""
    told = task.parameters
    set_seed(told.seed)
    folder = find_base(told.base_model).folder
    tokenizer: Any = AutoTokenizer.from_pretrained(folder)
    model = AutoModelForSequenceClassification.from_pretrained(
        folder, num_labels=len(task.label_names), dtype="float32"
    )
    options = TrainingArguments(
        output_dir=work,
        num_train_epochs=told.epochs,
        per_device_train_batch_size=told.batch_size,
        learning_rate=told.learning_rate,
        weight_decay=told.weight_decay,
        warmup_steps=told.warmup,
        max_grad_norm=told.clip,
        seed=told.seed,
        save_strategy="no",
        report_to="none",
        disable_tqdm=True,
    )

    def encoded(rows: Rows) -> list[dict[str, Any]]:
        ids = tokenizer(rows.texts, truncation=True, max_length=told.max_length)
        return [
            {**{name: values[number] for name, values in ids.items()}, "labels": int(label)}
            for number, label in enumerate(rows.labels)
        ]

    trainer = Trainer(model=model, args=options, data_collator=DataCollatorWithPadding(tokenizer))

    def train() -> None:
        trainer.train_dataset = encoded(task.train)
        trainer.train()

    def right() -> float:
        answers = trainer.predict(encoded(task.test)).predictions.argmax(axis=1)
        return float((answers == task.test.labels).mean())

    timed(task, train, right)


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as scratch:
        main(Task.load(Path(sys.argv[1])), scratch)
