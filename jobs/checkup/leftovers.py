"""What nothing needs any more: uploads on their way in, halves of files, downloads that were taken in, inputs of jobs that ended."""

import re
from collections.abc import Iterator
from pathlib import Path

from sqlalchemy import select

from jobs.checkup.finding import Checkup, named
from studio import adapter_jobs
from studio.folders import KEPT_CHECKPOINT
from studio.records import AdapterJob, BaseModel, JobState, ModelState

ENDED = (JobState.DONE, JobState.FAILED, JobState.CANCELLED)
HALF_FILE = re.compile(
    r"\..+\.(?:[0-9a-f]{8}|once\.[0-9]+)"
)  # as studio.files.write_json and processes.write_once name theirs
OURS = ("runs", "datasets", "adapters", "adapter_jobs", "suite_runs", "xrays", "chat", "base_models")
PERSONS = ("files", "model")  # folders below which names are those of whoever made the model


def check_uploads(checkup: Checkup) -> None:
    """The web app empties the folder when it starts; what it is taking in now is new."""
    incoming = checkup.studio.data.incoming
    there = sorted(incoming.iterdir()) if checkup.is_ours(incoming / "any") and incoming.is_dir() else []
    old = [path for path in there if not checkup.may_be_new(path)]
    if old:
        checkup.remove(f"Uploads left on their way in: {len(old)}.", old)


def check_halves(checkup: Checkup) -> None:
    """Files that were being written when the power failed."""
    halves = [
        path
        for place in OURS
        for path in _files(checkup, checkup.studio.data.path / place)
        if HALF_FILE.fullmatch(path.name) and not checkup.may_be_new(path)
    ]
    if halves:
        checkup.remove(
            f"Files never written to their end: {len(halves)}, among them {checkup.place(halves[0])}.", halves
        )


def check_downloads(checkup: Checkup) -> None:
    """A model that is ready needs what came from the Hub only where its weights are links into it."""
    with checkup.studio.database.read() as session:
        ready = session.scalars(select(BaseModel).where(BaseModel.state == ModelState.READY)).all()
    for model in ready:
        folder = checkup.studio.data.base_model(model.id)
        if (
            not checkup.is_ours(folder.files / "any")
            or not folder.files.is_dir()
            or not folder.model.is_dir()
            or checkup.may_be_new(folder.files)
        ):
            continue
        if not any(path.is_symlink() for path in folder.model.iterdir()):
            checkup.remove(f"The base model {named(model.name)} is ready and still keeps its download.", [folder.files])


def check_ended_jobs(checkup: Checkup) -> None:
    with checkup.studio.database.read() as session:
        ended = session.scalars(select(AdapterJob).where(AdapterJob.state.in_(ENDED))).all()
    for job in ended:
        folder = checkup.studio.data.adapter_job(job.id)
        inputs = (folder.path / "parents", folder.adapter, folder.files, folder.token)
        kept = [path for path in inputs if checkup.is_ours(path) and path.exists() and not path.is_symlink()]
        if kept and not checkup.may_be_new(folder.path):
            checkup.mend(
                f"The job {named(job.name)} ({job.id}) has ended and still keeps what went into it.",
                "removed",
                lambda id=job.id: adapter_jobs.clear(checkup.studio, id),
                kept,
            )


def check_kept_checkpoints(checkup: Checkup) -> None:
    """Copies of checkpoints that Compare was linking when it was cut off."""
    place = checkup.studio.data.chat.checkpoints
    odd = [
        path
        for path in checkup.folders_in(place)
        if not KEPT_CHECKPOINT.fullmatch(path.name) and not checkup.may_be_new(path)
    ]
    if odd:
        checkup.remove(f"Copies of checkpoints for Compare that were never finished: {len(odd)}.", odd)


def _files(checkup: Checkup, folder: Path) -> Iterator[Path]:
    """Files below a folder of ours, without links and without those that a model's maker has named."""
    try:
        entries = sorted(folder.iterdir()) if checkup.is_ours(folder / "any") else []
    except OSError:
        return
    for path in entries:
        if path.is_symlink():
            continue
        if path.is_dir():
            if path.name not in PERSONS:
                yield from _files(checkup, path)
        elif path.is_file():
            yield path
