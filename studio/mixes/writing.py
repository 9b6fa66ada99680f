"""The rows of a mix: those of its parts one after another, checked and counted like those of an upload."""

from studio.containers.container import SourceRow
from studio.dataset_reading import Reading
from studio.dataset_report import Report
from studio.folders import DatasetFolder
from studio.formats import FORMATS, Kind
from studio.formats.checks import checked
from studio.heldout import content_hash
from studio.mixes.recipe import Mixing, copies
from studio.rows import RowWriter, iter_training_rows
from studio.versions.rewriting import found_of

WRITTEN_AS: dict[Kind, str] = {"conversations": "messages", "text": "text", "preference": "preference"}


def write_mix(wanted: Mixing, folder: DatasetFolder) -> Report:
    """Write messages.jsonl in `folder`; the report on it. Raises BadInput when no row is left, or they are too many.

    A row that a part holds out stays held out and comes once at most: a copy of it must not be trained on.
    """
    format = FORMATS[WRITTEN_AS[wanted.kind]]
    report = Report(file_name="mix", container="jsonl", format=format.name, format_title=format.title, kind=wanted.kind)
    report.reason = (
        "Mixed from "
        + ", ".join(f"{part.name} (version {part.version}) × {part.weight:g}" for part in wanted.parts)
        + "."
    )
    reading, number = Reading(report, RowWriter(folder, wanted.text_limit), folder), 0
    for part in wanted.parts:
        for row in iter_training_rows(DatasetFolder(part.folder)):
            times = copies(content_hash(row), part.weight)
            for _ in range(min(1, times) if row["heldout"] else times):
                number += 1
                reading.counts.rows_total += 1
                found = checked(found_of(row))
                reading.keep(SourceRow(number, None, None), found, found.warnings, row["heldout"])
    reading.finish()
    return report
