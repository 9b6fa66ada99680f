"""Folders that no row knows of are set aside; rows whose files are gone or changed are told to the person."""

import re
from collections.abc import Callable, Collection, Sequence
from pathlib import Path
from typing import Any

from sqlalchemy import select

from jobs.checkup.finding import Checkup, named
from studio.base_models import usable
from studio.files import sha256_of
from studio.folders import ID_ALPHABET, DatasetFolder
from studio.model_facts import ModelFacts
from studio.records import (
    LIVE,
    Adapter,
    AdapterJob,
    BaseModel,
    Dataset,
    DatasetVersion,
    JobState,
    ModelState,
    Record,
    Run,
    SuiteRun,
)

KINDS: dict[str, type[Any]] = {
    "runs": Run,
    "datasets": Dataset,
    "adapters": Adapter,
    "base_models": BaseModel,
    "adapter_jobs": AdapterJob,
    "suite_runs": SuiteRun,
}
HALF = re.compile(
    rf"\.[{ID_ALPHABET}]{{12}}(\.[{ID_ALPHABET}]{{12}})?"
)  # as the studio names a folder that it is making or deleting
RESTORE = "Put its folder back from a backup, or delete it on its page."


def check_orphans(checkup: Checkup) -> None:
    """A crash between making a folder and writing its row leaves one that nothing can reach."""
    for place, record in KINDS.items():
        there = checkup.folders_in(checkup.studio.data.path / place)
        known = _ids(checkup, record, place)  # after the look at the disk: a row comes after its folder
        for path in there:
            if HALF.fullmatch(path.name):
                _old_only(checkup, path, checkup.remove, "A folder that was being made or deleted", [path])
            elif path.name not in known:
                _old_only(checkup, path, checkup.set_aside, "A folder that nothing in the database names", path)


def check_versions(checkup: Checkup) -> None:
    with checkup.studio.database.read() as session:
        known = {(of, number) for of, number in session.execute(select(DatasetVersion.dataset, DatasetVersion.number))}
    for dataset in _ids(checkup, Dataset, "datasets"):
        for path in checkup.folders_in(checkup.studio.data.dataset(dataset).path / "versions"):
            if not path.name.isdigit() or (dataset, int(path.name)) not in known:
                _old_only(
                    checkup, path, checkup.set_aside, "A version of data that nothing in the database names", path
                )


def check_attempts(checkup: Checkup) -> None:
    """Attempts beyond the last one that was ever started belong to no history: a database from a backup knows them not."""
    with checkup.studio.database.read() as session:
        found = session.execute(select(Run.id, Run.name, Run.attempt_epoch).where(Run.state.not_in(LIVE))).all()
    for id, name, last in found:
        for attempt in checkup.attempts(checkup.studio.data.run(id)):
            if int(attempt.path.name.rpartition("-")[2]) > last and not checkup.may_be_new(attempt.path):
                checkup.set_aside(
                    f"{checkup.place(attempt.path)} is no attempt that the run {named(name)} made.", attempt.path
                )


def check_files_of_rows(checkup: Checkup) -> None:
    """What the studio says it has must be there, as it was saved."""
    data = checkup.studio.data
    for run in _rows(checkup, Run):
        if not data.run(run.id).plan.is_file():
            _tell(checkup, f"The run {named(run.name)} ({run.id}) has lost its plan.json.")
    for version in _rows(checkup, DatasetVersion):
        folder: DatasetFolder = data.dataset(version.dataset, version.number)
        of = f"Version {version.number} of the data set {version.dataset}"
        _compare(checkup, of, folder.messages, version.sha256)
    for adapter in _rows(checkup, Adapter):
        _compare(
            checkup,
            f"The adapter {named(adapter.name)} ({adapter.id})",
            data.adapter(adapter.id).weights,
            adapter.sha256,
        )
    for model in _rows(checkup, BaseModel):
        if model.state is not ModelState.READY or usable(
            data.base_model(model.id), ModelFacts.model_validate(model.facts)
        ):
            continue
        problem = f"The weights of the base model {named(model.name)} ({model.id}) are gone or were changed."
        if model.source == "builtin":
            checkup.ask(problem, "Start the studio: it makes them again.")
        else:
            checkup.ask(problem, "Put them back as they were, or delete the model on its page and add it again.")


def _compare(checkup: Checkup, what: str, file: Path, sha256: str) -> None:
    if not file.is_file():
        _tell(checkup, f"{what} has lost {file.name}.")
    elif not checkup.quick and sha256_of(file) != sha256:
        _tell(checkup, f"{what} is not what was saved: {file.name} has another sha256.")


def _tell(checkup: Checkup, problem: str) -> None:
    checkup.ask(problem, RESTORE)


def _old_only(
    checkup: Checkup, path: Path, act: Callable[[str, Any], None], words: str, what: Path | Sequence[Path]
) -> None:
    if not checkup.may_be_new(path):
        act(f"{words}: {checkup.place(path)}.", what)


def _ids(checkup: Checkup, record: type[Any], place: str) -> Collection[str]:
    """Ids that may have a folder here: those of rows, and of work that will leave its result under its own id."""
    with checkup.studio.database.read() as session:
        known = set(session.scalars(select(record.id)))
        if place in ("adapters", "base_models"):
            known |= set(session.scalars(select(AdapterJob.id).where(AdapterJob.state == JobState.RUNNING)))
        if place == "adapters":
            known |= set(session.scalars(select(Run.id).where(Run.state.in_(LIVE))))
    return known


def _rows(checkup: Checkup, record: type[Record]) -> list[Any]:
    with checkup.studio.database.read() as session:
        return list(session.scalars(select(record)))
