"""A fence around code that removes and moves files: whatever it would change outside one folder is refused before it happens."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

# Audit events (docs.python.org/3/library/audit_events.html) with the places of the paths among their arguments.
CHANGES = {
    "os.remove": (0,), "os.rmdir": (0,), "os.rename": (0, 1), "os.link": (0, 1), "os.symlink": (1,), "os.mkdir": (0,), "os.chmod": (0,), "os.chown": (0,),
    "os.truncate": (0,), "os.utime": (0,), "shutil.rmtree": (0,), "shutil.move": (0, 1),
}  # fmt: skip
WRITES = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND
_inside: list[str] = []  # folder that may be changed, while there is one


class BeyondTheFence(BaseException):
    """No Exception, so that nothing under test takes it for an error of its own and goes on."""


@contextmanager
def fence(folder: Path) -> Iterator[None]:
    """In here only `folder` and what really lies below it may change: a link that leads out of it counts for where it leads."""
    _inside.append(os.path.realpath(folder))
    try:
        yield
    finally:
        _inside.pop()


def _look(event: str, arguments: tuple) -> None:
    if not _inside:
        return
    if event == "open":
        path, mode, flags = arguments
        if isinstance(path, (str, os.PathLike)) and (flags or 0) & WRITES and str(path) != os.devnull:
            _check(event, os.path.realpath(path))
        return
    for place in CHANGES.get(event, ()):
        path = arguments[place]
        if isinstance(path, (str, os.PathLike)) and os.path.isabs(
            path
        ):  # others are below a folder that is open, and was checked
            _check(event, os.path.join(os.path.realpath(os.path.dirname(path)), os.path.basename(path)))


def _check(event: str, real: str) -> None:
    if not f"{real}{os.sep}".startswith(_inside[-1] + os.sep):
        raise BeyondTheFence(f"{event} of {real}")


sys.addaudithook(_look)
