"""Read one data file: find its format, check every row, write the usable ones, and report what was found."""

import hashlib
from array import array
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import chain, islice
from pathlib import Path

from pydantic import BaseModel

from studio.containers import SourceRow, open_container
from studio.containers.escaped_cells import ESCAPED
from studio.dataset_report import SHOWN_FINDINGS, Finding, Report
from studio.errors import BadInput, Invalid, clip
from studio.folders import DatasetFolder
from studio.formats import FORMATS, Conversation, Format, Found, Pair, RowFault
from studio.formats.checks import checked
from studio.formats.columns import check_mapping, kind_of
from studio.formats.conversation import PICTURES
from studio.formats.unusable import reason_against
from studio.reading_progress import Tell, telling
from studio.row_checks.left_out import LeftOutWriter
from studio.row_checks.looking import Looking
from studio.rows import RowWriter

SAMPLE = 64  # rows that tell the format
COLUMNS = 200  # names kept of a file whose rows have ever new ones
COLUMN_NAME = 200  # characters; a longer one is no name
EXAMPLES = 3
EXAMPLE_CHARACTERS = 2000
ENOUGH_LETTERS = 10_000  # of a single text, to learn something from
HELD_OUT = "heldout"
HELD_OUT_PARTS = {"test", "validation", "valid", "val", "dev", "eval", "evaluation", "heldout", "held-out", "true"}
"""What a column that parts the rows says of those that are measured on."""
OPTIONAL_PARTS = {"context", "system", "history", "tools"}
SHOWN = frozenset({*PICTURES, "tools"})
KNOWN_COLUMNS = frozenset().union(*(format.uses for format in FORMATS.values()))


class ReadingRequest(BaseModel):
    """What to read, and how; crosses to the process that reads uploads as request.json."""

    file: Path
    file_name: str  # as the person knows it
    format: str | None = None  # None: find out
    mapping: dict[str, str] | None = None
    heldout_file: Path | None = None  # a second file whose rows are held out
    heldout_column: str = "split"  # whose values say which rows are held out
    text_limit: int = 2 << 30  # bytes of text in one data set
    memory_mb: int | None = None
    cpu_seconds: int | None = None
    write: bool = True


def read_file(request: ReadingRequest, folder: DatasetFolder | None, tell: Tell | None = None) -> Report:
    """The report on a file; with a folder, its usable rows are in messages.jsonl there. `tell` hears how far it is.

    Raises BadInput for a file in which no rows can be told apart, Invalid for a format or mapping that does not exist.
    """
    if request.format is not None and request.format not in FORMATS:
        raise Invalid(
            f"There is no format '{clip(request.format)}'.", f"Choose one of: {', '.join(FORMATS)}.", "format"
        )
    as_text = request.format == "text"
    container = open_container(request.file, KNOWN_COLUMNS, request.text_limit, as_text)
    rows, sample = _look_ahead(telling(container, request.file.stat().st_size, tell) if tell else container.rows)
    values = [row.value for row in sample if row.value is not None]
    report = Report(
        file_name=request.file_name,
        container=container.kind,
        encoding=container.encoding,
        delimiter=container.delimiter,
        packed=container.packed,
    )
    report.columns = (
        list(container.columns) or list(dict.fromkeys(name for value in values for name in value))[:COLUMNS]
    )
    report.upload_bytes = request.file.stat().st_size
    report.upload_sha256 = _sha256(request.file, request.heldout_file)
    reading = Reading(report, RowWriter(folder, request.text_limit), folder, request.heldout_column)
    for warning in container.warnings:
        reading.note(None, warning, "warning")
    format = _choose_format(report, request, values)
    reading.take(unfolded(rows, format), format)
    if format and request.heldout_file:
        heldout = open_container(request.heldout_file, KNOWN_COLUMNS, request.text_limit, as_text)
        reading.take(unfolded(heldout.rows, format), format, heldout=True)
    reading.finish()
    report.reason = reason_for(report, request, format, reading.fitting)
    if report.heldout_rows and request.heldout_column in report.columns:
        report.reason += f" {report.heldout_rows:,} held out by the column '{clip(request.heldout_column, 40)}'."
    return report


