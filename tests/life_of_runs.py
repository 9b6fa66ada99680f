"""A hypothesis machine: people, two runners and simulated trainings do everything they can in any order; design/jobs.md's invariants are checked after each step.

What is real: the database file, runs.py, run_queue.py, Runner, Watch, outcome, remedies, and all files of a run. What is
simulated: processes (they live in a table here) and the clock, which jumps.
"""

import contextlib
import shutil
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace

from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)
from sqlalchemy import delete, select

from jobs import runner as runner_module
from jobs import watch as watching
from jobs.gpus import FoundDevice
from jobs.processes import write_once
from jobs.remedies import MOST_REMEDIES, write_resolved
from jobs.runner import Runner
from studio import clock, run_queue, runs, storage
from studio.errors import Conflict
from studio.files import read_json, write_json
from studio.folders import AttemptFolder, CheckpointFolder
from studio.records import LIVE, OPEN, TERMINAL, Adapter, Device, Run, RunEvent, Status
from studio.transitions import Stale
from tests.queueing import queued, with_devices
from tests.stub_worker import save_adapter

S = Status
GPUS = ("cuda:0", "cuda:1")
BATCH, MOST_OPEN = 8, 5
CUT_OFF = ("killed", "lost", "file_system")  # ends that may pass, and count
ENDS = ("done", "as asked", "out_of_memory", "failed", "disk_full", *CUT_OFF)
FEW = settings(
    max_examples=20, stateful_step_count=30, deadline=None, derandomize=True, database=None, print_blob=False,
    suppress_health_check=list(HealthCheck), phases=[Phase.generate], report_multiple_bugs=False,
)  # fmt: skip


@dataclass(eq=False)
class Process:
    """A supervisor with its worker."""

    number: int
    run: str
    epoch: int
    attempt: AttemptFolder
    lives: bool = True
    known: bool = False  # it has said who it is, and trains
    asked: bool = False

    def poll(self) -> int | None:
        return None if self.lives else 0

    def alive(self) -> bool:
        return self.lives

    def signal(self, _number: int) -> bool:
        self.asked = True
        return self.lives


