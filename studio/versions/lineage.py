"""The versions of a data set: which there are, how each came about, and how a new one is kept."""

import contextlib
import os
import shutil

from sqlalchemy import func, select

from studio import storage
from studio.dataset_report import Report
from studio.errors import Conflict, NotFound
from studio.files import read_json
from studio.folders import DatasetFolder
from studio.listing import LIMIT, Listing, listing
from studio.records import Dataset, DatasetEdit, DatasetVersion, Person
from studio.studio import Studio


def list_versions(studio: Studio, id: str, limit: int = LIMIT, cursor: str | None = None) -> Listing[DatasetVersion]:
    """Newest first."""
    query = select(DatasetVersion).where(DatasetVersion.dataset == id).order_by(DatasetVersion.number.desc())
    with studio.database.read() as session:
        if session.get(Dataset, id) is None:
            raise NotFound("data set", id)
        return listing(session, query, limit, cursor)


def get_version(studio: Studio, id: str, number: int | None = None) -> DatasetVersion:
    """The version of this number, or the newest. Raises NotFound."""
    with studio.database.read() as session:
        dataset = session.get(Dataset, id)
        if dataset is None:
            raise NotFound("data set", id)
        found = session.get(DatasetVersion, (id, number or dataset.version))
    if found is None:
        raise NotFound("version of this data set", str(number or dataset.version))
    return found


def folder_of(studio: Studio, version: DatasetVersion) -> DatasetFolder:
    return studio.data.dataset(version.dataset, version.number)


def report_on(studio: Studio, version: DatasetVersion) -> Report:
    """What was found when the version's rows were read."""
    return Report.model_validate(read_json(folder_of(studio, version).report))


def highest_number(studio: Studio, id: str) -> int:
    """The highest number that any row of any version has had; 0 where only the first one's file says it."""
    with studio.database.read() as session:
        query = select(func.max(DatasetVersion.last_number)).where(DatasetVersion.dataset == id)
        return session.scalar(query) or 0


def check_newest(dataset: Dataset, parent: int, by: str | None = None) -> None:
    """Raises Conflict unless `parent` is the newest version: what has been saved meanwhile is never lost unseen."""
    if parent != dataset.version:
        who = f" by {by}" if by else ""
        raise Conflict(
            f"Version {dataset.version} of '{dataset.name}' has been saved{who} meanwhile, and these edits are of version {parent}.",
            f"Look at version {dataset.version}, and make them on that one.",
            "parent",
        )


def keep_version(
    studio: Studio, folder: DatasetFolder, version: DatasetVersion, edits_up_to: int = 0
) -> DatasetVersion:
    """Move the rows to their place and make this the newest version, if its parent is the newest still; or change nothing.

    Raises Conflict where it is not. The owner's drafted edits up to the one numbered `edits_up_to` are in it, and go.
    A folder that a crash left at this place belongs to no version, and is written over.
    """
    place = folder_of(studio, version).path
    moved = False
    try:
        with studio.database.write() as session:
            dataset = session.get(Dataset, version.dataset, with_for_update=True)
            if dataset is None:
                raise NotFound("data set", version.dataset)
            newest = session.get(DatasetVersion, (dataset.id, dataset.version))
            by = session.get(Person, newest.owner) if newest and newest.owner != version.owner else None
            check_newest(dataset, version.number - 1, by and by.name)
            shutil.rmtree(place, ignore_errors=True)
            place.parent.mkdir(mode=0o700, exist_ok=True)
            os.rename(folder.path, place)
            moved = True
            storage.sync(place.parent)
            session.add(version)
            for name in ("rows", "heldout_rows", "size_bytes", "sha256"):
                setattr(dataset, name, getattr(version, name))
            dataset.version = version.number
            _drop_edits(session, version, edits_up_to)
    except BaseException:
        if moved:
            shutil.rmtree(place, ignore_errors=True)
        raise
    return version


def _drop_edits(session, version: DatasetVersion, up_to: int) -> None:
    drafted = select(DatasetEdit).where(
        DatasetEdit.dataset == version.dataset, DatasetEdit.owner == version.owner, DatasetEdit.id <= up_to
    )
    for edit in session.scalars(drafted):
        session.delete(edit)


def shown(version: DatasetVersion) -> dict:
    """The API's view."""
    return {
        "dataset": version.dataset, "version": version.number, "parent": version.parent, "owner": version.owner, "why": version.why,
        "rows": version.rows, "heldout_rows": version.heldout_rows, "added": version.added, "removed": version.removed, "changed": version.changed,
        "size_bytes": version.size_bytes, "sha256": version.sha256, "created_at": version.created_at.isoformat(),
    }  # fmt: skip


def link_or_copy(source: DatasetFolder, folder: DatasetFolder) -> None:
    """The same rows in another folder, without taking their room twice where the disk can do that."""
    for name in ("messages", "index", "report"):
        path = getattr(source, name)
        with contextlib.suppress(OSError):
            os.link(path, getattr(folder, name))
            continue
        shutil.copy2(path, getattr(folder, name))