def unfolded(rows: Iterator[SourceRow], format: Format | None) -> Iterator[SourceRow]:
    """One row for each conversation: some formats keep several in one, at the same line then, and counted on from row to row."""
    if format is None or format.several is None:
        yield from rows
        return
    several, number = format.several, 0
    for row in rows:
        for value in (None,) if row.value is None else several(row.value):
            number += 1
            yield row if number == row.number and value is row.value else SourceRow(number, row.line, value, row.fault)


def reason_for(report: Report, request: ReadingRequest, format: Format | None, fitting: int) -> str:
    """Why the file is read as it is, with the rows that speak for it."""
    if format is None:
        return ""
    asked = "Read as you chose" if request.format or request.mapping else "Seen as"
    rows, have = "row" if report.rows_total == 1 else "rows", "has" if fitting == 1 else "have"
    of = f"{fitting:,} of {report.rows_total:,} {rows} {have}"
    named = [clip(name, 40) for part, name in report.mapping.items() if part not in OPTIONAL_PARTS]
    what = (
        format.sign or f"{', '.join(named[:-1])}{' and ' if named[1:] else ''}{named[-1] if named else 'its columns'}"
    )
    return f"{asked}{'' if request.mapping else f' {format.title}'}: {of} {what}."


def _look_ahead(rows: Iterator[SourceRow]) -> tuple[Iterator[SourceRow], list[SourceRow]]:
    sample = list(islice(rows, SAMPLE))
    return chain(sample, rows), sample


def _choose_format(report: Report, request: ReadingRequest, values: list[dict]) -> Format | None:
    """The format that was asked for or that most rows have; None when a mapping is needed first."""
    if request.mapping:
        if request.format not in (None, "columns"):
            raise Invalid(
                "A mapping of columns goes with the format 'columns' only.", "Leave one of them out.", "mapping"
            )
        format = FORMATS["columns"]
        check_mapping(request.mapping, report.columns)
        report.mapping = request.mapping
    else:
        shape = reason_against(values)
        if shape and request.format is None:
            raise BadInput(shape.problem, shape.fix)
        format = FORMATS[request.format] if request.format else recognise(values)
        report.mapping = (format or FORMATS["columns"]).mapping(report.columns)
    if format is None or (format.name == "columns" and not request.mapping):
        report.needs_mapping = bool(values)
        return None
    report.format, report.format_title = format.name, format.title
    report.kind = kind_of(report.mapping) if request.mapping else format.kind
    used = {report.mapping[part] for part in report.mapping} if request.mapping else format.uses
    report.unused_columns = [
        name for name in report.columns if name not in (*used, HELD_OUT, ESCAPED, request.heldout_column)
    ]
    return format


def recognise(values: list[dict]) -> Format | None:
    """The format that most of these rows have; of equals the most particular. None when no row has any."""
    counted = [(sum(map(format.fits, values)), format.standing, name) for name, format in FORMATS.items()]
    fitting, _, name = max(counted)
    return FORMATS[name] if fitting else None


@dataclass
class _Counts:
    """Counted for each row, so not in the report itself, which checks every assignment."""

    rows_total: int = 0
    rows_ready: int = 0
    rows_bad: int = 0
    rows_warned: int = 0
    heldout_rows: int = 0
    turns: int = 0
    marked_rows: int = 0
    multi_turn_rows: int = 0
    system_rows: int = 0
    characters: int = 0


