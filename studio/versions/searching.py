"""Rows of a version that hold some words: read in one pass, a few at a time, in the memory of one."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Any

from studio.errors import Invalid, clip
from studio.folders import DatasetFolder
from studio.learning import Row
from studio.row_checks.findings import places_of
from studio.row_checks.kinds import CHECKS
from studio.rows import STRIDE, iter_lines
from studio.studio import Studio
from studio.versions.lineage import folder_of, get_version

READ_AT_ONCE = 24 << 20  # bytes of one call: about a fifth of a second; a longer search goes on from where it stopped
JUMP = 1 << 17  # bytes that passing over rows costs about as much as
MOST_ROWS = 50
HELD_OUT = b'"heldout": true}\n'


@dataclass(frozen=True)
class FoundRows:
    items: list[tuple[int, Row]]
    """(place from 0, row)."""
    searched: int
    """Rows up to here have been looked at."""
    next: int | None
    """Where to go on; None at the end of the version."""


def find_rows(
    studio: Studio,
    id: str,
    version: int | None = None,
    q: str = "",
    heldout: bool | None = None,
    start: int = 0,
    count: int = 20,
    check: str = "",
) -> FoundRows:
    """Up to `count` rows from the one at `start` on in whose texts `q` stands, in small or capital letters; all where it is empty. With a
    `check` only rows that have this kind of finding.

    Fewer come when much was read without finding them; `next` says where to go on. Raises Invalid for an unknown check.
    """
    if check and check not in CHECKS:
        raise Invalid(
            f"There is no kind of finding '{clip(check, 40)}'.", f"Choose one of: {', '.join(CHECKS)}.", "check"
        )
    found = get_version(studio, id, version)
    wanted, needle = q.strip().lower(), json.dumps(q.strip(), ensure_ascii=False)[1:-1].lower()
    items: list[tuple[int, Row]] = []
    read = 0
    folder = folder_of(studio, found)
    lines = _at(folder, places_of(folder, check, start)) if check else enumerate(iter_lines(folder, start), start)
    before = start - 1
    for place, line in lines:
        if len(items) == min(count, MOST_ROWS) or read > READ_AT_ONCE:
            return FoundRows(items, place, place)
        read += len(line) + (JUMP if place - before > 1 else 0)
        before = place
        if heldout is not None and line.endswith(HELD_OUT) is not heldout:
            continue
        if needle and needle not in line.decode().lower():
            continue
        row = json.loads(line)
        if not wanted or any(wanted in text.lower() for text in texts(row)):
            items.append((place, row))
    return FoundRows(items, found.rows, None)


def _at(folder: DatasetFolder, places: Iterator[int]) -> Iterator[tuple[int, bytes]]:
    """(place, line) of the rows at these ascending places; what lies far between them is jumped over."""
    lines: Iterator[bytes] = iter(())
    at = -STRIDE - 1  # of the line that comes next
    for place in places:
        if place - at > STRIDE:
            lines, at = iter_lines(folder, place), place
        line = next(islice(lines, place - at, None), None)
        if line is None:
            return
        at = place + 1
        yield place, line


def texts(row: Row) -> list[str]:
    """Every text that a row holds."""
    messages = [message for part in ("messages", "chosen", "rejected") for message in row.get(part, ())]
    return [message["content"] for message in messages] or [row.get("text", "")]


def shown(found: FoundRows) -> dict[str, Any]:
    """The API's view: rows counted from 1."""
    items = [
        {"row": place + 1, "number": row["row"], **{name: value for name, value in row.items() if name != "row"}}
        for place, row in found.items
    ]
    return {"items": items, "searched": found.searched, "next": found.next}
