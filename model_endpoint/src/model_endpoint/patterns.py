"""Refuses a tokenizer whose patterns take too long, or break down, over some text: requests would meet them.

`python -m model_endpoint.patterns FILE` tokenizes texts that are hard for patterns such as `(a+)+$`. It runs in a
process of its own, with a limit on its time and memory: what it tries cannot be interrupted, and may kill it.
"""

import json
import os
import resource
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from model_runner import CannotServe

SECONDS = 10
"""Processor time for all probes; a well-behaved tokenizer needs a tenth of a second."""
MEMORY = 4 << 30
LENGTHS = (28, 300, 4096)
COMMON = ("a", "A", "1", " ", "\n", "-", ".", "'", "\u00e9", "\u6f22", "\u0301", "ab", "a1", "a ", " \n", "aA", "a.")


def refuse_slow(tokenizer: Path) -> None:
    """CannotServe for a tokenizer.json that is slow, breaks down, or makes too much of some text; None for all else."""
    try:
        document = json.loads(tokenizer.read_text())
    except (OSError, ValueError, RecursionError) as error:
        raise CannotServe(f"tokenizer.json is damaged: {error}") from error
    if not any(True for _ in patterns(document)):
        return  # no pattern is the version's own
    command = [sys.executable, "-m", "model_endpoint.patterns", str(tokenizer)]
    try:
        path = {"PYTHONPATH": os.pathsep.join(sys.path)}
        done = subprocess.run(command, capture_output=True, timeout=6 * SECONDS, check=False, env=path)
    except subprocess.TimeoutExpired:
        raise CannotServe(
            f"The tokenizer's patterns take longer than {SECONDS} s for a text of 4096 characters."
        ) from None
    if done.returncode != 0:
        last = (done.stderr.decode(errors="replace").strip().splitlines() or [f"ended with {done.returncode}"])[-1]
        raise CannotServe(f"The tokenizer's patterns take too long, or break down, over some texts: {last[:200]}")


def patterns(value: Any) -> Iterator[str]:
    """The patterns, as texts, that stand anywhere in a tokenizer.json's steps before the model."""
    if isinstance(value, dict):
        steps = [value[name] for name in ("normalizer", "pre_tokenizer") if name in value] or list(value.values())
        found = value.get("pattern")
        if isinstance(found, dict):
            yield from (text for text in found.values() if isinstance(text, str))
        for step in steps:
            yield from patterns(step)
    elif isinstance(value, list):
        for inner in value:
            yield from patterns(inner)


def probes(found: list[str]) -> Iterator[str]:
    """Repetitions of common characters and of those in the patterns, alone and in pairs, and then what ends a match.

    The end has every character of the patterns: a search that misses one of them would not begin.
    """
    characters = sorted({character for text in found for character in text})
    own = [character for character in characters if character.isalnum() or character == " "][:24]
    units = [*dict.fromkeys([*COMMON, *own, *(first + second for first in own[:8] for second in own[:8])])]
    end = "".join(characters)
    for length in LENGTHS:
        for unit in units:
            text = unit * (length // len(unit))
            yield from (text, text + "!", text + "\u00a7" + end, end + text + "\u00a7" + end)


def main(file: str) -> None:
    """Tokenizes all probes; whatever goes wrong ends the process."""
    from tokenizers import Tokenizer  # noqa: PLC0415 - the limits come first

    resource.setrlimit(resource.RLIMIT_CPU, (SECONDS, SECONDS))
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    tokenizer = Tokenizer.from_file(file)
    tokenizer.no_padding()
    tokenizer.enable_truncation(512)
    for text in probes(list(patterns(json.loads(Path(file).read_text())))):
        tokenizer.encode_batch_fast([text])


if __name__ == "__main__":
    main(sys.argv[1])
