"""The loop that brings runs to their devices: claim, start, watch, settle. `python -m jobs.runner`; it may die at any moment and be started again."""

import argparse
import logging
import signal
import sys
import time
from collections.abc import Sequence

from filelock import FileLock, Timeout

from jobs import downloads, lab, others, suites
from jobs.gpus import FoundDevice, find_devices, threads_per_run
from jobs.launchers import LAUNCHERS
from jobs.launchers.launcher import Launcher
from jobs.outcome import not_started
from jobs.postman import Postman
from jobs.signals import Signals
from jobs.supervise import GRACE_SECONDS
from jobs.warm import Warm
from jobs.watch import Watch
from studio import chat, chat_device, run_queue
from studio.errors import Conflict, StudioError
from studio.folders import DataFolder, new_id
from studio.limits import check_room
from studio.line.cards import card_of
from studio.line.devices import see_devices, slots_on
from studio.logs import keep_log
from studio.records import Run
from studio.settings import read_settings
from studio.space import retention
from studio.studio import Studio
from studio.transitions import Stale
from studio.wake import wake_up_call

LOCK_SECONDS = 3  # a runner that is ending lets go of its lock within this time
TIDY_SECONDS = 3600.0
log = logging.getLogger("studio.runner")


class Runner:
    def __init__(
        self,
        studio: Studio,
        devices: Sequence[FoundDevice],
        launcher: Launcher,
        grace: float = GRACE_SECONDS,
        warm: Warm | None = None,
    ):
        self.warm = warm
        self.studio, self.devices, self.launcher, self.grace = (
            studio,
            {device.id: device for device in devices},
            launcher,
            grace,
        )
        self.id = new_id()
        self.watches: dict[tuple[str, int], Watch] = {}  # by run and attempt
        self.postman = Postman(studio)
        self.beat_at = 0.0  # time.monotonic() of the last heartbeat
        self.tidied_at = 0.0  # time.monotonic() of the last look for what may go
        self.looked_at = 0.0  # time.monotonic() of the last look at the devices
        self.disk_full = False

    @property
    def slots(self) -> int:
        """How many trainings there may be at once, at most."""
        return sum(slots_on(self.studio, id) for id in self.devices)

    def run(self, signals: Signals) -> None:
        """Until a signal comes. Trainings go on without us."""
        see_devices(self.studio, [(device.id, device.name, device.memory_bytes) for device in self.devices.values()])
        for run in run_queue.adopt(self.studio, self.id):
            log.info("%s (%s) is found again: %s.", run.name, run.id, run.state.value)
        self.tick()
        while not signals.wait(self.studio.settings.poll_seconds):
            self.tick()
        if self.warm:
            self.warm.close()
        run_queue.say_goodbye(self.studio)

    def tick(self) -> None:
        """One look at everything. What fails is tried again at the next tick; one part never keeps the others from theirs."""
        parts = (
            self.beat,
            self.look_at_devices,
            self.look_at_runs,
            self.look_at_the_chat,
            self.look_at_suites,  # before `claim`: in one line with the trainings, the older one gets the free device
            self.claim,
            self.look_at_downloads,
            self.look_at_the_lab,
            self.postman.tick,
            self.keep_tidy,
            self.keep_warm,
        )
        for part in parts:
            try:
                part()
            except Stale:
                log.info("A run changed while it was looked at; it is looked at again.")
            except StudioError as error:
                log.warning("%s %s", error.problem, error.fix)
            except Exception:
                log.exception("The runner met an error and goes on.")

    def beat(self) -> None:
        if time.monotonic() - self.beat_at >= run_queue.HEARTBEAT_SECONDS or not self.beat_at:
            run_queue.heartbeat(self.studio, self.id)
            self.beat_at = time.monotonic()

    def look_at_devices(self) -> None:
        """What others hold of the GPUs, as often as the heart beats."""
        if time.monotonic() - self.looked_at >= run_queue.HEARTBEAT_SECONDS or not self.looked_at:
            others.look(self.studio, list(self.devices.values()))
            self.looked_at = time.monotonic()

    def look_at_runs(self) -> None:
        live = run_queue.live_runs(self.studio, self.id)
        known = {(run.id, run.attempt_epoch) for run in live}
        self.watches = {key: watch for key, watch in self.watches.items() if key in known}
        for run in live:
            key = (run.id, run.attempt_epoch)
            watch = self.watches.setdefault(key, Watch(self.studio, run))
            try:
                if watch.look(run):
                    del self.watches[key]
            except Stale:
                log.info("%s (%s) changed while it was looked at; it is looked at again.", run.name, run.id)
            except Exception as error:
                if str(error) != watch.fault:
                    log.exception("%s (%s) could not be looked at; it is tried again.", run.name, run.id)
                watch.fault = str(error)

    def claim(self) -> None:
        """Start what may start now."""
        if self.no_room():
            return
        while claimed := run_queue.claim_next(self.studio, self.id, list(self.devices)):
            self.start(*claimed)

    def no_room(self) -> bool:
        """Whether the disk is too full to start anything; said once."""
        try:
            check_room(self.studio)
            self.disk_full = False
        except Conflict as error:
            if not self.disk_full:
                log.warning("Nothing is started: %s %s", error.problem, error.fix)
            self.disk_full = True
        return self.disk_full

    def start(self, run: Run, devices: list[str]) -> None:
        watch = self.watches[run.id, run.attempt_epoch] = Watch(self.studio, run)
        threads = threads_per_run(self.studio.settings.threads, self.slots)
        try:
            # Whatever went wrong with it at first, the next attempt is a process of its own
            warm = self.warm if run.attempt == 1 else None
            watch.start(self.launcher, [self.devices[card_of(id)] for id in devices], threads, self.grace, warm)
            log.info("%s (%s) starts on %s, attempt %d.", run.name, run.id, ", ".join(devices), run.attempt)
        except Exception as error:
            log.exception("%s (%s) cannot be started.", run.name, run.id)
            del self.watches[run.id, run.attempt_epoch]
            found = not_started(run, watch.attempt, error)
            run_queue.settle(self.studio, run, found.to, found.text, **found.values)

    def keep_tidy(self) -> None:
        """Let checkpoints of ended runs go when their time has come."""
        if time.monotonic() - self.tidied_at >= TIDY_SECONDS or not self.tidied_at:
            self.tidied_at = time.monotonic()
            if freed := retention.let_go(self.studio, retention.spare(self.studio)):
                log.info("Checkpoints of ended runs were deleted: %.2f GiB.", freed / 2**30)

    def keep_warm(self) -> None:
        if self.warm:
            self.warm.tick(busy=len(self.watches) >= self.slots)

    def look_at_downloads(self) -> None:
        downloads.tick(self.studio)

    def look_at_suites(self) -> None:
        suites.tick(self.studio, self.devices, threads_per_run(self.studio.settings.threads, self.slots))

    def look_at_the_chat(self) -> None:
        """While it has a device: it gives way to a run that waits for nothing else."""
        with self.studio.database.read() as session:
            held = chat_device.is_held(session)
        if held:
            chat.make_way(self.studio, run_queue.wants_chat_to_leave(self.studio, list(self.devices)))

    def look_at_the_lab(self) -> None:
        lab.tick(self.studio, threads_per_run(self.studio.settings.threads, self.slots))


