"""The picture of a comparison, which lies beside the version's verdict in MLflow."""

import re

from training_endpoint.errors import NoPicture
from training_endpoint.release import artifacts, versions
from training_endpoint.settings import Settings

NUMBER = re.compile(r"[0-9]{1,9}")
MOST_BYTES = 8_000_000
PNG = b"\x89PNG\r\n\x1a\n"


def comparison(settings: Settings, version: str) -> bytes:
    """A PNG; raises `NoPicture` where there is none, `MlflowUnavailable` where that cannot be told."""
    number = int(version) if NUMBER.fullmatch(version) else 0
    voucher = versions.find(settings, number)
    found = voucher and artifacts.read(settings, f"{voucher.root}/verdict/comparison.png", MOST_BYTES)
    if not found or not found.startswith(PNG):
        raise NoPicture("There is no picture of the comparison of that version.")
    return found