class Reading:
    """The report while it is being made."""

    def __init__(
        self,
        report: Report,
        writer: RowWriter,
        folder: DatasetFolder | None = None,
        heldout_column: str = HELD_OUT,
    ):
        self.report, self.writer, self.heldout_column = report, writer, heldout_column
        self.looking, self.left_out = Looking(folder), LeftOutWriter(folder)
        self.counts = _Counts()
        self.fitting = 0  # rows in which the format has what it is told by
        self._numbers, self._lines = array("q"), array("q")  # of each usable row, to name it when all have been read
        self._warned = bytearray()
        self._columns: set[str] = set()  # seen so far
        self._bad: list[Finding] = []
        self._warnings: list[Finding] = []

    def take(self, rows: Iterator[SourceRow], format: Format | None, heldout: bool = False) -> None:
        """Check each row and write the usable ones. Without a format rows are only counted."""
        counts, mapping = self.counts, self.report.mapping
        for row in rows:
            counts.rows_total += 1
            try:
                if row.fault:
                    raise row.fault
                if format:
                    self.fitting += format.fits(row.value) or has_columns(row.value, mapping, format)
                    held = heldout or is_held_out(row.value, self.heldout_column)
                    self._use(row, checked(format.read(row.value, mapping)), format, held)
            except RowFault as fault:
                self.counts.rows_bad += 1
                self.left_out.add(row.number, row.line, row.value, fault)
                self.note(row, fault, "bad")

    def _use(self, row: SourceRow, found: Found, format: Format, heldout: bool) -> None:
        warnings = found.warnings
        if not (row.value.keys() <= self._columns and SHOWN.isdisjoint(row.value)):  # hardly ever
            warnings = [*warnings, *self._new_columns(row, format), *_beside(row.value, self.report.mapping)]
        self.keep(row, found, warnings, heldout)

    def keep(self, row: SourceRow, found: Found, warnings: Sequence[RowFault], heldout: bool) -> None:
        """Write a row that can be used, and count what is known about it."""
        letters = found.letters
        self.writer.write(row.number, row.line, found.fields, letters, heldout)
        for warning in warnings:
            self.note(row, warning, "warning")
        seen = self.looking.at(found, heldout)
        self._numbers.append(row.number)
        self._lines.append(row.line or 0)
        self._warned.append(seen or bool(warnings))
        self._count(found, letters, heldout)
        if self.counts.rows_ready <= EXAMPLES:
            example = {"row": row.number, "line": row.line, **shortened(found.fields), "heldout": heldout}
            self.report.examples.append(example)

    def _count(self, found: Found, letters: int, heldout: bool) -> None:
        counts = self.counts
        turns, marked = 0, False
        spoken = found.spoken
        for message in spoken:
            if message["role"] == "assistant":
                turns += 1
            if "learn" in message:
                marked = True
        counts.rows_ready += 1
        counts.heldout_rows += heldout
        counts.turns += 1 if type(found) is Pair else turns
        counts.marked_rows += marked
        counts.multi_turn_rows += turns > 1 and type(found) is Conversation
        counts.system_rows += bool(spoken) and spoken[0]["role"] == "system"
        counts.characters += letters

    def _new_columns(self, row: SourceRow, format: Format) -> Iterator[RowFault]:
        if not self._columns:
            self._columns.update(row.value)
        for name in row.value.keys() - self._columns:
            if len(self._columns) < COLUMNS:
                self._columns.add(name)
                if name not in (*format.uses, HELD_OUT, self.heldout_column, *self.report.mapping.values()):
                    _add_new(self.report.unused_columns, name)
                    yield RowFault(
                        "column",
                        f"The column '{clip(name, 40)}' is first seen here; it is not used.",
                        "Nothing, unless it holds what should be learned.",
                        clip(name, 100),
                    )
                _add_new(self.report.columns, name)

    def _copies(self) -> None:
        """Tell the rows that stand there twice, now that all have been read."""
        for kind, place, other in self.looking.copies():
            named, first = place, self._numbers[other]
            if kind == "leakage":
                named, first = other, self._numbers[place]
                fault = RowFault(
                    "heldout",
                    f"It is held out, and row {first} that is trained on is exactly the same.",
                    "Take one of them out: what is held out must not be learned.",
                )
            else:
                fault = RowFault(
                    "duplicate",
                    f"It is exactly the same as row {first}, so it counts twice.",
                    "Take it out unless it should.",
                )
            self._warned[named] = True
            self.note(SourceRow(self._numbers[named], self._lines[named] or None, None), fault, "warning")

    def note(self, row: SourceRow | None, fault: RowFault, severity: str) -> None:
        self.report.findings_total += 1
        self.report.kinds[fault.kind] = self.report.kinds.get(fault.kind, 0) + 1
        shown = self._bad if severity == "bad" else self._warnings
        if len(shown) < SHOWN_FINDINGS:
            place = {"row": row.number, "line": row.line} if row else {}
            shown.append(
                Finding(
                    **place, field=fault.field, kind=fault.kind, problem=fault.problem, fix=fault.fix, severity=severity
                )
            )

    def finish(self) -> None:
        report = self.report
        self._copies()
        report.checks = self.looking.finish().counts
        report.rows_left_out = self.left_out.finish()
        self.counts.rows_warned = sum(self._warned)
        for name, count in vars(self.counts).items():
            setattr(report, name, count)
        if report.rows_total == 0:
            raise BadInput("There are no rows in the file.", "Each row needs a prompt and a response.")
        if report.rows_ready == 1 and not (report.kind == "text" and report.characters > ENOUGH_LETTERS):
            self.note(
                None,
                RowFault(
                    "few",
                    "There is a single usable row, and the model will learn little but that.",
                    "Bring more rows; a hundred or more are usual.",
                ),
                "warning",
            )
        report.sha256 = self.writer.finish()
        report.size_bytes = self.writer.size_bytes
        report.findings = self._bad + self._warnings


