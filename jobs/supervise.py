"""Stand over one attempt: `python -m jobs.supervise <attempt folder> -- <command>`. It ends when nothing of the command's tree lives.

The runner may die at any moment, so the attempt belongs to this small process instead: it says who it is before the
worker starts, keeps the log, hands on SIGTERM, kills what does not end, and writes down how it went. On SIGTERM it
reads AttemptFolder.want: "pause" and "stop" wait for the worker to save; anything else kills it after the grace.
"""

import argparse
import contextlib
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil

from jobs.forked import Forked
from jobs.logfile import LogFile
from jobs.processes import Identity, become_subreaper, children_of, descendants, write_once
from jobs.signals import Signals
from studio.files import write_json
from studio.folders import AttemptFolder

PROJECT = Path(__file__).parents[1]
GRACE_SECONDS = 30.0  # from a cancel to SIGKILL
LEFTOVER_SECONDS = 3.0  # what a worker left behind may take to end by itself
WRITE_AGAIN_SECONDS = (0.2, 1.0, 2.0, 4.0)
ROOM_BYTES = 4096
NOT_OURS = 3  # exit code: another process has this attempt


def main(arguments: list[str] | None = None) -> int:
    options, command = parse(sys.argv[1:] if arguments is None else arguments)
    os.umask(0o077)
    become_subreaper()
    return Supervisor(AttemptFolder(options.attempt), command, options.launcher, options.grace, options.forked).run()


def parse(arguments: list[str]) -> tuple[argparse.Namespace, list[str]]:
    parser = argparse.ArgumentParser(prog="python -m jobs.supervise", description=__doc__.splitlines()[0])
    parser.add_argument("attempt", type=Path, help="the attempt's folder")
    parser.add_argument(
        "--launcher", action="store_true", help="the command only starts the workers: signals go to its children"
    )
    parser.add_argument("--grace", type=float, default=GRACE_SECONDS, help="seconds from a cancel to SIGKILL")
    parser.add_argument(
        "--forked", type=Forked.read, help="a worker that the warm parent has forked: its number and pipes, for its use"
    )
    cut = arguments.index("--")
    return parser.parse_args(arguments[:cut]), arguments[cut + 1 :]


