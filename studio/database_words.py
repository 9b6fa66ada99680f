"""What a database says when it cannot do its work, in words: held by another program, its disk full or read-only."""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy.exc import OperationalError

from studio.errors import DiskFull, StudioError, Unavailable

PRIMARY = 0xFF  # SQLite's extended codes tell more in their higher bits
REASONS = {
    sqlite3.SQLITE_READONLY: "The database cannot be written: its file or its disk is read-only.",
    sqlite3.SQLITE_IOERR: "The disk with the database does not do its work.",
    sqlite3.SQLITE_CANTOPEN: "The database's file cannot be opened.",
}


@contextmanager
def in_words(wait_seconds: float) -> Iterator[None]:
    """Raise Unavailable or DiskFull in place of what has a reason outside of the studio; `wait_seconds`: how long a lock was waited for."""
    try:
        yield
    except (OperationalError, sqlite3.OperationalError) as error:
        told = told_of(error, wait_seconds)
        if told is None:
            raise
        raise told from error


def told_of(error: Exception, wait_seconds: float) -> StudioError | None:
    code = getattr(getattr(error, "orig", None) or error, "sqlite_errorcode", None)
    primary = code and code & PRIMARY
    if primary == sqlite3.SQLITE_FULL:
        return DiskFull()
    if primary in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
        return Unavailable(
            f"Another program holds the database, and did not let go of it within {wait_seconds:g} seconds: nothing was changed.",
            "Try again in a moment. If it stays so, end that program: a backup or a database browser on studio.sqlite, most likely.",
        )
    if primary in REASONS:
        return Unavailable(f"{REASONS[primary]} Nothing was changed.", "Mend that, and try again.")
    return None
