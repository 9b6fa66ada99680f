"""The difference between two versions: rows added, removed and changed, found by reading both once, side by side."""

import json
import re
from array import array
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any

from studio.compare import word_differences
from studio.folders import DatasetFolder
from studio.learning import Row
from studio.rows import iter_lines, read_rows
from studio.studio import Studio
from studio.versions.lineage import folder_of, get_version

NUMBER = re.compile(rb'\{"row": (\d+), ')
ADDED, REMOVED, CHANGED = range(3)
KINDS = ("added", "removed", "changed")
NOWHERE = -1


@dataclass
class Difference:
    """Rows that are not the same in both, in order of their numbers: 17 bytes each."""

    kinds: array = field(default_factory=lambda: array("b"))
    before: array = field(default_factory=lambda: array("q"))  # place in the earlier version, from 0
    after: array = field(default_factory=lambda: array("q"))

    def add(self, kind: int, before: int, after: int) -> None:
        self.kinds.append(kind)
        self.before.append(before)
        self.after.append(after)

    def __len__(self) -> int:
        return len(self.kinds)

    @property
    def counts(self) -> dict[str, int]:
        return {name: self.kinds.count(kind) for kind, name in enumerate(KINDS)}


def difference(studio: Studio, id: str, before: int, after: int) -> Difference:
    """Raises NotFound where there is no such version."""
    sides = [get_version(studio, id, number) for number in (before, after)]
    if sides[0].sha256 == sides[1].sha256:
        return Difference()
    return _read_once(*(part for side in sides for part in (folder_of(studio, side).path, side.sha256)))


def page_of(studio: Studio, id: str, before: int, after: int, start: int = 0, count: int = 20) -> dict[str, Any]:
    """Some of the difference's rows as both versions have them, with the words that differ; and how many there are of each kind."""
    found = difference(studio, id, before, after)
    folders = [studio.data.dataset(id, number) for number in (before, after)]
    items = [_shown(found, place, *folders) for place in range(start, min(start + count, len(found)))]
    more = start + count if start + count < len(found) else None
    return {"before": before, "after": after, **found.counts, "items": items, "next": more}


def _shown(found: Difference, place: int, earlier: DatasetFolder, later: DatasetFolder) -> dict[str, Any]:
    at, to = found.before[place], found.after[place]
    old = read_rows(earlier, at, 1)[0] if at != NOWHERE else None
    new = read_rows(later, to, 1)[0] if to != NOWHERE else None
    words = word_differences(as_text(old), as_text(new)) if old and new else None
    return {
        "kind": KINDS[found.kinds[place]],
        "row_before": at + 1 if old else None,
        "row_after": to + 1 if new else None,
        "before": old and said(old),
        "after": new and said(new),
        "words": words,
    }


def said(row: Row) -> Row:
    """What a row holds, without where it stands."""
    return {name: value for name, value in row.items() if name not in ("row", "line")}


def as_text(row: Row) -> str:
    """A row as one text, to be compared word by word."""
    held = "\n[held out]" if row["heldout"] else ""
    if "text" in row:
        return row["text"] + held
    parts = [(message["role"], message) for message in row["messages"]]
    parts += [(side, message) for side in ("chosen", "rejected") for message in row.get(side, ())]
    said_by = "\n".join(
        f"{role}: {message['content']}{MARKED.get(message.get('learn'), '')}" for role, message in parts
    )
    return said_by + held


MARKED = {True: " [learned]", False: " [not learned]"}


@lru_cache(16)
def _read_once(earlier: Path, _: str, later: Path, __: str) -> Difference:
    """By the folders and hashes of two versions, which never change."""
    found = Difference()
    old, new = numbered_lines(DatasetFolder(earlier)), numbered_lines(DatasetFolder(later))
    left, right = next(old, None), next(new, None)
    while left or right:
        if right is None or (left and left[0] < right[0]):
            found.add(REMOVED, left[1], NOWHERE)
            left = next(old, None)
        elif left is None or right[0] < left[0]:
            found.add(ADDED, NOWHERE, right[1])
            right = next(new, None)
        else:
            if not same(left[2], right[2]):
                found.add(CHANGED, left[1], right[1])
            left, right = next(old, None), next(new, None)
    return found


def same(one: bytes, other: bytes) -> bool:
    """Whether two lines hold the same row, whatever its number and line."""
    return one == other or said(json.loads(one)) == said(json.loads(other))


def numbered_lines(folder: DatasetFolder) -> Iterator[tuple[int, int, bytes]]:
    """(number, place from 0, line) of every row, numbered as `rewriting.numbered` does, most of it unread."""
    last = 0
    for place, line in enumerate(iter_lines(folder)):
        written = NUMBER.match(line)
        number = int(written[1]) if written else json.loads(line)["row"]
        last = max(number, last + 1)
        yield last, place, line
