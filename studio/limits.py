"""How much there may be: open runs in all and of one person, and room on the disk. What is beyond is refused with the number and what to do."""

import shutil
from collections.abc import Collection

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from studio.errors import Conflict, TooMany
from studio.records import OPEN, Run, Status
from studio.space.usage import bytes_in_use
from studio.studio import Studio

GIB = 2**30
WAITING = (Status.QUEUED, Status.RETRY_WAIT)


def check_open_runs(studio: Studio, session: Session, owner: str) -> None:
    """Raises TooMany when one more run would be too many. In the write that queues it, so that two at once are counted right."""
    settings = studio.settings
    limits: tuple[tuple[Collection[Status], int, str, str | None, str], ...] = (
        (OPEN, settings.max_open_runs, "--max-open-runs", None, "wait, train or are paused"),
        (OPEN, settings.max_open_runs_per_person, "--max-open-runs-per-person", owner, "of yours wait, train or are paused"),
        (WAITING, settings.max_waiting_runs, "--max-waiting-runs", None, "wait for a device"),
        (WAITING, settings.max_waiting_runs_per_person, "--max-waiting-runs-per-person", owner, "of yours wait for a device"),
    )  # fmt: skip
    for states, most, option, whose, what in limits:
        counted = select(func.count()).where(Run.state.in_(states))
        count = session.scalar(counted if whose is None else counted.where(Run.owner == whose)) or 0
        if count >= most:
            raise TooMany(
                f"{count} runs {what} already, and {most} are allowed.",
                f"Wait for some to end, cancel some, or raise {option}.",
            )


def check_room(studio: Studio, needed_bytes: float = 0) -> None:
    """Raise Conflict when the disk is nearly full or has no room for so much, or the data folder would outgrow its limit."""
    settings = studio.settings
    disk = shutil.disk_usage(studio.data.path)
    wanted = max(min(settings.keep_free_percent / 100 * disk.total, settings.keep_free_gb * GIB), needed_bytes)
    if disk.free < wanted:
        raise Conflict(
            f"The disk with the data folder has only {disk.free / GIB:.1f} GiB free, and {wanted / GIB:.1f} GiB are wanted before anything is added.",
            "See on the page Disk space what takes room and what can go, or make room on the disk.",
        )
    if settings.max_data_gb is not None:
        used = bytes_in_use(studio)
        if used + needed_bytes > settings.max_data_gb * GIB:
            more = f" and {needed_bytes / GIB:.1f} GiB would be added" if needed_bytes else ""
            raise Conflict(
                f"The data folder holds {used / GIB:.1f} GiB{more}, and {settings.max_data_gb:g} GiB are allowed.",
                "See on the page Disk space what takes room and what can go, or raise --max-data-gb.",
            )
