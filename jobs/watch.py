"""One live run, from its claim until nothing of it lives: start its supervisor, ask it to end when a person wants that, see how it ended."""

import logging
import shutil
import signal
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path

from jobs.gpus import FoundDevice
from jobs.launchers.launcher import Launcher, python
from jobs.outcome import DISK_FULL, KEPT, Ending, outcome, status_of
from jobs.processes import Identity, boot_id, marked, write_once
from jobs.remedies import write_resolved
from jobs.warm import Supervisor, Warm
from studio import adapters, run_queue
from studio.checkpoint_files import has_whole_checkpoint
from studio.errors import StudioError
from studio.files import read_json, write_text
from studio.folders import AttemptFolder
from studio.metrics import RunMetrics
from studio.records import Run, Status, Want
from studio.studio import Studio

SMALL_FILE_BYTES = 64 * 2**10
PROJECT = Path(__file__).parents[1]
WANTED = {Want.PAUSE: "pause", Want.STOP: "stop", Want.CANCEL: "cancel"}
log = logging.getLogger("studio.runner")


class Watch:
    """Everything kept here can be found again on disk: a runner that starts anew makes the same watch of the same run."""

    def __init__(self, studio: Studio, run: Run):
        self.studio, self.id, self.run = studio, run.id, run
        self.attempt: AttemptFolder = studio.data.run(run.id).attempt(run.attempt_epoch)
        self.supervisor: subprocess.Popen | Supervisor | None = None  # only of the runner that started it
        self.asked: str | None = None  # what the supervisor was last asked for
        self.noted: dict = {}  # progress as the row has it
        self.ending: Ending | None = (
            None  # kept: when it could not be settled on a full disk, there may be room at the next look
        )
        self.fault = ""  # what went wrong at the last look, so that it is said once

    def start(
        self,
        launcher: Launcher,
        devices: Sequence[FoundDevice],
        threads: int,
        grace: float,
        warm: Warm | None = None,
    ) -> None:
        """Start the supervisor in a session of its own: forked by the warm parent where that can be, or else anew. Raises OSError."""
        self.attempt.create()
        write_resolved(self.run, self.attempt)
        command = launcher(self.attempt, devices, threads)
        options = [*(["--launcher"] if command.launcher else []), "--grace", str(grace)]
        argv = python("-m", "jobs.supervise", str(self.attempt.path), *options, "--", *command.argv)
        if warm and command.warm:
            self.supervisor = warm.supervise(self.attempt.path, argv, command.environment)
        if self.supervisor is None:
            with open(self.attempt.log, "ab") as said:
                self.supervisor = subprocess.Popen(
                    argv, env=command.environment, cwd=PROJECT, stdin=subprocess.DEVNULL, stdout=said, stderr=said, start_new_session=True,
                )  # fmt: skip

    def look(self, run: Run) -> bool:
        """One look at the run. True when it has ended and was settled."""
        process = read_json(self.attempt.process)
        if process and process["pid"] and run.state is Status.STARTING:
            run = run_queue.mark_running(self.studio, run, process["pid"], process["pid_start"], process["boot_id"])
        self.note_progress(run)
        self.ending = self.ending or self.ended(process)
        if self.ending:
            self.settle(run, self.ending)
            return True
        if process and run.state in (Status.PAUSING, Status.CANCELLING):
            self.ask(process, WANTED.get(run.want, "cancel"))
        return False

    def ask(self, process: dict, wanted: str) -> None:
        """Say what is wanted, then wake the supervisor. Once per wish: each SIGTERM is handed on to the workers."""
        if self.asked != wanted and (supervisor := identity(process)):
            try:
                write_text(self.attempt.want, wanted)
            except OSError:
                if wanted != "cancel":
                    raise
                self.attempt.want.unlink(
                    missing_ok=True
                )  # without a word it ends too: a full disk keeps nobody from that
            supervisor.signal(signal.SIGTERM)
            self.asked = wanted

    def note_progress(self, run: Run) -> None:
        progress = RunMetrics(self.attempt.run).progress()
        if progress and progress != self.noted:
            run_queue.note_progress(self.studio, run, progress)
            self.noted = progress

    def ended(self, process: dict | None) -> Ending | None:
        """How it ended, once nothing of it lives; None before."""
        running = self.supervisor is not None and self.supervisor.poll() is None
        if process is None:
            if running or not give_up(self.attempt):
                return None  # a supervisor is there, or just came: it says so at the next look
            return (
                Ending(never_started=True) if self.supervisor is None else Ending(lost="its supervisor could not start")
            )
        if self.attempt.exit.exists():
            return ending_of(self.attempt)
        supervisor = identity(process)
        if supervisor is None:
            return Ending(never_started=True)
        if supervisor.alive():
            return None
        if self.attempt.exit.exists():  # written between the two looks
            return ending_of(self.attempt)
        if orphans := marked(self.attempt.path):
            for orphan in orphans:
                orphan.signal(signal.SIGKILL)
            return None  # they are gone at the next look
        rebooted = process["boot_id"] != boot_id()
        if not rebooted and disk_is_full(self.attempt):
            return Ending(code=DISK_FULL)  # what ended could not even say so
        return Ending(lost="the machine was restarted" if rebooted else "its supervisor was killed")

    def settle(self, run: Run, ending: Ending) -> None:
        self.note_progress(run)  # it may have gone on since the last look
        run.step = self.noted.get("step", run.step)
        refused, adapter = None, None
        try:
            if status_of(read_json(self.attempt.result, {}), ending) in KEPT:
                adapter = adapters.take_in(self.studio, run, self.attempt)
        except StudioError as error:
            refused = error
        found = outcome(
            run,
            self.attempt,
            ending,
            refused,
            has_checkpoint=has_whole_checkpoint(self.attempt.run),
        )
        kept = adapter if found.to is Status.SUCCEEDED else None
        run_queue.settle(self.studio, run, found.to, found.text, kept, **{**self.noted, **found.values})
        log.info("%s (%s): %s. %s", run.name, run.id, found.to.value, found.text.partition("\n")[0])


def identity(process: dict) -> Identity | None:
    """The supervisor as process.json tells; None for an attempt that was given up."""
    return Identity(process["pid"], process["pid_start"], process["boot_id"]) if process["pid"] else None


def ending_of(attempt: AttemptFolder) -> Ending:
    found = read_json(attempt.exit, {})
    return Ending(found.get("code"), found.get("signal"), bool(found.get("killed_by_us")))


def disk_is_full(attempt: AttemptFolder) -> bool:
    """Too full for a small file, which is why nobody said how it ended."""
    return shutil.disk_usage(attempt.path).free < SMALL_FILE_BYTES


def give_up(attempt: AttemptFolder) -> bool:
    """Take process.json, which only one process ever can, so that a supervisor that comes late starts nothing. False when one has it."""
    attempt.create()
    return write_once(attempt.process, {"pid": None, "at": time.time()})