class LifeOfRuns(RuleBasedStateMachine):
    studio = None  # set by live_through
    ends_as: tuple[str, ...] = ENDS

    @initialize()
    def begin(self):
        self.now = datetime(2026, 11, 24, 12, tzinfo=UTC)
        self.processes: list[Process] = []
        self.last: dict[str, Status] = {}
        self.cancelled: set[str] = set()
        self.cut_off: dict[str, int] = {}
        self.faults: list[str] = []
        self.submitted = 0
        with self.studio.database.write() as session:
            for kind in (Device, RunEvent, Adapter, Run):
                session.execute(delete(kind))
        for path in (self.studio.data.path / "runs", self.studio.data.path / "adapters"):
            shutil.rmtree(path, ignore_errors=True)
            path.mkdir()
        with_devices(self.studio, *GPUS)
        self.runners = [self.new_runner(), self.new_runner()]

    def new_runner(self) -> Runner:
        found = [FoundDevice(id, id, "cuda", 2**30) for id in GPUS]
        return Runner(self.studio, found, launcher=lambda *_: None)

    # People

    @precondition(lambda self: self.unfinished() < MOST_OPEN)
    @rule(gpus=st.integers(1, 2), priority=st.integers(-1, 1), most_attempts=st.integers(1, 2))
    def submit(self, gpus, priority, most_attempts=1):
        self.submitted += 1
        # Ids in order, since they decide where two runs came at the same time: the machine must do the same each time
        more = {"id": f"run{self.submitted:04}", "max_attempts": most_attempts}
        more |= {"micro_batch": BATCH, "grad_accum": 1, "grad_checkpointing": False, "queued_at": self.now}
        queued(self.studio, gpus=gpus, priority=priority, **more)

    @precondition(lambda self: self.last)
    @rule(pick=st.integers(0, 9), change=st.sampled_from(["cancel_run", "stop_run", "pause_run", "resume_run"]))
    def ask(self, pick, change):
        recent = [id for id, state in self.last.items() if state not in TERMINAL] + list(self.last)[-1:]
        self.asks(self.picked(recent, pick), change)

    @precondition(lambda self: any(state in LIVE for state in self.last.values()))
    @rule(pick=st.integers(0, 9), change=st.sampled_from(["cancel_run", "pause_run"]))
    def ask_a_live_one(self, pick, change):
        self.asks(self.picked([id for id, state in self.last.items() if state in LIVE], pick), change)

    def asks(self, run: str, change: str) -> None:
        asked = getattr(runs, change)
        try:
            found = asked(self.studio, run)
        except Conflict:
            return
        if change == "cancel_run":
            self.cancelled.add(run)
            assert found.state in (S.CANCELLING, S.CANCELLED)
        before = len(runs.events(self.studio, run))
        asked(self.studio, run)  # the same again
        assert len(runs.events(self.studio, run)) == before, "11: asking twice is not asking once"

    # Runners

    @rule(which=st.integers(0, 1))
    def claim(self, which):
        self.runners[which].claim()

    @rule(which=st.integers(0, 1))
    def look(self, which):
        self.runners[which].look_at_runs()

    @rule(which=st.integers(0, 1))
    def a_turn(self, which):
        self.look(which)
        self.claim(which)
        for process in self.alive():
            self.introduce(process)
        self.look(which)

    @rule(which=st.integers(0, 1))
    def dies_and_starts_again(self, which):
        self.runners[which] = self.new_runner()
        run_queue.adopt(self.studio, self.runners[which].id)

    @rule(which=st.integers(0, 1))
    def dies_after_its_claim(self, which):
        run_queue.claim_next(self.studio, self.runners[which].id, list(GPUS))
        self.dies_and_starts_again(which)

    @rule(which=st.integers(0, 1), to=st.sampled_from([S.FAILED, S.PAUSED, S.RETRY_WAIT, S.SUCCEEDED]))
    def a_runner_that_was_taken_over_settles_late(self, which, to):
        seen = run_queue.live_runs(self.studio, self.runners[which].id)
        run_queue.adopt(self.studio, self.runners[1 - which].id)
        for view in seen:
            with contextlib.suppress(Stale, ValueError):
                run_queue.settle(self.studio, view, to, "Late.")
                raise AssertionError("a stale epoch has changed a run")

    # Trainings

    @precondition(lambda self: self.alive())
    @rule(pick=st.integers(0, 9))
    def says_who_it_is(self, pick):
        self.introduce(self.picked(self.alive(), pick))

    def introduce(self, process: Process) -> None:
        if not process.known:
            said = {"pid": process.number, "pid_start": 1.0, "boot_id": watching.boot_id()}
            process.known = process.lives = write_once(process.attempt.process, said)

    @precondition(lambda self: any(process.known for process in self.alive()))
    @rule(pick=st.integers(0, 9), how=st.integers(0, 9), seen=st.booleans())
    def ends(self, pick, how, seen):
        how = self.picked(self.ends_as, how)
        self.end(self.picked([process for process in self.alive() if process.known], pick), how, seen)

    def end(self, process: Process, how: str, seen: bool) -> None:
        process.lives = False
        if how in CUT_OFF and runs.get_run(self.studio, process.run).state in (S.STARTING, S.RUNNING):
            self.cut_off[process.run] = self.cut_off.get(process.run, 0) + 1
        self.leave(process, how)
        if seen:
            self.look(0)
            self.look(1)

    def leave(self, process: Process, how: str) -> None:
        """What a training leaves that ends so."""
        attempt = process.attempt
        wanted = attempt.want.read_text() if process.asked and attempt.want.exists() else None
        if how == "as asked":
            how = {"pause": "paused", "stop": "stopped", "cancel": "cancelled"}.get(wanted, "done")
        if how == "paused":
            folder = CheckpointFolder(attempt.checkpoints / "step-3").create()
            write_json(folder.manifest, {"step": 3, "plan": "", "files": {}})
        if how in ("done", "stopped"):
            save_adapter(attempt)
        status = {"done": "succeeded", "disk_full": "paused", "out_of_memory": "failed", "file_system": "failed"}.get(
            how, how
        )
        if how not in ("killed", "lost"):
            write_json(attempt.result, {"status": status, "kind": how, "step": 3})
        if how != "lost":  # its supervisor was killed with it
            ended = {"code": None, "signal": 9} if how == "killed" else {"code": CODES[how], "signal": None}
            write_json(attempt.exit, ended)

    def started(self, watch, *_):
        """In the place of Watch.start: a process that has not yet said who it is."""
        watch.attempt.create()
        write_resolved(watch.run, watch.attempt)
        if numbers := read_json(watch.attempt.resolved):
            assert numbers["micro_batch"] * numbers["accumulation"] == numbers["batch_size"], "6: other rows in a step"
        watch.supervisor = Process(len(self.processes) + 1, watch.id, watch.run.attempt_epoch, watch.attempt)
        self.processes.append(watch.supervisor)

    # The clock

    @rule(seconds=st.sampled_from([-100, -100, 1, 5, 100]))
    def the_clock_jumps(self, seconds):
        self.now += timedelta(seconds=seconds)

    # What is always true

    @invariant()
    def the_books_balance(self):
        assert not self.faults, self.faults
        with self.studio.database.read() as session:
            rows = {run.id: run for run in session.scalars(select(Run))}
            devices = list(session.scalars(select(Device)))
            told = list(session.scalars(select(RunEvent).order_by(RunEvent.seq)))
        for run in rows.values():
            self.check_row(run, [device.epoch for device in devices if device.run_id == run.id])
            self.check_history(run, [event for event in told if event.run_id == run.id])
        for process in self.processes:
            if process.lives and process.known:
                run = rows[process.run]
                assert run.state in LIVE, "5: a live process belongs to a live row"
                assert run.attempt_epoch == process.epoch, "1: two live processes for a run"

    def check_row(self, run: Run, held: list[int | None]) -> None:
        assert held == [run.epoch] * (run.gpus if run.state in LIVE else 0), "2: devices are held exactly while live"
        before = self.last.setdefault(run.id, run.state)
        assert before not in TERMINAL or before is run.state, "3: terminal is final"
        self.last[run.id] = run.state
        assert run.micro_batch * run.grad_accum == BATCH, "6: rows in a step"
        if run.id in self.cancelled:
            assert run.state in (S.CANCELLING, S.CANCELLED, S.SUCCEEDED), "7: a cancel was forgotten"
        assert (run.state in LIVE) <= run.attempt <= run.max_attempts, "8: attempts are within their limits"
        assert run.oom_retries <= MOST_REMEDIES, "8: so are remedies"
        assert self.cut_off.get(run.id, 0) <= run.max_attempts, "8: whatever the row counts"
        if run.state is S.SUCCEEDED:
            assert self.studio.data.adapter(run.id).weights.exists(), "14: succeeded without an adapter"

    def check_history(self, run: Run, told: list[RunEvent]) -> None:
        state, epoch, attempt = None, 0, 0
        for each in told:
            assert each.from_state == state, "9: the history has a gap"
            assert each.epoch >= epoch, "9: epochs go back"
            state, epoch = each.to_state, each.epoch
            attempt = epoch if state == S.STARTING and each.from_state != S.STARTING else attempt
        assert (state, epoch, attempt) == (run.state, run.epoch, run.attempt_epoch), "9: the history is not the row's"

    # With the faults off

    def teardown(self):
        if not hasattr(self, "runners"):
            return
        self.dies_and_starts_again(0)  # the one that there is from now on
        self.runners[1] = self.runners[0]
        large = {run.id for run in self.open() if run.gpus == 2 and run.priority >= 0 and run.state is S.QUEUED}
        patience = 2 * len(self.open()) + 6
        for left in range(patience, -1, -1):  # one training ends at a time, and small runs come without end
            started = {process.run for process in self.processes}
            large = {id for id in large if id not in started}
            if not large:
                break
            assert left, "13: a large run waits behind smaller ones"
            self.submit(gpus=1, priority=0)
            self.goes_on(most=1)
        for _ in range(4 * len(self.open()) + 4):
            self.goes_on(most=2)
        left = [run for run in self.open() if run.state is not S.PAUSED]
        assert not left, f"10: {[(run.state, run.want) for run in left]}"

    def goes_on(self, most: int) -> None:
        self.now += timedelta(seconds=5)
        self.runners[0].look_at_runs()
        self.runners[0].claim()
        for process in self.alive():
            self.introduce(process)
        self.runners[0].look_at_runs()
        for process in [each for each in self.alive() if each.known][:most]:
            process.lives = False
            self.leave(process, "as asked")
        self.runners[0].look_at_runs()
        self.the_books_balance()

    def unfinished(self) -> int:
        return sum(state not in TERMINAL for state in self.last.values())

    def open(self) -> list[Run]:
        with self.studio.database.read() as session:
            return list(session.scalars(select(Run).where(Run.state.in_(OPEN)).order_by(Run.queued_at)))

    def alive(self) -> list[Process]:
        return [process for process in self.processes if process.lives]

    @staticmethod
    def picked(every: list, pick: int):
        return every[pick % len(every)]


