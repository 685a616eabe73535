"""A clone of the product in a folder of its own, for the commands of launch.sh that need no running platform."""

import os
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from tests.services import ROOT

LEFT_OUT = shutil.ignore_patterns(
    ".git", ".platform", ".env", "__pycache__", "tests", "docs", ".*_cache", ".hypothesis", "benchmarks"
)


@dataclass
class Clone:
    """`settings` come as variables of the shell, as in `PROJECT_PREFIX=x_ sh launch.sh`."""

    folder: Path
    settings: dict[str, str]

    @classmethod
    def at(cls, folder: Path, **settings: str) -> "Clone":
        shutil.copytree(ROOT, folder, ignore=LEFT_OUT)
        return cls(folder, settings)

    def run(self, *command: str, **settings: str) -> subprocess.CompletedProcess[str]:
        """Runs `command` in the folder; nobody can be asked."""
        environment = {"PATH": os.environ["PATH"], "HOME": os.environ.get("HOME", "/"), **self.settings, **settings}
        return subprocess.run(
            command,
            cwd=self.folder,
            env=environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
            timeout=300,
        )

    def launch(self, *words: str, **settings: str) -> subprocess.CompletedProcess[str]:
        return self.run("sh", "launch.sh", *words, **settings)

    def files(self) -> set[str]:
        """All that is there, to see that nothing was made."""
        return {str(path.relative_to(self.folder)) for path in self.folder.rglob("*")}
