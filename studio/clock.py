"""The time of day, read in one place. It may jump, so nothing that must happen once depends on it: runs are fenced by epochs, processes known by their boot."""

from collections.abc import Callable
from datetime import UTC, datetime
from functools import partial

read: Callable[[], datetime] = partial(datetime.now, UTC)


def utc_now() -> datetime:
    return read()
