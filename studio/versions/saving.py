"""Save edits as a new version of a data set: all of them, on the version they were made on, or nothing."""

import errno
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from studio import dataset_uploads
from studio.dataset_report import Applied, Report
from studio.errors import Conflict, Invalid, Unavailable
from studio.files import write_json
from studio.folders import DatasetFolder, new_id
from studio.plan import clean_name
from studio.records import LOCAL_PERSON, Dataset, DatasetVersion
from studio.row_checks.kinds import CHECKS
from studio.studio import Studio
from studio.versions.difference import difference, numbered_lines
from studio.versions.edits import Changes, Edit, gathered
from studio.versions.lineage import (
    check_newest,
    folder_of,
    get_version,
    highest_number,
    keep_version,
    link_or_copy,
    report_on,
)
from studio.versions.rewriting import Rewriting, rewrite

SMALL = 4 << 20  # bytes of rows that are written here; more is written by a process with limits
WHY_LENGTH = 300


def save_version(
    studio: Studio,
    id: str,
    parent: int,
    edits: Sequence[Edit],
    why: str = "",
    owner: str = LOCAL_PERSON,
    edits_up_to: int = 0,
) -> DatasetVersion:
    """Version parent + 1, with these edits of version `parent`.

    Raises Conflict when another one has been saved meanwhile or nothing would change, Invalid that names an edit which
    cannot be made, BadInput when no row would be left, Unavailable when the disk is full.
    """
    dataset, old = newest(studio, id, parent)
    changes = gathered(edits, dataset.kind, old.rows)
    if len(changes.rows) == old.rows and not changes.new and all(change.drop for change in changes.rows.values()):
        raise Invalid("No row would be left.", "Keep at least one, or delete the data set.", "edits")
    last = old.last_number and highest_number(studio, id)
    last = last or max(number for number, _, _ in numbered_lines(folder_of(studio, old)))
    with room_for_rows(studio, old.number + 1) as folder:
        report = _written(studio, dataset, old, changes, last, folder)
        if report.sha256 == old.sha256:
            raise Conflict("These edits change nothing.", "Change a row before you save.")
        version = _record(old, report, owner)
        by_hand = sum(change.drop for change in changes.rows.values())
        version.removed = by_hand + sum(fix.dropped for fix in report.fixes)
        version.added = len(changes.new) + sum(fix.added for fix in report.fixes)
        version.changed = len(changes.rows) - by_hand + sum(fix.mended for fix in report.fixes)
        counted = in_words(len(changes.new), len(changes.rows) - by_hand, by_hand)
        version.why = (clean_name(why) or "; ".join([*told(report.fixes), *filter(None, [counted])]) + ".")[:WHY_LENGTH]
        version.last_number = last + version.added
        return keep_version(studio, folder, version, edits_up_to)


def restore_version(studio: Studio, id: str, number: int, parent: int, owner: str = LOCAL_PERSON) -> DatasetVersion:
    """The rows of an older version as a new one on top of version `parent`, the newest. What is between stays."""
    _, newest_one = newest(studio, id, parent)
    old = get_version(studio, id, number)
    if old.sha256 == newest_one.sha256:
        raise Conflict(
            f"Version {parent} has exactly the rows of version {number}.", "There is nothing to restore; go on with it."
        )
    with room_for_rows(studio, parent + 1) as folder:
        link_or_copy(folder_of(studio, old), folder)
        version = _record(newest_one, report_on(studio, old), owner)
        version.why = f"Version {number} restored."
        version.last_number = highest_number(studio, id)
        for name, count in difference(studio, id, parent, number).counts.items():
            setattr(version, name, count)
        return keep_version(studio, folder, version)


def newest(studio: Studio, id: str, parent: int) -> tuple[Dataset, DatasetVersion]:
    """The data set and its version `parent`. Raises Conflict unless that is the newest."""
    old = get_version(studio, id)
    with studio.database.read() as session:
        dataset = session.get(Dataset, id)
    check_newest(dataset, parent)
    return dataset, old


def _record(old: DatasetVersion, report: Report, owner: str) -> DatasetVersion:
    return DatasetVersion(
        dataset=old.dataset, number=old.number + 1, parent=old.number, owner=owner, rows=report.rows_ready,
        heldout_rows=report.heldout_rows, size_bytes=report.size_bytes, sha256=report.sha256,
    )  # fmt: skip


def in_words(added: int, changed: int, removed: int) -> str:
    """ "2 rows changed, 1 row dropped" """
    counts = ((added, "added"), (changed, "changed"), (removed, "dropped"))
    return ", ".join(f"{count:,} {'row' if count == 1 else 'rows'} {what}" for count, what in counts if count)


def told(fixes: Sequence[Applied]) -> list[str]:
    """ "3 rows with e-mail addresses replaced", "12 rows dropped as duplicates" """
    said = []
    for fix in fixes:
        done = CHECKS[fix.check].done if fix.check in CHECKS else "brought back with their messages in order"
        count = fix.mended or fix.dropped or fix.added
        said.append(f"{count:,} {'row' if count == 1 else 'rows'} {done}")
        if fix.mended and fix.dropped:
            said.append(f"{fix.dropped:,} dropped because nothing was left of them")
    return said


def counted_in_words(edits: Sequence[Edit]) -> str:
    changed = {edit.row for edit in edits if edit.op == "change"} - {edit.row for edit in edits if edit.op == "drop"}
    return in_words(sum(edit.op == "add" for edit in edits), len(changed), sum(edit.op == "drop" for edit in edits))


def _written(
    studio: Studio, dataset: Dataset, old: DatasetVersion, changes: Changes, last: int, folder: DatasetFolder
) -> Report:
    settings = studio.settings
    wanted = Rewriting(
        parent=folder_of(studio, old).path.resolve(), report=report_on(studio, old), changes=changes, last_number=last,
        text_limit=settings.max_upload_mb << 20, memory_mb=settings.parse_memory_mb, cpu_seconds=settings.parse_seconds,
    )  # fmt: skip
    if old.size_bytes <= SMALL:
        report = rewrite(wanted, folder)
        write_json(folder.report, report.model_dump(mode="json"))
        return report
    return dataset_uploads.made_apart(studio, folder, "jobs.workers.rewrite_data", wanted)


@contextmanager
def room_for_rows(studio: Studio, number: int) -> Iterator[DatasetFolder]:
    """A folder among the incoming ones, gone afterwards unless it was moved to its place. Raises Unavailable when the disk is full."""
    folder = DatasetFolder(studio.data.incoming / new_id())
    try:
        folder.path.mkdir(parents=True, mode=0o700)
        yield folder
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT):
            raise
        raise Unavailable(
            f"The disk is full, so version {number} cannot be written.",
            "Free some space and save again; nothing is lost meanwhile.",
        ) from error
    finally:
        shutil.rmtree(folder.path, ignore_errors=True)
