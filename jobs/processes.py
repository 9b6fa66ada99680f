"""Who a process is, beyond its number: numbers are reused, but number, start time and boot together never are."""

import ctypes
import os
import signal
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import psutil

from studio.files import write_json

ATTEMPT_MARK = "STUDIO_ATTEMPT"  # environment variable that marks every process of an attempt with its folder
PR_SET_CHILD_SUBREAPER = 36


@dataclass(frozen=True)
class Identity:
    """`start` is in seconds since the boot: unlike the time of day it does not jump when the clock is set."""

    pid: int
    start: float
    boot_id: str

    @classmethod
    def of(cls, pid: int) -> "Identity | None":
        """The process that has this number now, or None."""
        start = start_of(pid)
        return None if start is None else cls(pid, start, boot_id())

    def alive(self) -> bool:
        """Whether it still runs; one that has ended and waits to be collected does not."""
        return self.boot_id == boot_id() and start_of(self.pid) == self.start

    def signal(self, number: int) -> bool:
        """Send a signal to this process and to no other that may have got its number. False when it is gone."""
        try:
            handle = os.pidfd_open(self.pid)
        except OSError:
            return False
        try:
            if not self.alive():
                return False
            signal.pidfd_send_signal(handle, number)
            return True
        except ProcessLookupError:
            return False
        finally:
            os.close(handle)


def boot_id() -> str:
    return Path("/proc/sys/kernel/random/boot_id").read_text().strip()


def start_of(pid: int) -> float | None:
    """Seconds from the boot to the start of a living process, or None."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_bytes().rpartition(b") ")[2].split()
    except OSError:
        return None
    if fields[0] in (b"Z", b"X"):
        return None
    return int(fields[19]) / os.sysconf("SC_CLK_TCK")


def become_subreaper() -> None:
    """Orphans below this process become its children, also those that have left the session with setsid()."""
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "prctl(PR_SET_CHILD_SUBREAPER)")


def descendants() -> list[Identity]:
    """Every living process below this one."""
    return _identities(child.pid for child in psutil.Process().children(recursive=True))


def children_of(pid: int) -> list[Identity]:
    try:
        return _identities(child.pid for child in psutil.Process(pid).children())
    except psutil.NoSuchProcess:
        return []


def marked(attempt: Path) -> list[Identity]:
    """Every living process of an attempt, found by its mark: also when its supervisor was killed and they are nobody's children."""
    wanted = str(attempt.resolve())
    found = []
    for process in psutil.process_iter():
        try:
            if process.uids().real == os.getuid() and process.environ().get(ATTEMPT_MARK) == wanted:
                found.append(process.pid)
        except (psutil.Error, OSError):
            continue  # it ended while we looked, or it is not ours to look at
    return _identities(found)


def show_environment(environment: dict[str, str]) -> None:
    """Have /proc show this environment for this process, which shows the one it was started with. Raises OSError without room.

    A forked process is still shown with its parent's, and `marked` would not find it.
    """
    fields = Path("/proc/self/stat").read_bytes().rpartition(b") ")[2].split()
    start, end = int(fields[47]), int(fields[48])
    shown = b"".join(f"{name}={value}".encode() + b"\0" for name, value in environment.items())
    if not start or len(shown) > end - start:
        raise OSError(f"there is no room to show {len(shown)} bytes of environment")
    ctypes.memset(start, 0, end - start)
    ctypes.memmove(start, shown, len(shown))


def write_once(path: Path, value: dict) -> bool:
    """Make this file, whole, unless it is there already: of all processes that try, one gets True."""
    beside = path.with_name(f".{path.name}.once.{os.getpid()}")
    write_json(beside, value)
    try:
        os.link(beside, path)
    except FileExistsError:
        return False
    finally:
        beside.unlink()
    return True


def _identities(pids: Iterable[int]) -> list[Identity]:
    return [identity for pid in pids if (identity := Identity.of(pid))]
