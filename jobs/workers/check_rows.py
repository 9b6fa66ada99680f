"""The second pass over a version's rows, in a process with limits: `python -m jobs.workers.check_rows <folder> <MB> <CPU-seconds>`.

It looks for what costs several times as much as reading: near duplicates, and languages. While it runs it holds the lock in
the version's folder of findings and writes there how far it is; at its end it leaves what it found, or why it could not.
"""

import fcntl
import sys
import tempfile
import time
from types import SimpleNamespace

from jobs.workers.read_data import limit
from studio.errors import StudioError
from studio.files import write_json
from studio.folders import DatasetFolder
from studio.row_checks.findings import found_in
from studio.row_checks.looking import Looking
from studio.rows import iter_training_rows
from studio.versions.rewriting import found_of

TELL_SECONDS = 0.5
TELL_ROWS = 256  # looking at the clock for each row would cost
TEXT_LIMIT = 4 << 30  # bytes: 8 times as much may be written


def main(folder: DatasetFolder, memory_mb: int, cpu_seconds: int) -> int:
    folder.findings.mkdir(exist_ok=True, mode=0o700)
    with open(folder.checking_lock, "wb") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return 0  # another process is at it
        tempfile.tempdir = str(
            folder.findings
        )  # the numbers of near duplicates: on the data's own disk, never in memory
        limit(SimpleNamespace(text_limit=TEXT_LIMIT, memory_mb=memory_mb, cpu_seconds=cpu_seconds))
        try:
            look(folder)
        except MemoryError:
            tell(folder, failed=f"It takes more than {memory_mb:,} MB of memory.", fix="Start the studio with a larger --parse-memory-mb.")  # fmt: skip
            return 1
        except StudioError as error:
            tell(folder, failed=error.problem, fix=error.fix)
            return 1
        folder.checking_progress.unlink(missing_ok=True)
    return 0


def look(folder: DatasetFolder) -> None:
    before = found_in(folder)  # of a version from before there were checks nothing
    looking = Looking(folder, ("second",) if before else ("first", "second"))
    done, told = 0, 0.0
    for row in iter_training_rows(folder):
        looking.at(found_of(row), row["heldout"])
        done += 1
        if done % TELL_ROWS == 0 and time.monotonic() - told > TELL_SECONDS:
            told = time.monotonic()
            tell(folder, rows=done)
    tell(folder, rows=done, comparing=True)
    looking.finish(before)


def tell(folder: DatasetFolder, **progress: object) -> None:
    write_json(folder.checking_progress, progress)


if __name__ == "__main__":
    sys.exit(main(DatasetFolder(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])))
