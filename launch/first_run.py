"""The steps of a first run that need HTTP. Standard library only: launch.sh pipes this file into a Python.

prepare   has the configured dataset imported; exit status 3 when there is nothing new to train on
answer    waits for the served Champion and prints one prediction
served    one line: the version that is served now
example   two lines: a text to ask about, and arguments for database_trigger.py
"""

import json
import os
import shlex
import ssl
import sys
import time
import urllib.error
import urllib.request
from typing import Any

PATIENCE_S = 90
DONE, FAILED, NOTHING_TO_TRAIN = 0, 1, 3  # exit statuses
# The door's certificate is for its public name, and perhaps of the user's own making; here it is asked by another one.
ANY_CERTIFICATE = ssl._create_unverified_context()  # noqa: S323 - as said
# A proxy of the machine has no business between it and its own services.
DIRECT = urllib.request.build_opener(
    urllib.request.ProxyHandler({}), urllib.request.HTTPSHandler(context=ANY_CERTIFICATE)
)


def call(url: str, body: dict[str, Any] | None = None, timeout: float = 10, authorization: str = "") -> tuple[int, Any]:
    """GET, or POST when there is a body; the status and the JSON that came back."""
    data = None if body is None else json.dumps(body).encode()
    headers = {"Content-Type": "application/json"}
    if authorization:
        headers["Authorization"] = authorization
    request = urllib.request.Request(url, data, headers)  # noqa: S310 - http by contract
    try:
        with DIRECT.open(request, timeout=timeout) as answer:
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as error:
        try:
            return error.code, json.load(error)
        except ValueError:
            return error.code, {}


def training(path: str, body: Any = None, timeout: float = 30) -> tuple[int, Any]:
    """As `call`, of the training endpoint, with the platform's token."""
    bearer = f"Bearer {os.environ['PLATFORM_TOKEN']}"
    return call(f"{os.environ['TRAINING_URL']}{path}", body, timeout=timeout, authorization=bearer)


def release() -> dict[str, Any]:
    """What the ledger names, and whether it is served; empty where it is not told."""
    status, state = training("/release")
    return dict(state) if status == 200 else {}


def has_champion() -> bool:
    """Asks the ledger."""
    return release().get("champion") is not None


def is_served() -> bool:
    """Whether the replicas follow the ledger: another DATASET than before has another model."""
    state = release()
    return bool(state) and (state["served"] or state["champion"] is None)


def prepare() -> int:
    """Imports the configured dataset where it is new; large ones take minutes."""
    first = not has_champion()
    if first:
        print("\nTraining the first Champion\n  import                 started", flush=True)
    status, answer = training("/datasets", {}, timeout=3600)
    if status not in (200, 201):
        print(f"  import                 {answer.get('error', {}).get('message', answer)}")
        return FAILED
    new = not has_champion()  # of the classifier that is now the default one
    if new and not first:
        print(f"\nTraining the first Champion of {answer['name']}")
    if new or status == 201:
        rows = f"{answer['train']['rows']} training rows, {answer['test']['rows']} test rows"
        print(f"  import                 {answer['name']}: {rows}", flush=True)
        for note in answer.get("notes", []):
            print(f"                         {note}", flush=True)
        return DONE
    return NOTHING_TO_TRAIN


def answer_once() -> int:
    """Prints what /predict says to one sentence, as soon as it says something."""
    text = example()["text"]
    deadline = time.monotonic() + PATIENCE_S
    while True:
        try:
            followed = is_served()
            status, answer = call(f"{os.environ['NGINX_URL']}/predict", {"input": text})
        except OSError as error:
            followed, status, answer = False, 0, str(error)
        if status == 200 and (followed or time.monotonic() > deadline):
            break
        if time.monotonic() > deadline:
            print(f"  /predict answers {status}: {answer}")
            return FAILED
        time.sleep(0.5)
    best, model = answer["predictions"][0], answer["model"]
    print(f'\n"{text}" → {best["label"]} ({best["score"]:.1%}), by {model["name"]} version {model["version"]}')
    return DONE


def example() -> dict[str, str]:
    """A text to ask the default classifier about, and one of its labels."""
    status, dataset = training("/datasets/current")
    sample = status != 200 or dataset["name"] == "sample"
    return {"text": "What a wonderful film" if sample else "A text", "label": "" if sample else dataset["labels"][0]}


def example_for_shells() -> int:
    """Prints the text, and on a second line what database_trigger.py is to insert."""
    found = example()
    print(found["text"])
    print(f"--text {shlex.quote(found['text'])} --label {shlex.quote(found['label'])} " if found["label"] else "")
    return DONE


def served() -> int:
    """Prints the version that is served now."""
    try:
        status, answer = call(f"{os.environ['NGINX_URL']}/predict", {"input": "status"})
    except OSError as error:
        status, answer = 0, str(error)
    print(f"\nServed now: version {answer['model']['version']}" if status == 200 else f"\nNothing is served: {answer}")
    return DONE if status == 200 else FAILED


STEPS = {"prepare": prepare, "answer": answer_once, "served": served, "example": example_for_shells}

if __name__ == "__main__":
    sys.exit(STEPS[sys.argv[1]]())
