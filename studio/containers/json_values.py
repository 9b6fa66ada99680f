"""JSON: a list of rows, one row, or several one after another, read in pieces so that a file of any size takes the same memory."""

import re
from collections.abc import Iterator
from typing import TextIO

from studio.containers.container import ROW_BYTES, SourceRow, as_row, large_row, too_large
from studio.errors import BadInput, clip
from studio.formats.format import RowFault
from studio.formats.strict_json import DEPTH, parse

PIECE = 1 << 17
_BLANK = re.compile(r"[ \t\n\r]*")
# Possessive (*+): a string whose end is not in memory yet is given up at once.
_MARK = re.compile(r'"[^"\\]*+(?:\\.[^"\\]*+)*+"|["{}\[\]]', re.DOTALL)
_REST_OF_STRING = re.compile(r'[^"\\]*+(?:\\.[^"\\]*+)*+"', re.DOTALL)
_SCALAR = re.compile(r"[^,\]\s]*")


class JsonValues:
    """Rows of a text stream, found by their brackets: a row that is wrong inside costs only itself."""

    def __init__(self, file: TextIO):
        self._file = file
        self._text = ""  # what is in memory: from the row that is being read on
        self._at = 0
        self._line = 1  # of the text's first character
        self._ended = False

    def rows(self) -> Iterator[SourceRow]:
        """Raises BadInput where the brackets do not add up, for nothing can be told of what follows."""
        in_list = self._peek() == "["
        if in_list:
            self._at += 1
        number = 0
        while self._peek() not in ("", "]"):
            number += 1
            yield self._row(number)
            self._between(number, in_list)
        if in_list:
            if self._peek() != "]":
                raise BadInput(
                    f"The list of rows has no end: the file stops at line {self._here()} after row {number}.",
                    "It was probably cut off; bring the whole file, or close the list with ].",
                )
            self._at += 1
        if self._peek():
            raise BadInput(
                f"Line {self._here()}: more follows after the end of the rows.",
                "Keep one list of rows, or write one row per line.",
            )

    def _between(self, number: int, in_list: bool) -> None:
        if not in_list:
            if self._peek() not in ("", "{"):
                raise self._unexpected("another row that begins with {")
            return
        if self._peek() == ",":
            self._at += 1
            if self._peek() == "]":
                raise BadInput(f"Line {self._here()}: a comma stands after the last row.", "Take that comma out.")
        elif self._peek() not in ("", "]"):
            raise self._unexpected(f"a comma after row {number}")

    def _unexpected(self, wanted: str) -> BadInput:
        found = clip(self._text[self._at : self._at + 20], 20)
        return BadInput(
            f"Line {self._here()}: {wanted} is expected, and there is: {found}",
            "Mend the file at this line; a bracket or quote before it may be too many or missing.",
        )

    def _row(self, number: int) -> SourceRow:
        line = self._drop_before()
        first = self._text[0]
        fits, deepest = self._find_end(number, line) if first in '{["' else self._find_end_of_scalar()
        text = self._text[: self._at] if fits else ""
        if not fits or too_large(text):
            return SourceRow(number, line, None, large_row())
        if deepest > DEPTH:
            return SourceRow(
                number,
                line,
                None,
                RowFault("depth", f"The row is nested more than {DEPTH} deep.", "Write it flatter, or drop it."),
            )
        try:
            return as_row(number, line, parse(text))
        except RowFault as fault:
            return SourceRow(number, line, None, fault)

    def _find_end_of_scalar(self) -> tuple[bool, int]:
        found = _SCALAR.match(self._text, self._at)
        while found.end() == len(self._text) and len(self._text) < ROW_BYTES and self._more():
            found = _SCALAR.match(self._text, self._at)
        self._at = max(found.end(), self._at + 1)
        return True, 0

    def _find_end(self, number: int, line: int) -> tuple[bool, int]:
        """Move behind the value that begins here; (whether all of it is in memory, how deep it is nested)."""
        depth = deepest = 0
        in_string, fits = False, True
        while True:
            find = _REST_OF_STRING.match if in_string else _MARK.search
            found = find(self._text, self._at)
            if not found:
                rest = self._text[self._at :]
                odd = (len(rest) - len(rest.rstrip("\\"))) % 2 if in_string else 0
                self._at = len(self._text) - odd  # the letter after a backslash is still to come
                fits = self._make_room(fits)
                if not self._more():
                    raise BadInput(
                        f"Row {number}, which begins at line {line}, has no end.",
                        "A closing quote or bracket is missing, or the file was cut off; mend it from that line on.",
                    )
                continue
            mark, self._at = found[0], found.end()
            if mark in "{[":
                depth += 1
                deepest = max(deepest, depth)
            elif mark in "}]":
                depth -= 1
            else:
                in_string = mark == '"' and not in_string
            if depth <= 0 and not in_string:
                return fits, deepest

    def _make_room(self, fits: bool) -> bool:
        """Forget the beginning of a row that is too large; its end is still looked for, with its lines counted."""
        if fits and len(self._text) <= ROW_BYTES + 2:
            return True
        self._drop_before()
        return False

    def _drop_before(self) -> int:
        """Forget what is read; the line at which the text now begins."""
        self._line += self._text.count("\n", 0, self._at)
        self._text = self._text[self._at :]
        self._at = 0
        return self._line

    def _here(self) -> int:
        return self._line + self._text.count("\n", 0, self._at)

    def _peek(self) -> str:
        """The next character that is no blank; "" at the end of the file."""
        while True:
            self._at = _BLANK.match(self._text, self._at).end()
            if self._at < len(self._text):
                return self._text[self._at]
            self._drop_before()
            if not self._more():
                return ""

    def _more(self) -> bool:
        piece = "" if self._ended else self._file.read(PIECE)
        self._ended = not piece
        self._text += piece
        return bool(piece)