CODES = {
    "done": 0, "stopped": 0, "disk_full": 73, "file_system": 74, "paused": 75, "cancelled": 76, "out_of_memory": 77, "failed": 78,
}  # fmt: skip


def live_through(studio, monkeypatch, ends_as: tuple[str, ...] = ENDS, **more) -> None:
    """Run the machine in this studio, with trainings that end so. Raises AssertionError where an invariant does not hold."""
    run_state_machine_as_test(machine_in(studio, monkeypatch, ends_as), settings=settings(FEW, **more))


def live_this_life(studio, monkeypatch, steps) -> None:
    """One way through the machine, for what chance seldom comes to: each step is called with it, and followed by every check."""
    machine = machine_in(studio, monkeypatch, ENDS)()
    machine.begin()
    for step in steps:
        step(machine)
        machine.the_books_balance()
    machine.teardown()


def machine_in(studio, monkeypatch, ends_as: tuple[str, ...]) -> type[LifeOfRuns]:
    made: list[LifeOfRuns] = []

    class InThisStudio(LifeOfRuns):
        def __init__(self):
            super().__init__()
            self.studio, self.ends_as = studio, ends_as
            made[:] = [self]

    quiet = dict.fromkeys(("info", "warning", "debug"), lambda *_: None)
    told = SimpleNamespace(**quiet, exception=lambda text, *_: made[0].faults.append(text))
    for place, name, instead in (
        (clock, "read", lambda: made[0].now),
        (watching.Watch, "start", lambda watch, *rest: made[0].started(watch, *rest)),
        (watching, "identity", lambda said: made[0].processes[said["pid"] - 1] if said["pid"] else None),
        (watching, "marked", lambda _: []),
        (storage, "sync", lambda path: None),  # hundreds of runs: the files are real, a power cut is not
        (runner_module, "log", told),
        (watching, "log", told),
    ):
        monkeypatch.setattr(place, name, instead)
    return InThisStudio
