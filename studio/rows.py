"""messages.jsonl: write it once, read any page of it at once, iterate over it to train."""

import hashlib
import heapq
import json
import os
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import orjson

from studio.errors import BadInput
from studio.files import read_json, write_json
from studio.folders import DatasetFolder

STRIDE = 256
"""The index holds the place of every 256th row: 64 kB for four million rows."""
TOGETHER = 256  # rows that are hashed and written at once
_encode = json.JSONEncoder(ensure_ascii=False).encode  # made once: json.dumps makes one for each row


class RowWriter:
    """Writes messages.jsonl and counts what it holds; with no folder it only counts."""

    def __init__(self, folder: DatasetFolder | None, most_text: int):
        self._folder = folder
        self._file = open(folder.messages, "wb") if folder else None  # noqa: SIM115 closed in finish() or with the process
        self._hash = hashlib.sha256()
        self._most_text = most_text
        self._text = 0
        self._offsets: list[int] = []
        self._waiting: list[bytes] = []
        self.rows = self.size_bytes = 0

    def write(self, row: int, line: int | None, fields: dict[str, Any], letters: int, heldout: bool) -> None:
        """`fields` hold the row's messages or text, of so many letters. Raises BadInput when all rows together are larger than a
        data set may be."""
        data = _line_of(row, line, fields, heldout)
        # Letters, not bytes as written: what was uploaded within the limit stays within it, and what unpacks to more does not.
        self._text += 16 + letters
        if self._text > self._most_text:
            raise BadInput(
                f"The rows up to row {row} are more than {self._most_text >> 20:,} MB of text, the most that one data set may hold.",
                "Split the file.",
            )
        if self.rows % STRIDE == 0:
            self._offsets.append(self.size_bytes)
        self._waiting.append(data)
        self.rows += 1
        self.size_bytes += len(data)
        if len(self._waiting) == TOGETHER:
            self._put()

    def _put(self) -> None:
        data = b"".join(self._waiting)
        self._waiting.clear()
        self._hash.update(data)
        if self._file:
            self._file.write(data)

    def finish(self) -> str:
        """Everything is on disk and read-only from here on; the sha256 of the file."""
        self._put()
        if self._file and self._folder:
            self._file.flush()
            os.fsync(self._file.fileno())
            os.fchmod(self._file.fileno(), 0o400)
            self._file.close()
            write_json(self._folder.index, {"stride": STRIDE, "rows": self.rows, "offsets": self._offsets})
        return self._hash.hexdigest()


def _line_of(row: int, line: int | None, fields: dict[str, Any], heldout: bool) -> bytes:
    """The row as json.dumps would write it with all letters as themselves; nearly every row is messages of a role and a content."""
    try:
        if len(fields) == 1 and "messages" in fields:
            messages = b", ".join([_message(message) for message in fields["messages"]])
            at = b"null" if line is None else b"%d" % line
            return b'{"row": %d, "line": %b, "messages": [%b], "heldout": %b}\n' % (
                row,
                at,
                messages,
                b"true" if heldout else b"false",
            )
    except orjson.JSONEncodeError:
        pass  # half a character: the slow way writes it, or says so
    return (_encode({"row": row, "line": line, **fields, "heldout": heldout}) + "\n").encode()


def _message(message: dict[str, Any]) -> bytes:
    if len(message) == 2 and (*message,) == ("role", "content"):
        return b'{"role": "%b", "content": %b}' % (message["role"].encode(), orjson.dumps(message["content"]))
    return _encode(message).encode()


def iter_training_rows(folder: DatasetFolder) -> Iterator[dict[str, Any]]:
    """Every row in order: {"row", "line", "heldout"} and "text", or "messages", or "messages" with "chosen" and "rejected"."""
    return _from(folder, 0)


def read_rows(folder: DatasetFolder, start: int = 0, count: int | None = None) -> list[dict[str, Any]]:
    """`count` rows from the one at `start` (counted from 0), or all from there on; fewer at the end."""
    if start < 0 or (count is not None and count < 1):
        return []
    index = read_json(folder.index, {"stride": STRIDE, "offsets": [0]})
    block = min(start // index["stride"], len(index["offsets"]) - 1)
    skip = start - block * index["stride"]
    rows = _lines(folder.messages, index["offsets"][block])
    return [json.loads(line) for line in islice(rows, skip, None if count is None else skip + count)]


def read_sample(folder: DatasetFolder, wanted: set[int]) -> Iterator[tuple[int, dict[str, Any]]]:
    """(place, row) of the rows at these places (counted from 0), in order; the lines between are passed over unread."""
    lines = enumerate(_lines(folder.messages, 0))
    return ((place, json.loads(line)) for place, line in lines if place in wanted)


def longest_rows(folder: DatasetFolder, count: int) -> list[int]:
    """Places (from 0) of the rows with most bytes."""
    sizes = ((len(line), place) for place, line in enumerate(_lines(folder.messages, 0)))
    return [place for _, place in heapq.nlargest(count, sizes)]


def _from(folder: DatasetFolder, offset: int) -> Iterator[dict[str, Any]]:
    return (json.loads(line) for line in _lines(folder.messages, offset))


def _lines(path: Path, offset: int) -> Iterator[bytes]:
    try:
        with open(path, "rb") as file:
            file.seek(offset)
            yield from file
    except FileNotFoundError:
        raise BadInput(
            f"The data set's file {path.name} is gone from {path.parent}.", "Upload the data again."
        ) from None


def iter_lines(folder: DatasetFolder, start: int = 0) -> Iterator[bytes]:
    """Rows as they are written, from the one at `start` (counted from 0)."""
    index = read_json(folder.index, {"stride": STRIDE, "offsets": [0]})
    block = min(start // index["stride"], len(index["offsets"]) - 1)
    return islice(_lines(folder.messages, index["offsets"][block]), start - block * index["stride"], None)
