"""The limit: the runner in the process, one thread for each core, no HTTP. Prints texts a second.

`python -m benchmarks.serving.limit MODEL_FOLDER TEXTS_FILE BATCH SECONDS`
"""

import json
import sys
import threading
import time
from pathlib import Path

from model_runner import load, machine


def measure(folder: Path, texts: list[str], batch: int, seconds: float) -> float:
    """Texts a second with `batch` texts a call."""
    model = load(folder / "serving", "onnx")
    counts = [0] * machine.cores()
    start = time.perf_counter()
    end = start + seconds

    def work(core: int) -> None:
        place = core * 37
        while time.perf_counter() < end:
            model.logits(model.encode([texts[(place + index) % len(texts)] for index in range(batch)]))
            place += batch
            counts[core] += batch

    threads = [threading.Thread(target=work, args=(core,)) for core in range(len(counts))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return sum(counts) / (time.perf_counter() - start)


if __name__ == "__main__":
    sentences = json.loads(Path(sys.argv[2]).read_text())
    print(measure(Path(sys.argv[1]), sentences, int(sys.argv[3]), float(sys.argv[4])))
