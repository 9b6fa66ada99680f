"""Tables of text: CSV with commas, semicolons, tabs or what else parts the cells. Every cell is text exactly as written: NA, 007 and 1e5 stay what they are."""

import csv
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from typing import TextIO

from studio.containers.container import ROW_BYTES, SourceRow, large_row
from studio.containers.escaped_cells import ESCAPED, restored
from studio.errors import BadInput, clip
from studio.formats.format import RowFault

USUAL = (",", ";", "\t")
SELDOM = ("|", "^", "~", "\x01", "\x1f")  # taken only where nearly all rows agree, for a text may have them too
DELIMITER_NAMES = {
    ",": "comma",
    ";": "semicolon",
    "\t": "tab",
    "|": "vertical bar",
    "^": "caret",
    "~": "tilde",
    "\x01": "control character (1)",
    "\x1f": "unit separator",
}
TOLD = "sep="  # how a first line says which separator follows, as Excel writes and reads it
SAMPLE = 40

csv.field_size_limit(2 * ROW_BYTES)  # our own limit is on the whole row and comes first


class _Lines:
    """Lines of the file as csv reads them, with the text of the row that is being read."""

    def __init__(self, file: TextIO):
        self._file = file
        self.line = 0
        self.row: list[str] = []
        self._size = 0

    def __iter__(self) -> "_Lines":
        return self

    def __next__(self) -> str:
        text = self._file.readline(ROW_BYTES + 2)
        if not text:
            raise StopIteration
        self.line += 1
        self.row.append(text)
        self._size += len(text)
        if self._size > ROW_BYTES:
            raise _TooLarge
        return text

    def new_row(self) -> int:
        """Forget the last row; the line at which the next one starts."""
        self.row = []
        self._size = 0
        return self.line + 1


class _TooLarge(Exception):
    pass


@dataclass
class Table:
    delimiter: str
    columns: list[str]
    told: bool = False  # by a first line such as "sep=;"


def recognise_table(file: TextIO, known_columns: frozenset[str]) -> Table | None:
    """The table in a text stream, by the delimiter under which its first rows agree; None when there is none."""
    lines = list(islice(iter(lambda: file.readline(ROW_BYTES), ""), SAMPLE * 5))
    if (
        lines
        and lines[0].lower().startswith(TOLD)
        and (delimiter := lines[0][len(TOLD) :].rstrip("\r\n")) in DELIMITER_NAMES
    ):
        rows = _sample(lines[1:], delimiter)
        return Table(delimiter, rows[0], told=True) if rows else None
    best: tuple[tuple, Table] | None = None
    for delimiter in (*USUAL, *SELDOM):
        rows = _sample(lines, delimiter)
        if not rows or any(len(name) > 100 or "\n" in name for name in rows[0]):
            continue
        if len(rows[0]) < 2:
            if delimiter == "," and rows[0][0].strip() == "text":  # a table of nothing but texts
                return Table(delimiter, rows[0])
            continue
        known, agreeing = _agreement(rows, known_columns)
        agreed = agreeing >= 0.9 or known >= 2
        if delimiter in SELDOM and not (agreed and len(rows) > 1 and rows[0][0].strip() and rows[0][-1].strip()):
            continue
        if known >= 2 or (agreeing >= 0.5 and len(rows) > 1 and not is_sentence(lines[0])):
            score = (known, agreeing, len(rows[0]))
            if best is None or score > best[0]:
                best = (score, Table(delimiter, rows[0]))
    return best and best[1]


def _agreement(rows: list[list[str]], known_columns: frozenset[str]) -> tuple[int, float]:
    """(names of the heading that formats know, share of the rows that have as many cells)."""
    known = sum(name.strip() in known_columns for name in rows[0])
    return known, sum(len(row) == len(rows[0]) for row in rows[1:]) / max(1, len(rows) - 1)


def is_sentence(header: str) -> bool:
    """Whether a first line reads as prose and not as names of columns: it ends like a sentence, or is a long one."""
    words = header.split()
    return header.rstrip().endswith((".", "!", "?", ":")) or len(words) > 30


