"""Compares the serving of the Champion with others on the same cores, in rounds, everything by turns.

    python -m benchmarks.serving --rounds 5
    python -m benchmarks.serving --only ours old --rounds 3
    python -m benchmarks.serving --switches 20

nginx and wrk must be installed. Prints tables; writes serving.json and serving.png into --output.
"""

import argparse
import csv
import json
import os
import subprocess
import sys
import tempfile
from contextlib import ExitStack
from pathlib import Path

from benchmarks.serving import ours, report
from benchmarks.serving.load import wrk
from benchmarks.serving.systems import SYSTEMS, System
from tests.services import ROOT

SST2 = ROOT.parent / "shared/data/sst2/test.tsv"
SAMPLE = ROOT / "training_endpoint/sample"


def sentences() -> list[str]:
    """SST-2's test sentences where they are, else the sample that the project brings; 512 of them."""
    file = Path(os.environ.get("BENCH_TEXTS", SST2))
    if not file.exists():
        file = next(SAMPLE.rglob("*test*sv"))
    with file.open(newline="") as stream:
        dialect = "excel-tab" if file.suffix == ".tsv" else "excel"
        rows = csv.DictReader(
            stream, dialect=dialect, quoting=csv.QUOTE_NONE if dialect == "excel-tab" else csv.QUOTE_MINIMAL
        )
        return [row["text"] for row in rows][:512]


def measure(url: str, system_body: ours.Body, texts: list[str], seconds: float, folder: Path) -> dict[str, float]:
    """One system's readings in one round."""
    one = [system_body([text]) for text in texts]
    many = [system_body(texts[start : start + 32]) for start in range(0, len(texts) - 32, 32)]
    wrk(url, one, 8, 1, folder)
    first = wrk(url, one, 1, seconds / 2, folder)
    eight = wrk(url, one, 8, seconds, folder)
    full = wrk(url, one, 32, seconds, folder)
    large = wrk(url, many, 4, seconds, folder)
    return {
        "one32": full.rate,
        "one8": eight.rate,
        "p50_8": eight.p50 * 1000,
        "p99_8": eight.p99 * 1000,
        "p50_1": first.p50 * 1000,
        "many": large.rate * 32,
        "failed": first.failed + eight.failed + full.failed + large.failed,
    }


def limit(model: Path, texts: list[str], seconds: float, folder: Path) -> dict[str, float]:
    """The in-process limit in this round."""
    file = folder / "texts.json"
    file.write_text(json.dumps(texts))

    def texts_a_second(batch: int) -> float:
        command = [sys.executable, "-m", "benchmarks.serving.limit", str(model), str(file), str(batch), str(seconds)]
        path = f"{ROOT}/contract/src:{ROOT}/model_endpoint/src:{ROOT}"
        variables = {**os.environ, "PYTHONPATH": path, "TOKENIZERS_PARALLELISM": "false"}
        return float(subprocess.run(command, check=True, capture_output=True, text=True, env=variables).stdout)

    return {"one32": texts_a_second(1), "many": texts_a_second(32)}


def compare(options: argparse.Namespace, folder: Path) -> report.Readings:
    """All rounds; in each every system once."""
    texts = sentences()
    wanted: list[System] = [one for one in SYSTEMS if not options.only or one.name in options.only]
    for system in wanted:
        print(f"installing {system.name}", flush=True)
        system.install()
    readings: report.Readings = {}
    with ExitStack() as stack:
        fleet = stack.enter_context(ours.fleet(folder))
        for number in range(options.rounds):
            work = folder / f"round{number}"
            work.mkdir()
            readings.setdefault(report.LIMIT, []).append(limit(fleet.model, texts, options.seconds, work))
            for name in ["ours", *(one.name for one in wanted)]:
                with ExitStack() as turn:
                    if name == "ours":
                        url, pids, body = turn.enter_context(fleet.running())
                    else:
                        system = next(one for one in wanted if one.name == name)
                        body = system.body
                        url, pids = turn.enter_context(system.running(fleet.model, work))
                    found = measure(url, body, texts, options.seconds, work)
                    found["memory"] = ours.memory(pids[0])
                readings.setdefault(name, []).append(found)
                print(f"round {number + 1}/{options.rounds} {name}: {json.dumps(found)}", flush=True)
    return readings


def main() -> None:
    """Reads the options, runs, reports."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=4, help="for each reading")
    parser.add_argument("--only", nargs="*", default=[], choices=["ours", *(one.name for one in SYSTEMS)])
    parser.add_argument("--switches", type=int, default=0, help="switches under load instead of the comparison")
    parser.add_argument("--output", type=Path, default=ROOT / ".platform/bench/results")
    options = parser.parse_args()
    options.output.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="bench-") as name:
        if options.switches:
            print(ours.switches(options.switches, sentences(), Path(name)))
            return
        readings = compare(options, Path(name))
    (options.output / "serving.json").write_text(json.dumps(readings, indent=1))
    report.plot(readings, options.output / "serving.png")
    print(f"\n{report.table(readings)}\n\n{report.ratios(readings)}\n\nalso in {options.output}")


if __name__ == "__main__":
    main()
