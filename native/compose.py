"""What the compose files say of a service's environment, so that both ways of running share one configuration."""

import re
from collections.abc import Mapping
from pathlib import Path

import yaml  # type: ignore[import-untyped] # no stubs are locked

from launch import dotenv

_REFERENCE = re.compile(r"\$\{(\w+)(?:(:?[-?+])([^{}$]*))?\}")
_DOLLAR = "\0"  # stands for a literal dollar until all references are replaced


def interpolate(text: str, settings: Mapping[str, str]) -> str:
    """Replaces ${X}, ${X:-default}, ${X:?words} and ${X:+other} as Compose does; a missing `:?` raises LookupError."""

    def value(match: re.Match[str]) -> str:
        name, operator, word = match.group(1), match.group(2) or "-", match.group(3) or ""
        given = settings.get(name)
        missing = given is None or (":" in operator and not given)
        if operator.endswith("+"):
            chosen = "" if missing else word
        elif missing and operator.endswith("?"):
            raise LookupError(f"{name} is not set: {word}")
        else:
            chosen = word if missing else str(given)
        return chosen.replace("$", _DOLLAR)

    text = text.replace("$$", _DOLLAR)
    while _REFERENCE.search(text):
        text = _REFERENCE.sub(value, text)
    return text.replace(_DOLLAR, "$")


def environment(file: Path, service: str, settings: Mapping[str, str]) -> dict[str, str]:
    """The variables that `file` gives to `service`: its env_file entries, then its environment."""
    entry = yaml.safe_load(file.read_text())["services"][service]
    variables: dict[str, str] = {}
    listed = entry.get("env_file", [])
    for name in [listed] if isinstance(listed, str) else listed:
        variables |= dotenv.read(file.parent / name)
    for key, value in entry.get("environment", {}).items():
        variables[key] = settings.get(key, "") if value is None else interpolate(str(value), settings)
    return variables
