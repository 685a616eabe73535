"""Files like .env, for the Python side: launch/dotenv.awk reads them, so that there is one reader. Python 3.9."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path

READER = Path(__file__).with_name("dotenv.awk")


def read(file: Path) -> dict[str, str]:
    """What `file` sets, nothing where it is absent; ValueError with the line that Compose would refuse."""
    if not file.exists():
        return {}
    bytewise = {**os.environ, "LC_ALL": "C"}
    done = subprocess.run(["awk", "-f", str(READER), str(file)], env=bytewise, capture_output=True, check=False)
    if done.returncode != 0:
        raise ValueError(done.stderr.decode(errors="replace").strip())
    pairs = (line.split("=", 1) for line in done.stdout.decode().split("\n")[:-1])
    return {name: re.sub(r"\\(.)", lambda match: {"n": "\n"}.get(match[1], match[1]), value) for name, value in pairs}


def settings(root: Path) -> dict[str, str]:
    """The platform's settings without the environment: .env, over the defaults of .env.example.

    Where it sets neither, SLACK_URL and HUGGINGFACE_TOKEN come from training_endpoint/.env.
    """
    found = read(root / ".env.example")
    older = read(root / "training_endpoint/.env")
    found.update({name: older[name] for name in ("SLACK_URL", "HUGGINGFACE_TOKEN") if name in older})
    found.update({name: value for name, value in read(root / ".env").items() if value})
    return found