class Supervisor:
    def __init__(
        self,
        attempt: AttemptFolder,
        command: list[str],
        launcher: bool = False,
        grace: float = GRACE_SECONDS,
        forked: Forked | None = None,
    ):
        self.attempt, self.command, self.launcher, self.grace = attempt, command, launcher, grace
        self.forked = forked
        self.asked = False  # SIGTERM has come
        self.deadline: float | None = None  # time.monotonic() at which everything is killed
        self.told: set[Identity] = set()  # workers that got SIGTERM since it last came
        self.killed = False
        self.signals = Signals(
            signal.SIGTERM, signal.SIGCHLD, signal.SIGINT, signal.SIGHUP
        )  # before anyone can know of us

    def run(self) -> int:
        if not write_once(self.attempt.process, described(None)):
            return NOT_OURS
        self.keep_room()
        with LogFile(self.attempt.log, ends=self.forked and self.forked.log) as log:
            try:
                child = self.forked_worker(log) or self.start(log)
            except OSError as error:
                log.write(f"{self.command[0]} cannot be started: {error}\n")
                return self.finish(127)
            log.close_pipe()
            self.watch(child)
            self.sweep()
        return self.finish(child.returncode)

    def start(self, log: LogFile) -> subprocess.Popen:
        """The command as a process of its own. Raises OSError."""
        child = subprocess.Popen(
            self.command,
            stdin=subprocess.DEVNULL,
            stdout=log.pipe,
            stderr=log.pipe,
            cwd=PROJECT,
            start_new_session=True,
            restore_signals=True,
        )
        self.write_process(Identity.of(child.pid))
        return child

    def forked_worker(self, log: LogFile) -> Forked | None:
        """The worker that the warm parent forked for us, let go; None when there is none that can."""
        if self.forked is None:
            return None
        if self.forked.is_ready():
            self.write_process(Identity.of(self.forked.pid))
            if self.forked.let_go():
                self.launcher = False  # signals go to it, not to children of it
                return self.forked
        self.forked.end()
        log.write("The warm start did not work; the worker is started anew.\n")
        return None

    def wait(self, seconds: float) -> None:
        if signal.SIGTERM in self.signals.wait(seconds):
            self.asked, self.told = True, set()
            if self.deadline is None and self.wanted() not in ("pause", "stop"):
                self.deadline = time.monotonic() + self.grace

    def wanted(self) -> str:
        try:
            return self.attempt.want.read_text().strip()
        except OSError:
            return ""

    def watch(self, child: subprocess.Popen | Forked) -> None:
        """Until the command has ended: hand on SIGTERM, also to workers that start after it came."""
        while child.poll() is None:
            self.wait(1.0)
            reap(except_for=child.pid)
            if self.asked:
                self.terminate(child)
            if self.deadline is not None and time.monotonic() >= self.deadline:
                self.kill_all()

    def terminate(self, child: subprocess.Popen | Forked) -> None:
        """A launcher that gets SIGTERM abandons its workers, so they get it; before there are any, only a cancel ends the launcher."""
        workers = children_of(child.pid) if self.launcher else []
        if not workers and (not self.launcher or self.deadline is not None):
            workers = [Identity.of(child.pid)]
        for worker in workers:
            if worker and worker not in self.told:
                self.told.add(worker)
                worker.signal(signal.SIGTERM)

    def kill_all(self) -> None:
        self.killed = True
        for process in descendants():
            process.signal(signal.SIGKILL)

    def sweep(self) -> None:
        """After the command has ended: whatever it left behind gets a moment, then SIGTERM, then SIGKILL, until nothing lives."""
        began, warned = time.monotonic(), False
        while living := descendants():
            spent = time.monotonic() - began
            if spent > 2 * LEFTOVER_SECONDS or (self.deadline is not None and time.monotonic() >= self.deadline):
                for process in living:
                    process.signal(signal.SIGKILL)
            elif spent > LEFTOVER_SECONDS and not warned:
                warned = True
                for process in living:
                    process.signal(signal.SIGTERM)
            self.wait(0.1)
            reap()

    def write_process(self, worker: Identity | None) -> None:
        write_json(self.attempt.process, described(worker))

    def finish(self, code: int) -> int:
        found = {
            "code": code if code >= 0 else None,
            "signal": -code if code < 0 else None,
            "killed_by_us": self.killed,
            "at": time.time(),
        }
        for seconds in (*WRITE_AGAIN_SECONDS, None):
            try:
                write_json(self.attempt.exit, found)
                break
            except OSError:  # most likely the disk is full: without the file, the runner sees that and pauses the run
                if seconds is None:
                    raise
                if self.attempt.room.exists():
                    self.attempt.room.unlink()
                else:
                    time.sleep(seconds)
        self.attempt.room.unlink(missing_ok=True)
        return 0

    def keep_room(self) -> None:
        """A block of the disk, to be given back when there is no other for the last word."""
        with contextlib.suppress(OSError):
            self.attempt.room.write_bytes(bytes(ROOM_BYTES))


def described(worker: Identity | None) -> dict:
    me = Identity.of(os.getpid())
    return {
        "pid": me.pid,
        "pid_start": me.start,
        "boot_id": me.boot_id,
        "worker_pid": worker and worker.pid,
        "worker_start": worker and worker.start,
        "at": time.time(),
    }


def reap(except_for: int | None = None) -> None:
    """Collect orphans that have ended, so that their numbers are free again."""
    for child in psutil.Process().children():
        if child.pid != except_for and Identity.of(child.pid) is None:
            os.waitpid(child.pid, os.WNOHANG)


if __name__ == "__main__":
    sys.exit(main())
