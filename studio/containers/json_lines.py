"""JSON Lines: one row on each line."""

from collections.abc import Iterator
from typing import TextIO

from studio.containers.container import ROW_BYTES, SourceRow, as_row, large_row, too_large
from studio.formats.format import RowFault
from studio.formats.strict_json import parse


def read_lines(file: TextIO) -> Iterator[SourceRow]:
    """Rows of a text stream whose line ends are translated. A line that cannot be read costs only itself."""
    number = line = 0
    while text := file.readline(ROW_BYTES + 2):
        line += 1
        whole = text
        while not text.endswith("\n") and (text := file.readline(ROW_BYTES)):
            pass  # the rest of a line that is too long
        if whole.isspace():
            continue
        number += 1
        yield _row(number, line, whole, at_end=not text.endswith("\n"))


def _row(number: int, line: int, text: str, at_end: bool) -> SourceRow:
    if 4 * len(text) > ROW_BYTES and too_large(text.rstrip("\n")):
        return SourceRow(number, line, None, large_row())
    try:
        return as_row(number, line, parse(text))
    except RowFault as fault:
        if at_end and fault.kind == "json":
            fault = RowFault(
                "cut",
                "The last line is incomplete: the file was probably cut off while it was written or copied.",
                "Bring the whole file, or drop this row.",
            )
        return SourceRow(number, line, None, fault)
