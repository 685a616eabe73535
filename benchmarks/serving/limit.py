"""The limit: ONNX Runtime in the process, one thread for each core, no HTTP. Prints texts a second.

`python -m benchmarks.serving.limit MODEL_FOLDER TEXTS_FILE BATCH SECONDS`
"""

import json
import sys
import threading
import time
from pathlib import Path

from model_endpoint.model import OnnxModel
from model_endpoint.settings import available_cores


def measure(folder: Path, texts: list[str], batch: int, seconds: float) -> float:
    """Texts a second with `batch` texts a call, sorted by length and cut into pieces of eight."""
    model = OnnxModel(folder / "serving")
    counts = [0] * available_cores()
    start = time.perf_counter()
    end = start + seconds

    def work(core: int) -> None:
        place = core * 37
        while time.perf_counter() < end:
            wanted = [texts[(place + index) % len(texts)] for index in range(batch)]
            encoded = sorted(model.encode(wanted), key=lambda row: len(row.ids))
            for first in range(0, batch, model.chunk):
                model.logits(encoded[first : first + model.chunk])
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
