"""What takes how much of the disk: the data folder by kind, counted as the file system counts it."""

import os
import stat
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from studio.studio import Studio

SECONDS_KEPT = 30.0  # a count is believed for so long: a large folder takes a while to look through
_counted: dict[Path, tuple[float, int]] = {}
_counting = threading.Lock()


def bytes_in_use(studio: Studio) -> int:
    """Of the whole data folder, at most half a minute ago."""
    with _counting:
        at, size = _counted.get(studio.data.path, (-SECONDS_KEPT, 0))
        if time.monotonic() - at >= SECONDS_KEPT:
            size = size_on_disk(studio.data.path)
            _counted[studio.data.path] = (time.monotonic(), size)
        return size


def forget(studio: Studio) -> None:
    """Something went: count anew at the next question."""
    with _counting:
        _counted.pop(studio.data.path, None)


@dataclass
class Tally:
    """Bytes on disk; a file with several names counts once, where it is met first."""

    seen: set[tuple[int, int]] = field(default_factory=set)

    def of(self, path: Path) -> int:
        return sum(self._new(found) for found in _files(path))

    def _new(self, found: os.stat_result) -> int:
        if found.st_nlink > 1:
            name = (found.st_dev, found.st_ino)
            if name in self.seen:
                return 0
            self.seen.add(name)
        return found.st_blocks * 512


def size_on_disk(path: Path) -> int:
    """Bytes that a file or folder takes; links are not followed, and what vanishes meanwhile counts as nothing."""
    return Tally().of(path)


def freed_by(path: Path) -> int:
    """Bytes that come free when this goes: files that have another name elsewhere stay on the disk."""
    return sum(found.st_blocks * 512 for found in _files(path) if found.st_nlink == 1)


def _files(path: Path) -> Iterator[os.stat_result]:
    waiting = [path]
    while waiting:
        here = waiting.pop()
        try:
            found = os.lstat(here)
            if stat.S_ISDIR(found.st_mode):
                waiting += [Path(entry.path) for entry in os.scandir(here)]
            else:
                yield found
        except OSError:
            continue