def has_columns(row: dict, mapping: dict[str, str], format: Format) -> bool:
    """Whether the row has the columns that the person chose; other formats know their own rows."""
    return format.name == "columns" and all(name in row for part, name in mapping.items() if part not in OPTIONAL_PARTS)


def is_held_out(row: dict, column: str) -> bool:
    """Whether the row itself says that it is to be measured on: as the studio's exports write it, or in a column that parts the rows."""
    if HELD_OUT in row and str(row[HELD_OUT]).strip().lower() == "true":
        return True
    return column in row and str(row[column]).strip().lower() in HELD_OUT_PARTS


def _beside(row: dict, mapping: dict[str, str]) -> Iterator[RowFault]:
    """What stands in other columns of the row and changes its meaning. Raises RowFault for what the model cannot take in."""
    if SHOWN.isdisjoint(row):
        return
    picture = next((name for name in PICTURES if row.get(name) and name not in mapping.values()), None)
    if picture:
        raise RowFault(
            "picture",
            f"'{picture}' holds a picture, sound or film that a text model cannot take in.",
            "Drop the row, or take that column out.",
            picture,
        )
    if row.get("tools") and "tools" not in mapping.values():
        yield RowFault(
            "tools",
            "The row describes tools, and the model is not shown them.",
            "Write them into the system message if they matter.",
            "tools",
        )


def _add_new(names: list[str], name: str) -> None:
    if name not in names and len(names) < COLUMNS and len(name) <= COLUMN_NAME:
        names.append(name)


def shortened(fields: dict) -> dict:
    """A row's messages or text with long ones cut, for showing."""
    return {
        name: clip_text(value)
        if isinstance(value, str)
        else [{**message, "content": clip_text(message["content"])} for message in value]
        for name, value in fields.items()
    }


def clip_text(text: str) -> str:
    return text if len(text) <= EXAMPLE_CHARACTERS else text[:EXAMPLE_CHARACTERS] + " …"


def _sha256(*files: Path | None) -> str:
    digest = hashlib.sha256()
    for path in filter(None, files):
        with open(path, "rb") as file:
            while block := file.read(1 << 20):
                digest.update(block)
    return digest.hexdigest()
