"""The one function that changes a run's state: fenced, all or nothing, and true to the table in docs/states.md."""

from pathlib import Path

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test
from sqlalchemy import delete, select

from studio import run_queue, runs, transitions
from studio.errors import Conflict
from studio.records import LIVE, TERMINAL, Device, Run, RunEvent, Status, Want
from studio.transitions import ARROWS, RUNNER, Stale, move
from tests.queueing import holders, queued, with_devices

S = Status
hold_devices = transitions._hold_devices
STATES_PAGE = Path(__file__).parents[1] / "docs" / "states.md"


def moved(studio, run, sources, to, **values):
    with studio.database.write() as session:
        return move(session, run.id, run.epoch, sources, to, RUNNER, **values)


def events(studio, run):
    return [(event.from_state, event.to_state) for event in runs.events(studio, run.id)]


def test_a_move_changes_the_row_and_tells_of_it(studio):
    run = moved(studio, queued(studio), (S.QUEUED,), S.PAUSED, want=Want.PAUSE, text="Later.")
    assert (run.state, run.want) == (S.PAUSED, Want.PAUSE)
    assert events(studio, run) == [(None, "queued"), ("queued", "paused")]
    assert runs.events(studio, run.id)[-1].text == "Later."


@pytest.mark.parametrize(
    "held",
    [{"epoch": 7}, {"state": S.PAUSED}, {"id": "nothere"}],
    ids=["another epoch", "another state", "no such run"],
)
def test_whoever_is_stale_changes_nothing(studio, held):
    run = queued(studio)
    with pytest.raises(Stale), studio.database.write() as session:
        move(session, held.get("id", run.id), held.get("epoch", 0), (held.get("state", S.QUEUED),), S.CANCELLED, RUNNER)
    assert runs.get_run(studio, run.id).state is S.QUEUED
    assert events(studio, run) == [(None, "queued")]


def test_an_arrow_that_is_not_drawn_is_a_bug(studio):
    with pytest.raises(ValueError, match="no arrow leads from queued to succeeded"):
        moved(studio, queued(studio), (S.QUEUED,), S.SUCCEEDED)


def test_a_run_takes_its_devices_or_does_not_start(studio):
    with_devices(studio, "cuda:0", "cuda:1")
    first, second = queued(studio, "first"), queued(studio, "second")
    moved(studio, first, (S.QUEUED,), S.STARTING, fence=True, take=["cuda:0"])
    with pytest.raises(Stale):
        moved(studio, second, (S.QUEUED,), S.STARTING, fence=True, take=["cuda:0", "cuda:1"])
    assert runs.get_run(studio, second.id).state is S.QUEUED
    assert holders(studio) == {"cuda:0": first.id, "cuda:1": None}


def test_devices_are_free_as_soon_as_a_run_is_not_live(studio):
    with_devices(studio, "cpu")
    run = moved(studio, queued(studio), (S.QUEUED,), S.STARTING, fence=True, take=["cpu"])
    run = moved(studio, run, (S.STARTING,), S.RUNNING)
    assert holders(studio) == {"cpu": run.id}
    moved(studio, run, (S.RUNNING,), S.FAILED)
    assert holders(studio) == {"cpu": None}


def test_a_runner_that_lost_its_run_to_another_changes_nothing_any_more(studio):
    with_devices(studio, "cpu")
    queued(studio)
    run, _ = run_queue.claim_next(studio, "first", ["cpu"])
    run_queue.adopt(studio, "second")
    with pytest.raises(Stale):
        run_queue.settle(studio, run, S.FAILED, "late")
    run_queue.note_progress(studio, run, {"step": 99})
    found = runs.get_run(studio, run.id)
    assert (found.state, found.runner, found.step, found.attempt, found.attempt_epoch) == (
        S.STARTING,
        "second",
        0,
        1,
        1,
    )


def test_the_page_of_states_says_what_the_table_says():
    page = STATES_PAGE.read_text()
    for arrow in ARROWS:
        if arrow.name != "T15":
            line = f"| {arrow.name} | {', '.join(arrow.sources)} | {arrow.to} | {arrow.said} |"
            assert line in page, line


def test_of_many_claimers_at_once_each_run_goes_to_one(studio):
    from concurrent.futures import ThreadPoolExecutor

    ids = {queued(studio, f"run {number}").id for number in range(12)}
    with_devices(studio, *(f"cuda:{number}" for number in range(12)))
    everything = [f"cuda:{number}" for number in range(12)]
    with ThreadPoolExecutor(6) as people:
        claimed = list(
            people.map(lambda number: run_queue.claim_next(studio, f"runner {number}", everything), range(12))
        )
    assert {run.id for run, _ in claimed} == ids
    assert len({device for _, devices in claimed for device in devices}) == 12


