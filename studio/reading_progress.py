"""How far the reading of a data file is: told by the process that reads, kept beside what it writes."""

import time
from collections.abc import Callable, Iterator

from studio.containers.container import Container, SourceRow
from studio.files import write_json
from studio.folders import DatasetFolder

EVERY_ROWS = 1024  # looking at the clock for each row would cost
EVERY_SECONDS = 0.5

Tell = Callable[[int, float | None], None]
"""tell(rows read, share of the file from 0 to 1; None where that is not known)."""


def telling(container: Container, size: int, tell: Tell) -> Iterator[SourceRow]:
    """The container's rows; on the way, now and then, how many have been read of a file of so many bytes."""
    told = time.monotonic()
    for number, row in enumerate(container.rows, 1):
        if number % EVERY_ROWS == 0 and time.monotonic() - told > EVERY_SECONDS:
            told, read = time.monotonic(), container.bytes_read()
            tell(number, None if read is None else min(1.0, read / max(1, size)))
        yield row


def teller(folder: DatasetFolder) -> Tell:
    return lambda rows, share: write_json(folder.reading_progress, {"rows": rows, "share": share})
