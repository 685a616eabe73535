"""What vouches for a model version: its name, where its files lie, and the digest of each."""

import hashlib
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from mlops_contract.errors import PlatformError

DIGEST = re.compile(r"[0-9a-f]{64}")
# Letters of what MLflow and transformers write; above all no way up or out of a folder.
PART = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]*")


class BadVoucher(PlatformError):
    """A voucher is not what the release desk writes."""

    status = 400
    code = "bad_voucher"


@dataclass(frozen=True)
class Voucher:
    """One version that the ledger knows. `files` has the sha256 of each file by its path below the version's folder."""

    name: str
    version: int
    run_id: str
    root: str
    """The version's folder on the tracking server, below `mlflow-artifacts:/`."""
    files: dict[str, str] = field(compare=False)
    metrics: dict[str, float] = field(default_factory=dict, compare=False)
    tags: dict[str, str] = field(default_factory=dict, compare=False)

    @property
    def key(self) -> str:
        """A folder's name: another one for another content, whatever its number."""
        lines = [self.name, self.run_id, *(f"{digest} {path}" for path, digest in sorted(self.files.items()))]
        return f"{self.version}-{hashlib.sha256(chr(10).join(lines).encode()).hexdigest()[:16]}"

    def below(self, *folders: str) -> dict[str, str]:
        """The files of some folders, such as `serving/`."""
        return {path: digest for path, digest in self.files.items() if path.startswith(folders)}

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_dict(cls, values: Any) -> "Voucher":
        """Raises `BadVoucher` for anything that `as_dict` does not give."""
        try:
            voucher = cls(
                name=str(values["name"]),
                version=int(values["version"]),
                run_id=str(values["run_id"]),
                root=str(values["root"]),
                files={str(path): str(digest) for path, digest in values["files"].items()},
                metrics={str(name): float(value) for name, value in values["metrics"].items()},
                tags={str(name): str(value) for name, value in values["tags"].items()},
            )
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise BadVoucher(f"This is no voucher ({type(error).__name__}).") from error
        if not _is_sound(voucher.files) or ".." in voucher.root.split("/"):
            raise BadVoucher("The voucher names a path or a digest that cannot be.")
        return voucher


def _is_sound(files: Mapping[str, str]) -> bool:
    return bool(files) and all(
        DIGEST.fullmatch(digest) and all(PART.fullmatch(part) for part in path.split("/"))
        for path, digest in files.items()
    )
