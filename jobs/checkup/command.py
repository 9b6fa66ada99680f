"""The doctor at the command line: which checks there are, in which order, and what is printed of them."""

import argparse
import contextlib
import fcntl
import logging
import os
import sys
from collections.abc import Callable, Iterator

from filelock import FileLock, Timeout
from sqlalchemy.exc import SQLAlchemyError

from jobs.checkup import checkpoint_checks, database_health, folder_checks, housekeeping, leftovers, queue_checks
from jobs.checkup.finding import Checkup, Finding
from studio.database import Database
from studio.errors import StudioError
from studio.folders import DataFolder
from studio.settings import StudioSettings, read_settings
from studio.studio import Studio

CLEAN, MENDED, NEEDS_PERSON = 0, 1, 2
ABOUT = (
    "Check a studio's data folder and database, and mend what a crash left behind. Nothing that a person made is deleted: "
    "what nothing knows of is moved to the folder set-aside. Exit code 0: all is well; 1: found and mended; 2: something needs you. "
    "Options of `python app.py`, such as --data-folder, may follow."
)
CHECKS: tuple[tuple[str, Callable[[Checkup], None]], ...] = (
    ("references in the database", database_health.check_references),
    ("runs whose process is gone", queue_checks.check_processes),
    ("devices", queue_checks.check_devices),
    ("leases", queue_checks.check_leases),
    ("folders that nothing knows of", folder_checks.check_orphans),
    ("versions of data", folder_checks.check_versions),
    ("attempts", folder_checks.check_attempts),
    ("checkpoints", checkpoint_checks.check_checkpoints),
    ("files of what is listed", folder_checks.check_files_of_rows),
    ("uploads", leftovers.check_uploads),
    ("downloads", leftovers.check_downloads),
    ("jobs that ended", leftovers.check_ended_jobs),
    ("copies for Compare", leftovers.check_kept_checkpoints),
    ("half-written files", leftovers.check_halves),
    ("logs", housekeeping.check_logs),
    ("rights", housekeeping.check_rights),
    ("the disk", housekeeping.check_disk),
)
log = logging.getLogger("studio.doctor")


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="python app.py doctor", description=ABOUT)
    parser.add_argument("--dry-run", "--check", action="store_true", help="change nothing, say what would be done")
    parser.add_argument("--quick", action="store_true", help="compare the sizes of files, and do not read them whole")
    options, rest = parser.parse_known_args(arguments)
    os.umask(0o077)
    logging.getLogger("alembic").setLevel(logging.WARNING)
    try:
        findings = check_up(read_settings(rest), options.dry_run, options.quick)
    except StudioError as error:
        print(f"{error.problem}\n{error.fix}", file=sys.stderr)
        return NEEDS_PERSON
    for line in said(findings, options.dry_run):
        print(line)
    return exit_code(findings)


def check_up(settings: StudioSettings, dry: bool = False, quick: bool = False) -> list[Finding]:
    """Everything that is found, and mended unless `dry`. Raises Invalid for settings that cannot be."""
    data = DataFolder(settings.root)
    file = database_health.sqlite_file(settings.url_of_database)
    if not data.path.is_dir() or (file is not None and not file.is_file()):
        missing = file if data.path.is_dir() else data.path
        return [
            Finding(f"There is no studio here: {missing} is not there.", "Name its folder with --data-folder.", False)
        ]
    if file is not None and (fault := database_health.fault_of_file(file)):
        return [Finding(f"The database {file} is damaged: {fault}.", database_health.BACKUP, False)]
    database = Database(settings.url_of_database)
    try:
        with at_work(data, hold=not dry) as (runner, web):
            checkup = Checkup(Studio(settings, database, data), dry, quick, runner, web)
            if _made(checkup, "the database's version", lambda it: database_health.check_version(it, database)):
                for name, check in CHECKS:
                    _made(checkup, name, check)
            return checkup.findings
    finally:
        database.close()


def _made(checkup: Checkup, name: str, check: Callable[[Checkup], object]) -> object:
    """One check that cannot be made keeps no other from being made."""
    try:
        return check(checkup)
    except (OSError, StudioError, SQLAlchemyError, ValueError, LookupError, TypeError) as error:
        log.debug("the check of %s", name, exc_info=error)
        checkup.ask(
            f"The check of {name} could not be made: {error}.", "Mend what stands above, and call the doctor again."
        )
    return False


@contextlib.contextmanager
def at_work(data: DataFolder, hold: bool) -> Iterator[tuple[bool, bool]]:
    """Whether (a runner, a web app) works on this folder. `hold`: none of those that do not may start before we are done."""
    with contextlib.ExitStack() as held:
        runner = FileLock(data.runner_lock)
        try:
            runner.acquire(timeout=0)
            held.callback(runner.release)
            runner_at_work = False
        except Timeout:
            runner_at_work = True
        web = held.enter_context(open(data.web_lock, "ab"))
        try:
            fcntl.flock(web, fcntl.LOCK_EX | fcntl.LOCK_NB)
            web_at_work = False
        except BlockingIOError:
            web_at_work = True
        if not hold:
            held.close()
        yield runner_at_work, web_at_work


def said(findings: list[Finding], dry: bool) -> list[str]:
    mended, waiting = [found for found in findings if found.mended], [found for found in findings if not found.mended]
    lines = [f"{'Found' if dry else 'Mended'}: {found}" for found in mended] + [
        f"For you: {found}" for found in waiting
    ]
    if not lines:
        return ["All is well: nothing had to be mended."]
    done = f"{len(mended)} would be mended" if dry else f"{len(mended)} mended"
    return [*lines, f"{done}, {len(waiting)} for you."]


def exit_code(findings: list[Finding]) -> int:
    if any(not found.mended for found in findings):
        return NEEDS_PERSON
    return MENDED if findings else CLEAN
