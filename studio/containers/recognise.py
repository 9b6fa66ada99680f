"""Which container a file is, by its first bytes. Files that hold nothing to learn are refused by name (other_files)."""

import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TextIO

from studio.containers import arrow, parquet, qna
from studio.containers.container import Container, SourceRow
from studio.containers.documents import read_documents, separator_of
from studio.containers.json_lines import read_lines
from studio.containers.json_values import JsonValues
from studio.containers.other_files import TAKEN, refuse_other_kinds
from studio.containers.packed import check_unpacks, open_bytes, open_text, packed_as
from studio.containers.tables import named, read_table, recognise_table
from studio.containers.text import encoding_of, is_binary
from studio.errors import BadInput
from studio.formats.format import RowFault
from studio.formats.strict_json import depth_of, parse
from studio.formats.text import COLUMNS

HEAD = 1 << 16
TEXT_COLUMNS = frozenset(COLUMNS)
LIST = re.compile(r'\s*\[\s*([\[{"\]\d-]|true|false|null|NaN|Infinity|$)')
"""How a list begins in JSON; a text may begin with [Chapter 1]."""
FRONT_MATTER = re.compile(r"---[ \t]*\n(?:.*\n){0,60}?---[ \t]*\n\s*(?!-\s|[\w-]+:\s|---)\S")
"""What Markdown may begin with: settings between two lines of dashes, then text and no more settings."""
YAML = re.compile(r"\s*(---\s*\n|-\s+\w+:(\s|$)|\w+:\s*\n\s+-\s)")


def open_container(path: Path, known_columns: frozenset[str], text_limit: int, as_text: bool = False) -> Container:
    """The container in a file. Raises BadInput when there is none, or nothing in it.

    known_columns: names that formats read, which tell a table's header from a sentence. text_limit: bytes that the file may unpack to.
    as_text: what might be a table is plain text, unless it has a column for text.
    """
    packed = check_unpacks(path, text_limit)
    with open_bytes(path) as file:
        head = file.read(HEAD)
    if not head:
        raise BadInput("The file is empty.", TAKEN)
    if packed and head.startswith(parquet.MAGIC):
        raise BadInput(
            f"The file is Parquet inside {packed}.", "Unpack it and upload the file inside; it is small in itself."
        )
    if head.startswith((parquet.MAGIC, parquet.ENCRYPTED)):
        return parquet.open_parquet(path, text_limit)
    if arrow.is_arrow(head) and not packed:
        return arrow.open_arrow(path, head)
    refuse_other_kinds(path, head)
    if is_binary(head):
        raise BadInput("The file is binary and of no kind that is known here.", TAKEN)
    found = _open_text(path, known_columns, as_text)
    found.packed = packed
    return found


def _open_text(path: Path, known_columns: frozenset[str], as_text: bool) -> Container:
    encoding, warnings = encoding_of(path)
    first, lines = _beginning(path, encoding)
    shown, opened = {"utf-8-sig": "utf-8"}.get(encoding, encoding), _Opened(path, encoding)
    if not first:
        raise BadInput("There is nothing but blank lines in the file.", TAKEN)
    is_list = first == "[" and bool(LIST.match("".join(lines)))
    if (is_list and not _one_list_per_line(lines)) or (first == "{" and not _one_row_per_line(lines)):
        rows = opened.rows(lambda file: JsonValues(file).rows())
        return Container("json", rows, opened.bytes_read, shown, warnings=warnings)
    if first == "{" or is_list:
        return Container("jsonl", opened.rows(read_lines), opened.bytes_read, shown, warnings=warnings)
    if qna.is_qna(lines, path, encoding) and not as_text:
        return Container(
            "qna", opened.rows(qna.read_qna), opened.bytes_read, shown, columns=list(qna.COLUMNS), warnings=warnings
        )
    with open_text(path, encoding, newline="") as file:
        table = recognise_table(file, known_columns)
    if table is None or (as_text and not set(named(table.columns)) & TEXT_COLUMNS):
        check_readable(lines, path, encoding)
        separator = separator_of(path, encoding)
        texts = opened.rows(lambda file: read_documents(file, separator))
        return Container("text", texts, opened.bytes_read, shown, columns=["text"], warnings=warnings)
    rows = opened.rows(lambda file: read_table(file, table), newline="")
    return Container(
        "csv", rows, opened.bytes_read, shown, table.delimiter, columns=named(table.columns), warnings=warnings
    )


class _Opened:
    """A text file that is open from its first row to its last."""

    def __init__(self, path: Path, encoding: str):
        self._path, self._encoding = path, encoding
        self._file: TextIO | None = None

    def rows(self, read: Callable[[TextIO], Iterator[SourceRow]], newline: str | None = None) -> Iterator[SourceRow]:
        with open_text(self._path, self._encoding, newline) as self._file:
            yield from read(self._file)

    def bytes_read(self) -> int | None:
        """Of a compressed file it is not told: it would be bytes of what is inside."""
        plain = self._file is not None and not self._file.closed and packed_as(self._path) is None
        return self._file.buffer.tell() if plain else None


def _beginning(path: Path, encoding: str) -> tuple[str, list[str]]:
    """(the first character that is no blank, the first two lines that are not blank, cut where they are long)."""
    lines: list[str] = []
    with open_text(path, encoding) as file:
        while len(lines) < 2 and (line := file.readline(2 * HEAD)):
            if line.strip():
                lines.append(line)
    return (lines[0].lstrip()[0] if lines else ""), lines


def _one_row_per_line(lines: list[str]) -> bool:
    """JSON Lines, unless the first line opens an object that goes on in the second."""
    if len(lines) < 2 or lines[1].startswith("{") or not lines[0].endswith("\n"):
        return True
    try:
        return depth_of(lines[0]) > 60 or isinstance(parse(lines[0]), dict)
    except RowFault as fault:
        return fault.kind != "json"


def _one_list_per_line(lines: list[str]) -> bool:
    """A conversation on each line, as a list of messages without a name."""
    return len(lines) == 2 and all(line.startswith("[{") for line in lines) and lines[0].rstrip().endswith("}]")


def check_readable(lines: list[str], path: Path, encoding: str) -> None:
    """Raises BadInput for a text that was surely meant as something else."""
    text = "".join(lines)
    if YAML.match(text) and not _has_front_matter(path, encoding):
        raise BadInput("The file is YAML, which is not read here.", TAKEN)
    try:
        parse(lines[0] if len(lines) == 1 else text)
    except RowFault:
        return
    raise BadInput(
        "The file is a single JSON value, not rows.",
        'Write a list of objects, such as [{"prompt": "...", "completion": "..."}].',
    )


def _has_front_matter(path: Path, encoding: str) -> bool:
    with open_text(path, encoding) as file:
        return bool(FRONT_MATTER.match(file.read(HEAD).lstrip()))
