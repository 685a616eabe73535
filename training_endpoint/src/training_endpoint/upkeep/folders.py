"""This service's own folders: of jobs that are over, of what was interrupted, of the Hugging Face hub's cache."""

import os
import shutil
import time
from collections.abc import Iterator
from contextlib import suppress
from functools import partial
from pathlib import Path

from mlops_contract.words import JobStatus
from training_endpoint.errors import JobNotFound
from training_endpoint.jobs.queue import Jobs
from training_endpoint.settings import Settings
from training_endpoint.upkeep.removal import Removal

LEFTOVER_HOURS = 24
"""After which a temporary folder belongs to nobody any more."""


def removals(settings: Settings) -> Iterator[Removal]:
    """By place."""
    yield from _of_jobs(settings)
    yield from _leftovers(settings)
    yield from _hub_cache(settings)


def _of_jobs(settings: Settings) -> Iterator[Removal]:
    jobs = Jobs(settings.database_url)
    for folder in sorted((settings.state_dir / "jobs").glob("*")):
        with suppress(JobNotFound):
            if not JobStatus(jobs.get(folder.name)["status"]).final:
                continue
        yield Removal(f"folder of job {folder.name}", "the job is over", partial(_delete, folder))


def _leftovers(settings: Settings) -> Iterator[Removal]:
    before = time.time() - LEFTOVER_HOURS * 3600
    for entry in [*(settings.state_dir / "tmp").glob("*"), *settings.state_dir.glob("tmp?*")]:
        if _last_used(entry) < before:
            yield Removal(f"temporary {entry.name}", "left behind by a process that was ended", partial(_delete, entry))


def _hub_cache(settings: Settings) -> Iterator[Removal]:
    """Whole repositories and prepared datasets, but for those that the settings name: they may be wanted offline."""
    wanted = {name.partition(":")[0].lower() for name in (settings.base_model, settings.dataset)}
    before = time.time() - settings.keep_cache_days * 86_400
    because = f"not used for {settings.keep_cache_days:g} days"
    for folder in [*settings.hub_cache.glob("hub/*--*"), *settings.hub_cache.glob("datasets/*")]:
        name = folder.name.removeprefix("models--").removeprefix("datasets--").replace("--", "/")
        name = name.replace("___", "/").lower()
        if folder.is_dir() and name not in wanted and _last_used(folder) < before:
            yield Removal(f"{name} from the hub's cache", because, partial(_delete, folder))


def _last_used(path: Path) -> float:
    """The latest moment at which anything in `path` was read or written; that of now where it has just gone."""
    latest = 0.0
    try:
        for file in [path, *path.rglob("*")]:
            found = file.lstat()
            # Listing a folder, as this does, is no use of it.
            latest = max(latest, found.st_mtime, 0.0 if file.is_dir() else found.st_atime)
    except OSError:
        return time.time()
    return latest


def _delete(path: Path) -> bool:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)
    return not os.path.lexists(path)