def _sample(lines: list[str], delimiter: str) -> list[list[str]]:
    rows: list[list[str]] = []
    try:
        for row in csv.reader(lines, delimiter=delimiter):
            if row:
                rows.append(row)
            if len(rows) > SAMPLE:
                break
    except csv.Error:
        pass  # told with its line when the rows are read
    return rows


def read_table(file: TextIO, table: Table) -> Iterator[SourceRow]:
    """Rows of a text stream opened with newline="". Raises BadInput for an open quote, which swallows the rest of the file."""
    lines = _Lines(file)
    reader = csv.reader(lines, delimiter=table.delimiter, strict=True)
    if table.told:
        next(reader)
    header = next(row for row in _rows(reader, lines) if row[1])
    columns = named(header[1])
    number = 0
    for line, cells, fault in _rows(reader, lines):
        if not cells and fault is None:
            continue  # a blank line
        number += 1
        if fault is None and len(cells) != len(columns):
            fault = RowFault(
                "ragged",
                f"The row has {len(cells)} cells and the header {len(columns)}.",
                f"Put texts that hold a {DELIMITER_NAMES[table.delimiter]} or a line break in double quotes.",
            )
        value = None if fault else dict(zip(columns, cells, strict=True))
        yield SourceRow(number, line, restored(value) if value and ESCAPED in value else value, fault)


def _rows(reader, lines: _Lines) -> Iterator[tuple[int, list[str], RowFault | None]]:
    """(line, cells, fault) of each row, blank ones included."""
    while True:
        line = lines.new_row()
        try:
            cells = next(reader)
        except StopIteration:
            return
        except _TooLarge:
            raise _swallowed(line, lines, reader.dialect.delimiter, "is larger than 1 MB") from None
        except csv.Error as error:
            if "unexpected end of data" in str(error):
                raise _swallowed(line, lines, reader.dialect.delimiter, "has no end") from None
            fault = (
                large_row()
                if "field limit" in str(error)
                else RowFault(
                    "quote",
                    "A double quote stands in the middle of a quoted cell.",
                    'Write it twice ("") inside a quoted cell.',
                )
            )
            yield line, [], fault
            continue
        yield line, cells, None


def _swallowed(line: int, lines: _Lines, delimiter: str, how: str) -> BadInput:
    opened = _open_quote("".join(lines.row), delimiter)
    if opened is None:
        return BadInput(f"The row that starts at line {line} {how}.", "Split it, or take it out.")
    at = line + opened
    return BadInput(
        f"A double quote opens a cell at line {at} and is not closed: the row that starts at line {line} {how}.",
        f"Close the quote that opens at line {at}.",
    )


def _open_quote(text: str, delimiter: str) -> int | None:
    """How many lines into this row its last cell opens with a quote that nothing closes; None when it has none."""
    at = 0
    while at < len(text):
        if text[at] != '"':  # a cell without quotes: on to the next cell
            ends = [end for end in (text.find(mark, at) for mark in (delimiter, "\n", "\r")) if end >= 0]
            if not ends:
                return None
            at = min(ends) + 1
            continue
        opened, at = at, at + 1
        while (at := text.find('"', at)) >= 0 and text[at + 1 : at + 2] == '"':
            at += 2
        if at < 0:
            return len(text[:opened].replace("\r\n", "\n").replace("\r", "\n").split("\n")) - 1
        at += 1
        if text[at : at + 1] == delimiter:
            at += 1
    return None


def named(header: list[str]) -> list[str]:
    """Column names of a header: blanks around them gone, nameless ones numbered. Raises BadInput for the same name twice."""
    columns = [name.strip() or f"column {number}" for number, name in enumerate(header, 1)]
    twice = next((name for name in columns if columns.count(name) > 1), None)
    if twice is not None:
        raise BadInput(
            f"The header in line 1 has the column '{clip(twice, 40)}' twice, so it is not clear which is meant.",
            "Give every column a name of its own.",
        )
    return columns