class Life(RuleBasedStateMachine):
    """People and runners, some of them with an old view, do everything they can in any order."""

    queue = Bundle("queue")
    views = Bundle("views")

    @initialize()
    def begin(self):
        self.ended: dict[str, Status] = {}
        self.cancelled: set[str] = set()
        with self.studio.database.write() as session:
            for kind in (Device, RunEvent, Run):
                session.execute(delete(kind))
        with_devices(self.studio, "cuda:0", "cuda:1")

    @rule(target=queue, gpus=st.integers(1, 2), priority=st.integers(-1, 1))
    def submit(self, gpus, priority):
        return queued(self.studio, gpus=gpus, priority=priority, max_attempts=2).id

    @rule(id=queue, change=st.sampled_from([runs.cancel_run, runs.stop_run, runs.pause_run, runs.resume_run]))
    def ask(self, id, change):
        try:
            run = change(self.studio, id)
        except Conflict:
            return
        if change is runs.cancel_run:
            self.cancelled.add(id)
            assert run.state in (S.CANCELLING, S.CANCELLED)
        before = len(runs.events(self.studio, id))
        change(self.studio, id)  # the same again
        assert len(runs.events(self.studio, id)) == before

    @rule(target=views, runner=st.sampled_from(["first", "second"]))
    def claim(self, runner):
        claimed = run_queue.claim_next(self.studio, runner, ["cuda:0", "cuda:1"])
        return claimed[0] if claimed else None

    @rule(target=views, id=queue)
    def look(self, id):
        return runs.get_run(self.studio, id)

    @rule(runner=st.sampled_from(["first", "second"]))
    def take_over(self, runner):
        before = {run.id: run.attempt_epoch for run in self.live()}
        run_queue.adopt(self.studio, runner)
        live = run_queue.live_runs(self.studio, runner)
        assert {run.id: run.attempt_epoch for run in live} == before  # no second attempt

    def live(self):
        return [run for name in ("first", "second") for run in run_queue.live_runs(self.studio, name)]

    @rule(view=views)
    def begins(self, view):
        self.by_runner(view, lambda: run_queue.mark_running(self.studio, view, 1, 1.0, "boot"))

    @rule(view=views, to=st.sampled_from([S.SUCCEEDED, S.FAILED, S.PAUSED, S.CANCELLED, S.RETRY_WAIT]))
    def ends(self, view, to):
        if view is not None and (view.state is S.CANCELLING) != (to is S.CANCELLED) and to is not S.SUCCEEDED:
            return  # outcome() never asks for these
        self.by_runner(view, lambda: run_queue.settle(self.studio, view, to, "ended"))

    def by_runner(self, view, act):
        """A runner acts on what it saw, which may be long ago."""
        if view is None:
            return
        now = runs.get_run(self.studio, view.id)
        try:
            act()
        except (Stale, ValueError):
            assert runs.get_run(self.studio, view.id).state is now.state
        else:
            assert (now.epoch, now.state) == (view.epoch, view.state)

    @invariant()
    def the_books_balance(self):
        with self.studio.database.read() as session:
            everything = list(session.scalars(select(Run)))
            held = [(device.run_id, device.epoch) for device in session.scalars(select(Device)) if device.run_id]
            told = list(session.scalars(select(RunEvent).order_by(RunEvent.seq)))
        for run in everything:
            devices = [epoch for id, epoch in held if id == run.id]
            assert devices == [run.epoch] * (run.gpus if run.state in LIVE else 0)
            assert (
                self.ended.setdefault(run.id, run.state) == run.state or self.ended[run.id] not in TERMINAL
            )  # terminal is final
            self.ended[run.id] = run.state
            if run.id in self.cancelled:  # a cancel is never forgotten; only a finished run wins over it
                assert run.state in (S.CANCELLING, S.CANCELLED, S.SUCCEEDED)
            state = None
            for event in (event for event in told if event.run_id == run.id):  # the history replays to the row
                assert event.from_state == state
                state = event.to_state
            assert state == run.state


def live_through(studio, **more):
    class InThisStudio(Life):
        def __init__(self):
            self.studio, self.ended, self.cancelled = studio, {}, set()
            super().__init__()

    few = settings(
        max_examples=30,
        stateful_step_count=25,
        deadline=None,
        suppress_health_check=list(HealthCheck),
        derandomize=True,
        database=None,
    )
    run_state_machine_as_test(InThisStudio, settings=settings(few, **more))


def test_people_and_runners_in_any_order_keep_the_promise(studio):
    live_through(studio)


def leak_devices(monkeypatch):
    monkeypatch.setattr(
        transitions,
        "_hold_devices",
        lambda session, id, epoch, to, take: to in LIVE and hold_devices(session, id, epoch, to, take),
    )


def forget_the_fence(monkeypatch):
    def unfenced(session, id, epoch, *rest, **more):
        return move(session, id, session.scalar(select(Run.epoch).where(Run.id == id)), *rest, **more)

    monkeypatch.setattr(run_queue, "move", unfenced)


def forget_an_event(monkeypatch):
    monkeypatch.setattr(
        transitions, "RunEvent", lambda **values: RunEvent(**{**values, "to_state": values["from_state"]})
    )


@pytest.mark.parametrize("plant", [leak_devices, forget_the_fence, forget_an_event])
def test_a_planted_bug_does_not_go_unseen(studio, monkeypatch, plant):
    plant(monkeypatch)
    with pytest.raises(AssertionError):
        live_through(studio, phases=[Phase.generate], print_blob=False)
