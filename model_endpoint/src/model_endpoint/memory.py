"""What a replica served last, on its disk: a restart needs nobody to serve the same version again."""

import hashlib
import json
import tempfile
from pathlib import Path
from typing import Any

from mlops_contract.errors import PlatformError
from mlops_contract.voucher import Voucher


class Memory:
    """The file state/….json of one model in the folder of the store."""

    def __init__(self, folder: Path, model_name: str) -> None:
        self._file = folder / "state" / f"{hashlib.sha256(model_name.encode()).hexdigest()[:16]}.json"

    def voucher(self) -> Voucher | None:
        """Of the version that was served last."""
        try:
            return Voucher.from_dict(self._read().get("voucher"))
        except PlatformError:
            return None

    def switches(self) -> list[dict[str, Any]]:
        """The last switches, newest first."""
        found = self._read().get("switches", [])
        return found if isinstance(found, list) else []

    def epoch(self) -> int:
        """How many switches of the fleet the version that was served last had seen."""
        found = self._read().get("epoch")
        return found if isinstance(found, int) and found > 0 else 1

    def write(self, voucher: Voucher, epoch: int, switches: list[dict[str, Any]]) -> None:
        """Stores all in one step."""
        self._file.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=self._file.parent) as folder:
            new = Path(folder) / "state"
            new.write_text(json.dumps({"voucher": voucher.as_dict(), "epoch": epoch, "switches": switches}, indent=1))
            new.replace(self._file)

    def _read(self) -> dict[str, Any]:
        """Empty at first, and when it is damaged."""
        try:
            found = json.loads(self._file.read_text())
        except (OSError, ValueError):
            return {}
        return found if isinstance(found, dict) else {}
