"""What of a trained classifier is going to be served."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Served:
    """What was exported, and what it answers."""

    folder: Path
    precision: str
    """The form that this machine serves."""
    difference: float
    """Largest difference of a golden text's probability between fp32's file and PyTorch; at most `allowed` is right."""
    allowed: float
    latency_ms: float
    """95th percentile of one golden text a call, one thread."""
    evidence: dict[str, Any]
    """Why this form: what was measured of each that was tried (JSON-able)."""
    reason: str
    """The same for people, in half a sentence."""
