"""What the checks found in a version, and the second pass over its rows: started here, done by a process of its own."""

import fcntl
import subprocess
import sys
import threading
from dataclasses import dataclass
from typing import Any

from studio.child_environment import PROJECT, child_environment
from studio.errors import Invalid, TooMany, clip
from studio.files import read_json
from studio.folders import DatasetFolder
from studio.row_checks.findings import Found, findings_of, found_in
from studio.row_checks.kinds import CHECKS
from studio.row_checks.left_out import left_out_of
from studio.rows import read_rows
from studio.studio import Studio
from studio.versions.edits import LEFT_OUT
from studio.versions.lineage import folder_of, get_version, report_on

CHECKER = "jobs.workers.check_rows"
MOST_AT_ONCE = 2  # second passes of one studio
MOST_ROWS = 50  # findings of one page
_running: set[str] = set()
_guard = threading.Lock()


@dataclass(frozen=True)
class Checked:
    """How a version stands with its checks."""

    found: Found | None
    """None: nobody has looked at these rows yet."""
    left_out: int
    running: bool
    progress: float | None = None
    """Of the second pass, from 0 to 1, while it runs."""
    failed: str | None = None
    """Why the last second pass has not come to its end."""
    fix: str = ""

    @property
    def counts(self) -> dict[str, int]:
        """By kind, in the order in which they are shown: the kinds that most rows have first."""
        counted = dict(self.found.counts) if self.found else {}
        if self.left_out:
            counted[LEFT_OUT] = self.left_out
        return dict(sorted(counted.items(), key=lambda each: -each[1]))


def checked_state(studio: Studio, id: str, number: int | None = None) -> Checked:
    version = get_version(studio, id, number)
    folder = folder_of(studio, version)
    running, told = is_running(folder), read_json(folder.checking_progress) or {}
    share = min(1.0, told.get("rows", 0) / max(1, version.rows)) if running else None
    failed = None
    if told and not running:
        failed = told.get("failed", "The check was broken off.")
    fix = told.get("fix", "Start it again.") if failed else ""
    return Checked(found_in(folder), report_on(studio, version).rows_left_out, running, share, failed, fix)


def is_running(folder: DatasetFolder) -> bool:
    if str(folder.path) in _running:
        return True
    try:
        with open(folder.checking_lock, "rb") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except FileNotFoundError:
        return False
    except BlockingIOError:
        return True
    return False


def start_check(studio: Studio, id: str, number: int | None = None) -> Checked:
    """Have the second pass made, unless it runs already. Raises TooMany where others do."""
    version = get_version(studio, id, number)
    folder = folder_of(studio, version)
    with _guard:
        if not is_running(folder):
            if len(_running) >= MOST_AT_ONCE:
                raise TooMany(f"{MOST_AT_ONCE} data sets are being checked already.", "Wait until one is done.")
            _start(studio, folder)
    return checked_state(studio, id, number)


def _start(studio: Studio, folder: DatasetFolder) -> None:
    settings = studio.settings
    limits = [str(settings.parse_memory_mb), str(settings.parse_seconds)]
    folder.checking_progress.unlink(missing_ok=True)
    child = subprocess.Popen(
        [sys.executable, "-m", CHECKER, str(folder.path.resolve()), *limits],
        cwd=PROJECT, env=child_environment(1), stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        umask=0o077, start_new_session=True,
    )  # fmt: skip
    _running.add(str(folder.path))

    def ended() -> None:
        child.wait()
        _running.discard(str(folder.path))

    threading.Thread(target=ended, daemon=True).start()


def shown(checked: Checked) -> dict[str, Any]:
    """The API's view."""
    kinds = [
        {"check": name, "rows": count, "title": CHECKS[name].title, "harm": CHECKS[name].harm, "fix": CHECKS[name].fix}
        for name, count in checked.counts.items()
        if name in CHECKS
    ]
    return {
        "checked": checked.found is not None,
        "second_pass": bool(checked.found and checked.found.second_pass),
        "running": checked.running,
        "progress": checked.progress,
        "failed": checked.failed,
        "rows_left_out": checked.left_out,
        "kinds": kinds,
        "turns": checked.found.turns if checked.found else {},
        "languages": checked.found.languages if checked.found else {},
    }


def page_of(studio: Studio, id: str, number: int | None, check: str, start: int = 0, count: int = 20) -> dict[str, Any]:
    """Some rows with one kind of finding, each with what was found, and the row itself; or of those that were left out."""
    version = get_version(studio, id, number)
    folder, count = folder_of(studio, version), min(count, MOST_ROWS)
    if check == LEFT_OUT:
        items = [left.model_dump() for left in left_out_of(folder, start, count + 1)]
    elif check in CHECKS:
        items = [
            {"row": place + 1, "found": said, "value": (read_rows(folder, place, 1) or [None])[0]}
            for place, said in findings_of(folder, check, start, count + 1)
        ]
    else:
        known = ", ".join((*CHECKS, LEFT_OUT))
        raise Invalid(f"There is no kind of finding '{clip(check, 40)}'.", f"Choose one of: {known}.", "check")
    return {"items": items[:count], "next": start + count if len(items) > count else None}