def main(arguments: list[str] | None = None, launcher: Launcher | None = None, grace: float = GRACE_SECONDS) -> int:
    parser = argparse.ArgumentParser(prog="python -m jobs.runner", description=__doc__.partition("\n")[0])
    parser.add_argument(
        "--until-stdin-closes", action="store_true", help="end when the program that started this one ends"
    )
    parser.add_argument(
        "--launcher",
        choices=LAUNCHERS,
        default="local",
        help="how workers are started; inline starts them without accelerate",
    )
    options = parser.parse_args(arguments)
    signals = Signals(signal.SIGINT, signal.SIGTERM, stream=sys.stdin.buffer if options.until_stdin_closes else None)
    try:
        settings = read_settings()
        keep_log(settings, "runner")
        data = DataFolder(settings.root).create()
        with only_one(data):
            studio = Studio.open(settings)
            devices = find_devices(settings.device)
            log.info(
                "The runner is ready. Devices: %s.", ", ".join(f"{device.name} ({device.id})" for device in devices)
            )
            launcher = launcher or LAUNCHERS[options.launcher]
            signals.listen_to(wake_up_call(data))
            Runner(studio, devices, launcher, grace, warm_parent(studio, launcher, devices)).run(signals)
            studio.database.close()
    except StudioError as error:
        print(f"{error.problem} {error.fix}", file=sys.stderr)
        return 2
    log.info("The runner has ended. Trainings go on, and are found again when it is started.")
    return 0


def warm_parent(studio: Studio, launcher: Launcher, devices: Sequence[FoundDevice]) -> Warm | None:
    """Only for the launcher that can use it."""
    if not studio.settings.warm_start or launcher is not LAUNCHERS["local"]:
        return None
    threads = threads_per_run(studio.settings.threads, len(devices))
    gpu = any(device.kind == "cuda" for device in devices)
    return Warm(studio.data, threads, 60 * studio.settings.warm_minutes, gpu)


def only_one(data: DataFolder) -> FileLock:
    """The lock that says there is one runner on this data folder; held until it is released or we die. Raises Conflict."""
    lock = FileLock(data.runner_lock)
    try:
        lock.acquire(timeout=LOCK_SECONDS)
    except Timeout:
        raise Conflict(
            f"Another runner works on the data folder {data.path}.",
            "End that one first, or choose another folder with --data-folder.",
        ) from None
    return lock


if __name__ == "__main__":
    sys.exit(main())
