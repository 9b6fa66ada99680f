"""The one function that changes a run's state: fenced, all or nothing, and true to the table in docs/states.md."""

from pathlib import Path

import pytest

from studio import run_queue, runs
from studio.records import Status, Want
from studio.transitions import ARROWS, RUNNER, Stale, move
from tests.queueing import holders, queued, with_devices

S = Status
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
