"""Which course a run takes: full, from the base model on all rows, or warm, from the Champion on what is new.

It is decided once for a job, from what the ledger vouches for alone, and kept in the job's folder.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from mlops_contract.store import FilesLost
from training_endpoint import database
from training_endpoint.data import lineage
from training_endpoint.data.rows import Rows
from training_endpoint.data.snapshot import Snapshot, beginnings
from training_endpoint.errors import UnknownVersion
from training_endpoint.jobs.context import Job
from training_endpoint.learn import warm
from training_endpoint.learn.classifier import BaseModel, Classifier, find_base
from training_endpoint.learn.classifier import load as load_base
from training_endpoint.learn.hyperparameters import Hyperparameters
from training_endpoint.release import inheritance, ledger, opponent, versions
from training_endpoint.settings import Settings

FULL, WARM = "full", "warm"
SMALL_SHARE = 0.1
"""Of more rows that are new or gone than that, a run from the base model learns better."""
NAMED = 3
COURSE, PLACES = "course.json", "course.npy"


@dataclass(frozen=True)
class Course:
    """`places` are the training rows that it takes, None for all."""

    mode: str
    why: str
    """Goes on from `a full run, because ` or `a warm run, because `."""
    base: str
    """The base model at the beginning of the chain, and which state of it."""
    from_version: int | None = None
    chain: list[int] = field(default_factory=list)
    """The versions that it goes on from, the newest first, back to one that began with the base model."""
    new: int = 0
    gone: int = 0
    replayed: int = 0
    places: npt.NDArray[np.int64] | None = None

    def __str__(self) -> str:
        return sentence(self.told)

    @property
    def told(self) -> dict[str, Any]:
        """What people and later runs are told, ready for JSON."""
        return {name: value for name, value in asdict(replace(self, places=None)).items() if name != "places"}

    def rows(self, all_of_them: Rows) -> Rows:
        """Those that it takes."""
        return all_of_them if self.places is None else all_of_them.pick(self.places)

    def parameters(self, told: Hyperparameters) -> Hyperparameters:
        """How it trains: a warm run has its own number of epochs and learning rate."""
        return replace(told, epochs=told.warm_epochs, learning_rate=told.warm_learning_rate) if self.warm else told

    @property
    def warm(self) -> bool:
        """Whether it goes on from the Champion with what is new."""
        return self.mode == WARM


def sentence(told: Mapping[str, Any]) -> str:
    """`Course.told` for people; empty for a version of before there were courses."""
    return f"a {told['mode']} run, because {told['why']}" if told else ""


def begin(job: Job) -> tuple[Course, BaseModel, Classifier]:
    """The job's course, the one that it had when it is resumed, and what is to be trained."""
    settings, parameters = job.settings, job.parameters
    course = _kept(job.work) or _decide(job)
    if course.warm or parameters.start_from == "champion":
        found = opponent.classifier(settings, parameters.max_length)
        wanted = (course.from_version, job.snapshot.label_names)
        if found is not None and (found[0], found[1].label_names) == wanted:
            _keep(course, job.work)
            return course, BaseModel(f"{settings.model_name} version {found[0]}", Path(), str(found[0])), found[1]
        course = Course(FULL, "the Champion's weights cannot be had any more", course.base)
    base = find_base(parameters.base_model, settings.huggingface_token)
    _keep(course, job.work)
    return course, base, load_base(base, job.snapshot.label_names, parameters.max_length)


class _Full(Exception):
    """Why a run is a full one."""


def _decide(job: Job) -> Course:
    settings, parameters, snapshot = job.settings, job.parameters, job.snapshot
    found = find_base(parameters.base_model, settings.huggingface_token)
    base = f"{found.name} {found.revision}"
    newest = ledger.newest(settings.database_url, settings.model_name)
    version = newest.to_version if newest else None
    if parameters.start_from == "champion":
        return _whole_from_champion(settings, snapshot, version, base)
    try:
        if parameters.training_mode == FULL:
            raise _Full("that was asked for")
        if version is None:
            raise _Full("there is no Champion yet")
        return _warm(job, version, base)
    except _Full as why:
        return Course(FULL, str(why), base)


