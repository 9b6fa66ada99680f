"""A disk and a database of which the n-th write, fsync, rename or statement fails, or at which the process is killed."""

import contextlib
import errno
import sqlite3
from collections.abc import Iterator
from pathlib import Path

from sqlalchemy import event
from sqlalchemy.exc import OperationalError

from studio import storage
from studio.database import Database

HOWS = ("full", "broken", "killed")


class Killed(BaseException):
    """Nothing catches it, and nothing that would clean up after it reaches the disk."""


class Fault:
    def __init__(self, nth: int, how: str):
        self.nth, self.how, self.count = nth, how, 0

    @property
    def met(self) -> bool:
        return self.count >= self.nth

    def at_disk(self, what: str, path: Path) -> None:
        if self.falls():
            leave_half(what, path)
            raise self.error() or OSError(errno.ENOSPC if self.how == "full" else errno.EIO, "It fails here", str(path))

    def at_database(self, *_) -> None:
        if self.falls():
            raise self.error() or sqlite3.OperationalError("database or disk is full")

    def falls(self) -> bool:
        self.count += 1
        return self.count == self.nth or (self.how == "killed" and self.met)

    def error(self) -> BaseException | None:
        return Killed() if self.how == "killed" else None


def leave_half(what: str, path: Path) -> None:
    """As much of it as a disk that fails may have taken."""
    if what == "write":
        path.write_bytes(b'{"half')
    elif what == "fill":
        path.mkdir(parents=True, exist_ok=True)
        (path / "adapter_model.safetensors").write_bytes(b"half")


@contextlib.contextmanager
def failing(monkeypatch, nth: int, how: str, database: Database | None = None) -> Iterator[Fault]:
    """The n-th thing that reaches the disk, or the database if that is given too, fails; Fault.met says whether there were so many."""
    fault, engine = Fault(nth, how), database and database._writing
    with monkeypatch.context() as patch:
        patch.setattr(storage, "reached", fault.at_disk)
        for name in ("before_cursor_execute", "commit") if engine else ():
            event.listen(engine, name, fault.at_database)
        try:
            yield fault
        except (OSError, sqlite3.OperationalError, OperationalError, Killed):
            pass
        finally:
            for name in ("before_cursor_execute", "commit") if engine else ():
                event.remove(engine, name, fault.at_database)
