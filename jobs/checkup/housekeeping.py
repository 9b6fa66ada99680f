"""Room, logs and rights: how full the disk is, logs beyond their limit, and files that others on this machine could read."""

import os
import stat
from collections.abc import Iterator
from pathlib import Path

from sqlalchemy import select

from jobs.checkup.finding import Checkup
from jobs.logfile import END_BYTES, KEPT_BYTES
from studio.errors import Conflict
from studio.limits import check_room
from studio.records import LIVE, Run

MOST_LOG_BYTES = KEPT_BYTES + 2 * END_BYTES
OTHERS = 0o077  # rights of the group and of everybody


def check_disk(checkup: Checkup) -> None:
    try:
        check_room(checkup.studio)
    except Conflict as error:
        checkup.ask(error.problem, error.fix)


def check_logs(checkup: Checkup) -> None:
    """Of runs that are not live, and of everything else where nothing is at work."""
    data = checkup.studio.data
    with checkup.studio.database.read() as session:
        ended = session.scalars(select(Run.id).where(Run.state.not_in(LIVE))).all()
    logs = [attempt.log for id in ended for attempt in checkup.attempts(data.run(id))]
    if not checkup.at_work:
        logs += [data.chat.log, *sorted(data.path.glob("base_models/*/download.log"))]
    for log in logs:
        if (
            checkup.is_ours(log)
            and not log.is_symlink()
            and log.is_file()
            and (size := log.stat().st_size) > MOST_LOG_BYTES
        ):
            checkup.mend(
                f"{checkup.place(log)} has {size / 2**20:,.0f} MB, and {MOST_LOG_BYTES / 2**20:.0f} MB are enough.",
                "cut in its middle",
                lambda log=log: shorten(log),
                (log,),
            )


def shorten(log: Path) -> None:
    """Keep its beginning and its end, and say what is left out."""
    beside = log.with_name(f".{log.name}.{os.getpid():08x}")
    with open(log, "rb") as whole, open(beside, "wb") as kept:
        size = os.fstat(whole.fileno()).st_size
        for left in range(KEPT_BYTES >> 20, 0, -1):
            kept.write(whole.read(1 << 20)) if left else None
        left_out = size - KEPT_BYTES - END_BYTES
        kept.write(f"\n... {left_out:,} bytes of the log are left out here ...\n".encode())
        whole.seek(size - END_BYTES)
        kept.write(whole.read(END_BYTES))
        os.fchmod(kept.fileno(), 0o600)
    os.replace(beside, log)


def check_rights(checkup: Checkup) -> None:
    """Data, models and adapters are nobody else's."""
    open_ones, foreign = [], []
    for path, found in _below(checkup.studio.data.path, checkup.studio.settings.models_root):
        if stat.S_IMODE(found.st_mode) & OTHERS:
            (open_ones if found.st_uid == os.getuid() or os.getuid() == 0 else foreign).append(path)
    if open_ones:
        checkup.mend(
            f"Files and folders that others on this machine can read or write: {len(open_ones)}, among them {open_ones[0]}.",
            "closed to them",
            lambda: [path.chmod(stat.S_IMODE(path.stat().st_mode) & ~OTHERS) for path in open_ones],
            [path for path in open_ones if path != checkup.studio.data.path],
        )
    if foreign:
        checkup.ask(
            f"Files of another account of this machine that are open to more: {len(foreign)}, among them {foreign[0]}.",
            "Have their owner give them to the studio's account.",
        )


def _below(root: Path, models: Path) -> Iterator[tuple[Path, os.stat_result]]:
    """Everything of ours below the data folder, itself too. The folder of local models is the person's own, and a file with
    several names has the rights of the place that it came from."""
    waiting = [root]
    while waiting:
        path = waiting.pop()
        try:
            found = os.lstat(path)
            if stat.S_ISDIR(found.st_mode):
                if path == models:
                    continue
                waiting += [Path(entry.path) for entry in os.scandir(path)]
            elif not stat.S_ISREG(found.st_mode) or found.st_nlink > 1:
                continue
        except OSError:
            continue
        yield path, found