def _warm(job: Job, version: int, base: str) -> Course:
    """The course from `version`; raises `_Full` where it would not be as good."""
    settings, parameters, snapshot = job.settings, job.parameters, job.snapshot
    try:
        behind = rows_behind(settings, version)
    except (FilesLost, UnknownVersion):
        raise _Full(f"nothing vouches for the rows behind version {version}") from None
    before, labels = lineage.course(behind), lineage.fields(behind)["label_names"]
    if labels != snapshot.label_names:
        raise _Full(_other_labels(labels, snapshot.label_names, version))
    if before.get("base") != base:
        raise _Full(f"version {version} began with another base model")
    since = _since_full(settings, snapshot.name)
    if since >= settings.full_every:
        raise _Full(f"{since} runs went on from a Champion since the last one (FULL_EVERY)")
    hashes = lineage.hashes_of(behind)["train"]
    now = beginnings("train", snapshot.train, snapshot.label_names)
    is_new = ~np.isin(now, hashes)
    new, gone = int(is_new.sum()), int((~np.isin(hashes, now)).sum())
    share = max(new, gone) / len(now)
    if not share:
        raise _Full(f"no row is new or gone since version {version}")
    if share > SMALL_SHARE:
        raise _Full(f"{share:.0%} of the rows are new or gone since version {version}")
    places = warm.places(is_new, parameters.seed)
    if len(places) > warm.COSTLY * min(len(now), parameters.max_rows or len(now)):
        raise _Full("of so few rows it costs little more")
    left = settings.full_every - since - 1
    why = (
        f"little has changed since version {version}, from which it goes on: {new:,} training rows are new, {gone:,} "
        f"are gone or were corrected, {len(places) - new:,} old ones were repeated; what is gone fades with the next "
        f"full run, after {left} more such runs at the latest"
    )
    chain = [version, *before.get("chain", [])]
    return Course(WARM, why, base, version, chain, new, gone, len(places) - new, places)


def rows_behind(settings: Settings, version: int) -> Path:
    """The folder with the lineage of a version, as training vouches for it; raises `FilesLost` or `UnknownVersion`."""
    voucher = inheritance.voucher(settings, version)
    return versions.files(settings, voucher, f"{lineage.FOLDER}/") / lineage.FOLDER


def _whole_from_champion(settings: Settings, snapshot: Snapshot, version: int | None, base: str) -> Course:
    """All rows, but from the Champion's weights, as asked; from the base model where that cannot be."""
    found = opponent.classifier(settings, Hyperparameters.max_length)
    if version is None or found is None:
        return Course(FULL, "there is no Champion yet to start from", base)
    if found[1].label_names != snapshot.label_names:
        return Course(FULL, "the Champion has other labels", base)
    why = f"start_from says so: from version {found[0]} on all rows"
    return Course(FULL, why, f"version {found[0]}", found[0], [found[0]])


def _other_labels(before: Sequence[str], now: Sequence[str], version: int) -> str:
    added = [name for name in now if name not in before]
    names = ", ".join(map(repr, added[:NAMED]))
    return f"version {version} knows no class {names}" if added else f"version {version} has other labels"


def _since_full(settings: Settings, classifier: str) -> int:
    with database.connect(settings.database_url) as connection:
        row = connection.execute(database.query("job_warm_since_full"), {"classifier": classifier}).fetchone()
    return int(row["runs"]) if row else 0


def _keep(course: Course, work: Path) -> None:
    if course.places is not None:
        np.save(work / PLACES, course.places)
    (work / COURSE).write_text(json.dumps(course.told))


def _kept(work: Path) -> Course | None:
    try:
        told = json.loads((work / COURSE).read_text())
        return Course(**told, places=np.load(work / PLACES) if told["mode"] == WARM else None)
    except (OSError, ValueError, TypeError, KeyError):
        return None
