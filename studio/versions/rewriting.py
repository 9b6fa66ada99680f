"""The next version's rows: those of a version, read one by one with the changes made to some of them, and checked again."""

from collections.abc import Iterator
from pathlib import Path

from pydantic import BaseModel

from studio.containers.container import SourceRow
from studio.dataset_reading import Reading
from studio.dataset_report import Report
from studio.folders import DatasetFolder
from studio.formats import Conversation, Document, Found, Pair
from studio.formats.checks import checked
from studio.learning import Row
from studio.rows import RowWriter, iter_training_rows
from studio.versions.edits import Change, Changes
from studio.versions.fixing import Fixing


class Rewriting(BaseModel):
    """What to write; crosses to the process that writes large versions as request.json."""

    parent: Path  # folder of the version that is changed
    report: Report  # its report
    changes: Changes
    last_number: int  # the highest that a row of the data set has had
    text_limit: int = 2 << 30
    memory_mb: int | None = None
    cpu_seconds: int | None = None


def rewrite(wanted: Rewriting, folder: DatasetFolder) -> Report:
    """Write messages.jsonl in `folder`, row by row; the report on it. Raises BadInput when no row is left or they are too many.

    A row keeps the number it has had from its first version on; a new one gets one that no row has had before. So numbers
    rise from row to row, and two versions are compared by reading both once.
    """
    old = wanted.report
    report = Report(
        **{name: getattr(old, name) for name in ("file_name", "format", "format_title", "kind", "container", "encoding")},
        columns=old.columns, mapping=old.mapping, upload_sha256=old.upload_sha256, upload_bytes=old.upload_bytes,
    )  # fmt: skip
    parent = DatasetFolder(wanted.parent)
    reading, fixing = (
        Reading(report, RowWriter(folder, wanted.text_limit), folder),
        Fixing(parent, wanted.changes.fixes),
    )
    for number, place, row in numbered(parent):
        change = wanted.changes.rows.get(place, Change())
        if not change.drop:
            heldout = row["heldout"] if change.heldout is None else change.heldout
            found = fixing.fixed(place, found_of(change.fields or row), by_hand=change.fields is not None)
            _write(reading, number, row["line"], found, heldout)
    new = [(None, found_of(change.fields or {}), bool(change.heldout)) for change in wanted.changes.new]
    new += [(left.line, found, False) for left, found in fixing.brought_back(reading.left_out, old)]
    for number, (line, found, heldout) in enumerate(new, wanted.last_number + 1):
        _write(reading, number, line, found, heldout)
    report.fixes = fixing.applied
    reading.finish()
    return report


def _write(reading: Reading, number: int, line: int | None, row: Found | None, heldout: bool) -> None:
    if row is None:
        return  # a fix has dropped it, and counted it
    found = checked(row)
    reading.counts.rows_total += 1
    reading.keep(SourceRow(number, line, None), found, found.warnings, heldout)


def found_of(row: Row) -> Found:
    """A row of messages.jsonl as it was when it was read from a file."""
    if "text" in row:
        return Document(row["text"])
    if "chosen" in row:
        return Pair(row["messages"], row["chosen"], row["rejected"])
    return Conversation(row["messages"])


def numbered(folder: DatasetFolder) -> Iterator[tuple[int, int, Row]]:
    """(number, place from 0, row). Where a first version was read from two files, each counted from 1, the second's follow on."""
    last = 0
    for place, row in enumerate(iter_training_rows(folder)):
        last = max(row["row"], last + 1)
        yield last, place, row
