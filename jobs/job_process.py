"""The worker process of a job that does its work on its own: start it, see whether it lives, end it.

A worker lives for as long as it holds its folder's lock: whoever started it, and whatever became of that runner.
"""

import contextlib
import fcntl
import os
import signal
import subprocess
import sys
from collections.abc import Mapping

from jobs.processes import Identity
from studio.child_environment import PROJECT, child_environment
from studio.files import read_json
from studio.folders import JobFolder

# children of this runner, by their folder: they may not hold their lock yet, and are collected when they end
_started: dict[str, subprocess.Popen] = {}


def start(folder: JobFolder, module: str, threads: int, more: Mapping[str, str] | None = None) -> None:
    """`python -m <module> <folder>` in a session of its own, writing to the folder's log; `more` is added to its environment."""
    with open(folder.log, "ab") as output:
        _started[str(folder.path)] = subprocess.Popen(
            [sys.executable, "-m", module, str(folder.path)],
            cwd=PROJECT, env=child_environment(threads, more), stdin=subprocess.DEVNULL, stdout=output, stderr=output, umask=0o077, start_new_session=True,
        )  # fmt: skip


def alive(folder: JobFolder) -> bool:
    child = _started.get(str(folder.path))
    if child is not None and child.poll() is None:
        return True
    try:
        with open(folder.lock, "rb") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except FileNotFoundError:
        return False
    except BlockingIOError:
        return True
    return False


def has_begun(folder: JobFolder) -> bool:
    """Whether a worker was started for it, by this runner or by one before it."""
    return folder.process.exists() or str(folder.path) in _started


def forget(folder: JobFolder) -> None:
    """Its worker has ended and is settled."""
    _started.pop(str(folder.path), None)


def end(folder: JobFolder) -> None:
    """Kill the worker and what it has started, which are a session of their own; at the next look they are gone."""
    child = _started.get(str(folder.path))
    found = read_json(folder.process)
    pid = child.pid if child is not None else found["pid"] if found and Identity(**found).alive() else None
    if pid is not None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(pid, signal.SIGKILL)
