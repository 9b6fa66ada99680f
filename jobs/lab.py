"""Jobs on finished adapters: start one at a time, watch it, settle it when its worker is gone. Called at each tick of the runner.

A worker lives for as long as it holds its folder's lock: whoever started it, and whatever became of that runner.
"""

import contextlib
import fcntl
import logging
import os
import signal
import subprocess
import sys

from jobs.processes import Identity
from studio import adapter_job_queue as queue
from studio.child_environment import PROJECT, child_environment
from studio.files import read_json
from studio.folders import AdapterJobFolder
from studio.records import AdapterJob
from studio.studio import Studio

log = logging.getLogger("studio.runner")
_started: dict[
    str, subprocess.Popen
] = {}  # children of this runner: they may not hold their lock yet, and are collected when they end


def tick(studio: Studio, threads: int = 1) -> None:
    for job in queue.running(studio):
        look_at(studio, job, threads)
    if job := queue.claim(studio):
        start(studio, job, threads)


def look_at(studio: Studio, job: AdapterJob, threads: int) -> None:
    folder = studio.data.adapter_job(job.id)
    if alive(folder):
        if job.cancel:
            end(folder)
        queue.note_progress(studio, job)
    elif folder.process.exists() or job.id in _started or job.cancel:
        _started.pop(job.id, None)
        settled = queue.settle(studio, job)
        log.info("%s: %s", settled.name, settled.problem or settled.state.value)
    else:  # claimed by a runner that ended before it could start it
        start(studio, job, threads)


def start(studio: Studio, job: AdapterJob, threads: int) -> None:
    folder = studio.data.adapter_job(job.id)
    with open(folder.log, "ab") as output:
        _started[job.id] = subprocess.Popen(
            [sys.executable, "-m", "jobs.workers.lab", str(folder.path)],
            cwd=PROJECT, env=child_environment(threads), stdin=subprocess.DEVNULL, stdout=output, stderr=output, umask=0o077, start_new_session=True,
        )  # fmt: skip
    log.info("%s (%s) is being made.", job.name, job.kind)


def alive(folder: AdapterJobFolder) -> bool:
    child = _started.get(folder.id)
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


def end(folder: AdapterJobFolder) -> None:
    """Kill the worker and what it has started, which are a session of their own; at the next look they are gone."""
    child = _started.get(folder.id)
    found = read_json(folder.process)
    pid = child.pid if child is not None else found["pid"] if found and Identity(**found).alive() else None
    if pid is not None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(pid, signal.SIGKILL)
