"""Files that are being read at this moment, each by a process of its own: how far they are, and how one is ended."""

import os
import signal
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field

from studio.errors import BadInput, NotFound
from studio.files import read_json
from studio.folders import DatasetFolder
from studio.studio import Studio

_guard = threading.Lock()
_reading: dict[str, "Reading"] = {}


@dataclass
class Reading:
    """One process that reads, from its start until its end was noticed."""

    folder: DatasetFolder
    file_name: str
    child: subprocess.Popen
    ended: bool = False
    """By a person."""
    began: float = field(default_factory=time.time)

    @property
    def id(self) -> str:
        return self.folder.path.name

    @property
    def told(self) -> dict:
        """{"rows", "share"}; empty before the first half second has passed."""
        return read_json(self.folder.reading_progress, {})

    def as_dict(self) -> dict:
        told = self.told
        return {"id": self.id, "file_name": self.file_name, "rows_done": told.get("rows", 0), "done": told.get("share"), "began": self.began}  # fmt: skip


@contextmanager
def noted(folder: DatasetFolder, file_name: str, child: subprocess.Popen) -> Iterator[None]:
    """The process is among those that can be watched and ended. Raises BadInput afterwards where a person has ended it."""
    reading = Reading(folder, file_name, child)
    with _guard:
        _reading[reading.id] = reading
    try:
        yield
    finally:
        with _guard:
            del _reading[reading.id]
    if reading.ended:
        raise BadInput("The reading was ended before its end; nothing of the file was kept.", "Bring it again.")


def list_readings(studio: Studio) -> list[Reading]:
    """Files that people brought to this studio, in the order in which they began; versions and mixes are written the same way."""
    with _guard:
        return [
            each for each in _reading.values() if each.file_name and each.folder.path.parent == studio.data.incoming
        ]


def end_reading(studio: Studio, id: str) -> None:
    """Raises NotFound where it has come to its end already."""
    reading = next((each for each in list_readings(studio) if each.id == id), None)
    if reading is None:
        raise NotFound("reading", id)
    reading.ended = True
    with suppress(ProcessLookupError):  # a session of its own, so the group is its alone
        os.killpg(reading.child.pid, signal.SIGKILL)
