"""What must outlive a power cut: its writes, fsyncs, renames and removals go through here, so that tests can make any one of them fail."""

import errno
import os
import shutil
from collections.abc import Callable
from pathlib import Path

FULL = (errno.ENOSPC, errno.EDQUOT)
BROKEN = (errno.EIO, errno.ESTALE, errno.EREMOTEIO, errno.ENXIO, errno.ETIMEDOUT)  # what network and dying disks say
SAID_OF_FULL = ("No space left on device", "Disk quota exceeded")  # by libraries that keep no error number
SAID_OF_BROKEN = ("Input/output error", "Stale file handle", "Remote I/O error")


def reached(what: str, path: Path) -> None:
    """Called before each of them ("write" a file, "fill" a folder, "sync", "rename", "remove"); does nothing. Tests put a fault in its place."""


def write(path: Path, by: Callable[[Path], object]) -> None:
    """Have `by` write this file, and the disk keep it. Raises OSError."""
    reached("write", path)
    by(path)
    sync(path)


def sync(path: Path) -> None:
    """Have the file, or the folder's list of names, on the disk before going on. Raises OSError."""
    reached("sync", path)
    opened = os.open(path, os.O_RDONLY)
    try:
        os.fsync(opened)
    finally:
        os.close(opened)


def sync_below(folder: Path) -> None:
    """Every file and folder below this one, and itself. Raises OSError."""
    for path in sorted(folder.rglob("*"), reverse=True):
        sync(path)
    sync(folder)


def rename(source: Path, target: Path) -> None:
    """Give a file or folder its name; a file that has it is replaced, an empty folder too. Raises OSError."""
    reached("rename", target)
    os.replace(source, target)


def remove(folder: Path) -> None:
    """A folder with what is in it, as far as that can be; one that is not there is no matter."""
    reached("remove", folder)
    shutil.rmtree(folder, ignore_errors=True)


def is_full(error: BaseException) -> bool:
    """Whether the disk has no room left, or the person's share of it is used up."""
    return (isinstance(error, OSError) and error.errno in FULL) or any(said in str(error) for said in SAID_OF_FULL)


def is_broken(error: BaseException) -> bool:
    """Whether the file system failed in a way that may pass."""
    return (isinstance(error, OSError) and error.errno in BROKEN) or any(said in str(error) for said in SAID_OF_BROKEN)
