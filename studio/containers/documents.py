"""Plain text: documents with a mark between them, or paragraphs gathered into documents, or one document on each line.

A text with blank lines is one that flows: its paragraphs are gathered, so that what belongs together is learned together.
Without blank lines each line stands for itself, as in corpora that hold one article or one sentence per line.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Literal, TextIO

from studio.containers.container import SourceRow
from studio.containers.packed import open_text

MARK = "<|endoftext|>"
"""Between two documents, as GPT-2's corpora have it; it belongs to neither."""
ENOUGH_LETTERS = 6_000
"""A gathered document ends at the first blank line after so many: about 1,500 tokens of English."""
MOST_LETTERS = 200_000
"""What goes on for longer without an end is cut here, at a blank: in bytes it stays below what a row may have."""
LOOKED_AT = 1 << 20

Separator = Literal["mark", "blank line", "line"]


def separator_of(path: Path, encoding: str) -> Separator:
    """What stands between the documents of a text, by its first million letters."""
    with open_text(path, encoding) as file:
        head = file.read(LOOKED_AT)
    if MARK in head:
        return "mark"
    lines = head.strip().split("\n")
    return "blank line" if any(not line.strip() for line in lines) else "line"


def read_documents(file: TextIO, separator: Separator) -> Iterator[SourceRow]:
    """Rows {"text": document} with the line each begins at. The mark ends a document wherever it stands."""
    number, letters, begins = 0, 0, 1
    parts: list[str] = []
    for line, text in _with_ends(file, separator):
        if text is not None:
            if text.strip() and not any(part.strip() for part in parts):
                parts, begins = [], line  # blank lines before a document are no part of it
            parts.append(text)
            letters += len(text)
        if text is None or letters >= MOST_LETTERS:
            document = "".join(parts).strip("\r\n").rstrip()
            parts, letters = [], 0
            if document.strip():
                number += 1
                yield SourceRow(number, begins, {"text": document})


def _with_ends(file: TextIO, separator: Separator) -> Iterator[tuple[int, str | None]]:
    """(line, text of it), and (line, None) where a document ends."""
    line, gathered = 0, 0
    for line, text in _lines(file):
        first, *others = text.split(MARK)
        yield line, first
        for other in others:
            yield line, None
            yield line, other
        gathered = len(others[-1]) if others else gathered + len(first)
        ended = separator == "line" or (separator == "blank line" and not text.strip() and gathered >= ENOUGH_LETTERS)
        if ended and text.endswith("\n"):
            yield line, None
            gathered = 0
    yield line, None


def _lines(file: TextIO) -> Iterator[tuple[int, str]]:
    """(number, line with its end); one that is very long in pieces that end at a blank."""
    number, rest = 1, ""
    while text := file.readline(MOST_LETTERS - len(rest)):
        text = rest + text
        rest = ""
        if not text.endswith("\n") and len(text) >= MOST_LETTERS:
            cut = text.rfind(" ", MOST_LETTERS // 2) + 1
            if cut:
                text, rest = text[:cut], text[cut:]
        yield number, text
        number += text.endswith("\n")
    if rest:
        yield number, rest
