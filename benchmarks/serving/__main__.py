"""Compares the serving of the Champion with others on the same cores, in rounds, everything by turns.

    python -m benchmarks.serving                                          all of it, about ten minutes
    python -m benchmarks.serving --only ours old --rounds 1 --switches 0  a part

The model is a version as a training job makes it of the sample.
The texts are SST-2's test sentences, or the sample's where those are absent.
Then our own service switches versions under load. nginx and wrk must be installed. Prints tables, and what was wanted
beside what was reached; writes serving.json and serving.png into --output.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from contextlib import ExitStack
from dataclasses import asdict
from pathlib import Path

from benchmarks.sentences import sentences
from benchmarks.serving import ours, report
from benchmarks.serving.load import wrk
from benchmarks.serving.systems import SYSTEMS, System
from tests.services import ROOT


def measure(url: str, system_body: ours.Body, texts: list[str], seconds: float, folder: Path) -> dict[str, float]:
    """One system's readings in one round."""
    one = [system_body([text]) for text in texts]
    many = [system_body(texts[start : start + 32]) for start in range(0, len(texts) - 32, 32)]
    wrk(url, one, 8, 1, folder)
    first = wrk(url, one, 1, seconds / 2, folder)
    eight = wrk(url, one, 8, seconds, folder)
    full = wrk(url, one, 32, seconds, folder)
    large = wrk(url, many, 4, seconds, folder)
    asked = first.requests + eight.requests + full.requests + large.requests
    failed = first.failed + eight.failed + full.failed + large.failed
    if failed > asked / 100:
        raise RuntimeError(f"{failed} of {asked} requests failed at {url}: its readings mean nothing")
    return {
        "one32": full.rate,
        "one8": eight.rate,
        "p50_8": eight.p50 * 1000,
        "p99_8": eight.p99 * 1000,
        "p50_1": first.p50 * 1000,
        "many": large.rate * 32,
        "failed": failed,
    }


def limit(model: Path, texts: list[str], seconds: float, folder: Path) -> dict[str, float]:
    """The in-process limit in this round."""
    file = folder / "texts.json"
    file.write_text(json.dumps(texts))

    def texts_a_second(batch: int) -> float:
        command = [sys.executable, "-m", "benchmarks.serving.limit", str(model), str(file), str(batch), str(seconds)]
        path = f"{ROOT}/contract/src:{ROOT}/runner/src:{ROOT}/model_endpoint/src:{ROOT}"
        variables = {**os.environ, "PYTHONPATH": path, "TOKENIZERS_PARALLELISM": "false"}
        return float(subprocess.run(command, check=True, capture_output=True, text=True, env=variables).stdout)

    return {"one32": texts_a_second(1), "many": texts_a_second(32)}


def compare(options: argparse.Namespace, folder: Path) -> report.Readings:
    """All rounds; in each every system once."""
    folder.mkdir()
    texts = sentences()[:512]
    wanted: list[System] = [one for one in SYSTEMS if not options.only or one.label in options.only]
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
            for name in ["ours", *(one.label for one in wanted)]:
                with ExitStack() as turn:
                    if name == "ours":
                        url, pids, body = turn.enter_context(fleet.running())
                    else:
                        system = next(one for one in wanted if one.label == name)
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
    parser.add_argument("--rounds", type=int, default=3, help="of the comparison; 0 leaves it out")
    parser.add_argument("--seconds", type=float, default=4, help="for each of its readings")
    parser.add_argument("--only", nargs="*", default=[], choices=["ours", *(one.label for one in SYSTEMS)])
    parser.add_argument("--switches", type=int, default=20, help="under load; 0 leaves them out")
    parser.add_argument("--output", type=Path, default=ROOT / ".platform/bench/results")
    options = parser.parse_args()
    options.output.mkdir(parents=True, exist_ok=True)
    readings: report.Readings = {}
    switching = None
    with tempfile.TemporaryDirectory(prefix="bench-") as name:
        if options.rounds:
            readings = compare(options, Path(name) / "comparison")
            report.plot(readings, options.output / "serving.png")
        if options.switches:
            print(f"switching {options.switches} times under load", flush=True)
            switching = ours.switches(options.switches, sentences()[:512], Path(name) / "switches")
    found = {"comparison": readings, "switches": asdict(switching) if switching else None}
    (options.output / "serving.json").write_text(json.dumps(found, indent=1))
    tables = [report.table(readings)] if readings else []
    tables += [report.switching_table(switching)] if switching else []
    print("", *tables, report.goals(readings, switching), f"also in {options.output}", sep="\n\n")


if __name__ == "__main__":
    main()
