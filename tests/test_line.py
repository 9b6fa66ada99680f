"""The line before the devices: what fits where, who goes first, and about when each starts."""

from datetime import timedelta

import pytest

from studio import run_queue, runs
from studio.errors import Conflict, Invalid
from studio.files import write_json
from studio.line import steering
from studio.line.cards import Card, Need, attainable, placed
from studio.line.devices import choose, note_foreign, see_devices
from studio.line.places import Held, Place, Waiter, place_of, played
from studio.line.shown import devices_shown
from studio.pages import run_view
from studio.pages.run import draw, mark_of
from studio.records import Person, Run, Status, utc_now
from studio.settings import StudioSettings
from studio.studio import Studio
from tests.queueing import holders, queued, resolved_plan, with_devices

GIB = 2**30
FIRST = utc_now() - timedelta(hours=1)


def card(id="cuda:0", memory=24, foreign=0, free=1, held=()):
    return Card(id, memory * GIB, foreign * GIB, tuple(f"{id}#{n}" for n in range(free)), held)


def need(gib=None, devices=1, alone=False):
    return Need(devices, None if gib is None else int(gib * GIB), alone)


@pytest.mark.parametrize(
    ("on", "wants", "fits"),
    [
        (card(), need(20), True),
        (card(), need(23), False),  # a share is kept for what plans do not see
        (card(foreign=5), need(20), False),
        (card(foreign=2), need(20), True),
        (card(foreign=2), need(), True),
        (card(foreign=20), need(), False),
        (card(free=0), need(1), False),
        (card(held=(need(10),)), need(11), True),
        (card(held=(need(10),)), need(12), False),  # together no more than nine tenths
        (card(held=(need(10),), foreign=3), need(9), False),
        (card(held=(need(4), need(4), need(4))), need(9), True),
        (card(held=(need(1),)), need(), False),  # what is not known shares with nobody
        (card(held=(need(),)), need(1), False),
        (card(held=(None,)), need(1), False),
        (card(held=(need(1),)), need(1, alone=True), False),  # its plan was wrong once
        (card(held=(need(1, alone=True),)), need(1), False),
        (card("cpu", memory=4), need(9), True),
    ],
)
def test_a_device_takes_a_run_beside_what_is_on_it_already_only_where_the_plans_fit(on, wants, fits):
    assert on.admits(wants) is fits


def test_a_run_for_two_devices_gets_two_cards_and_never_two_slots_or_slices_of_one():
    two = card("cuda:0", free=2), card("cuda:1", free=2)
    assert placed(two, need(4, devices=2)) == ["cuda:0#0", "cuda:1#0"]
    assert placed(two[:1], need(4, devices=2)) is None
    slices = card("cuda:0.0"), card("cuda:0.1"), card("cuda:1")
    assert not attainable(slices, need(4, devices=2))
    assert placed(slices, need(4)) == ["cuda:0.0#0"]


def test_an_empty_device_is_taken_before_one_that_is_shared():
    assert placed((card("cuda:0", held=(need(1),)), card("cuda:1")), need(1)) == ["cuda:1#0"]


@pytest.fixture
def sharing(tmp_path):
    opened = Studio.open(StudioSettings(data_folder=tmp_path / "sharing", runs_per_device=3))
    yield opened
    opened.database.close()


def claimed(studio, *devices):
    found = run_queue.claim_next(studio, "runner", devices or ["cuda:0"])
    return found and (found[0].name, found[1])


def test_several_runs_share_a_device_where_the_admin_allows_it_and_their_plans_fit(sharing):
    see_devices(sharing, [("cuda:0", "A100", 40 * GIB, "GPU-a")])
    for name, memory in (("first", 16), ("second", 16), ("third", 8)):
        queued(sharing, name, memory_bytes=memory * GIB)
    assert claimed(sharing) == ("first", ["cuda:0"])
    assert claimed(sharing) == ("second", ["cuda:0#2"])
    assert claimed(sharing) is None  # 40 GiB are more than nine tenths of it
    assert set(holders(sharing)) == {"cuda:0", "cuda:0#2", "cuda:0#3"}
    [shown] = devices_shown(sharing)
    assert [each["name"] for each in shown["held_by"]] == ["first", "second"]


def test_without_leave_one_run_has_a_device_for_itself(studio):
    with_devices(studio, "cuda:0")
    queued(studio, "first", memory_bytes=1)
    queued(studio, "second", memory_bytes=1)
    assert claimed(studio) == ("first", ["cuda:0"])
    assert claimed(studio) is None


def test_a_cpu_is_one_slot_whatever_is_allowed(sharing):
    see_devices(sharing, [("cpu", "a CPU", 64 * GIB)])
    assert set(holders(sharing)) == {"cpu"}


def test_a_device_that_somebody_elses_program_fills_is_skipped_and_the_run_says_so(studio):
    see_devices(studio, [("cuda:0", "A100", 40 * GIB), ("cuda:1", "A100", 40 * GIB)])
    run = queued(studio, "large", memory_bytes=30 * GIB)
    said = "cuda:0 (A100): 35.0 GiB of its 40.0 GiB are held by python3 (process 4711)."
    note_foreign(studio, {"cuda:0": (35 * GIB, said)})
    assert claimed(studio, "cuda:0") is None
    place = place_of(studio, run.id)
    assert (place.number, place.blocked) == (1, "")  # cuda:1 has room
    assert claimed(studio, "cuda:0", "cuda:1") == ("large", ["cuda:1"])
    other = queued(studio, "another", memory_bytes=30 * GIB)
    note_foreign(studio, {"cuda:1": (20 * GIB, "cuda:1 (A100): full.")})
    assert said in place_of(studio, other.id).blocked
    assert "with 30.0 GiB" in runs.shown(studio, other)["waits_because"]
    note_foreign(studio, {"cuda:0": (0, "")})
    assert place_of(studio, other.id).blocked == ""
    assert claimed(studio, "cuda:0", "cuda:1") == ("another", ["cuda:0"])


def test_a_run_that_others_leave_no_room_for_holds_up_nobody(studio):
    see_devices(studio, [("cuda:0", "A100", 40 * GIB)])
    queued(studio, "large", memory_bytes=30 * GIB)
    queued(studio, "small", memory_bytes=2 * GIB)
    note_foreign(studio, {"cuda:0": (20 * GIB, "cuda:0: full.")})
    assert claimed(studio) == ("small", ["cuda:0"])


def people(studio, *names, role="member"):
    with studio.database.write() as session:
        session.add_all(Person(id=name, name=name, role=role) for name in names)


def test_a_run_for_two_devices_is_not_starved_by_people_who_use_less(studio):
    """Ann trains on one device and wants two; Bob and Eve, who hold nothing, keep coming for one."""
    people(studio, "ann", "bob", "eve")
    with_devices(studio, "cuda:0", "cuda:1")
    queued(studio, "ann's small", owner="ann")
    queued(studio, "bob 1", owner="bob")
    both = ("cuda:0", "cuda:1")
    started = [run_queue.claim_next(studio, "runner", both)[0] for _ in range(2)]
    queued(studio, "ann's large", owner="ann", gpus=2)
    assert claimed(studio, *both) is None  # it has come to the head, and stays there
    queued(studio, "eve 1", owner="eve")
    bobs = next(run for run in started if run.owner == "bob")
    run_queue.settle(studio, bobs, Status.FAILED, "over")
    assert claimed(studio, *both) is None  # though eve holds nothing, and ann one
    run_queue.settle(studio, next(run for run in started if run.owner == "ann"), Status.FAILED, "over")
    assert claimed(studio, *both) == ("ann's large", ["cuda:0", "cuda:1"])


def test_an_owner_lowers_a_priority_and_only_an_administrator_raises_it(studio):
    people(studio, "ann")
    people(studio, "root", role="admin")
    run = queued(studio, "ann's", owner="ann")
    assert steering.set_priority(studio, run.id, -3, "ann").priority == -3
    with pytest.raises(Invalid, match="above -3"):
        steering.set_priority(studio, run.id, 0, "ann")
    assert steering.set_priority(studio, run.id, 5, "root").priority == 5
    assert [event.text for event in runs.events(studio, run.id)][1:] == [
        "Its priority was changed from 0 to -3.",
        "Its priority was changed from -3 to 5.",
    ]
    people(studio, "bob")
    with pytest.raises(Conflict, match="somebody else"):
        steering.set_priority(studio, run.id, -9, "bob")


def test_a_person_moves_a_run_before_their_own_others_and_before_nobody_elses(studio):
    people(studio, "ann", "bob")
    names = ("ann 1", "bob 1", "ann 2", "ann 3", "bob 2")
    made = {
        name: queued(studio, name, owner=name.split()[0], queued_at=FIRST + timedelta(minutes=place))
        for place, name in enumerate(names)
    }
    steering.move_first(studio, made["ann 3"].id, "ann")
    steering.move_first(studio, made["ann 3"].id, "ann")  # again changes nothing
    order = sorted(made, key=lambda name: place_of(studio, made[name].id).number)
    assert order == ["ann 3", "bob 1", "ann 1", "ann 2", "bob 2"]
    urgent = queued(studio, "ann's urgent", owner="ann", priority=3)
    with pytest.raises(Conflict, match="ann's urgent"):
        steering.move_first(studio, made["ann 2"].id, "ann")
    assert place_of(studio, urgent.id).number == 1


def test_a_run_that_does_not_wait_cannot_be_moved(studio):
    run = queued(studio, state=Status.SUCCEEDED)
    with pytest.raises(Conflict, match="stands in no line"):
        steering.move_first(studio, run.id)


def waiter(id, seconds=None, devices=1, **more):
    return Waiter(id, need(1, devices), seconds, **more)


def test_the_line_played_forward_says_when_each_starts():
    cards = {
        each.id: each for each in (card("cuda:0", free=0, held=(need(1),)), card("cuda:1", free=0, held=(need(1),)))
    }
    held = [Held(("cuda:0",), need(1), 60.0), Held(("cuda:1",), need(1), 100.0)]
    line = [waiter("a", 600.0), waiter("b", 10.0, devices=2), waiter("c", 5.0)]
    assert played(cards, held, line) == {"a": 60.0, "b": 660.0, "c": 670.0}


def test_behind_a_wait_of_unknown_length_nothing_is_invented():
    cards = {"cuda:0": card(free=0, held=(need(1),))}
    assert played(cards, [Held(("cuda:0",), need(1), None)], [waiter("a"), waiter("b")]) == {"a": None, "b": None}
    soon = [Held(("cuda:0",), need(1), 30.0)]
    assert played(cards, soon, [waiter("a"), waiter("b", 9.0)]) == {"a": 30.0, "b": None}
    assert played(cards, soon, [waiter("a", 9.0, not_before=300.0), waiter("b")]) == {"a": 300.0, "b": 309.0}
    assert played(cards, soon, [waiter("a", 9.0, not_before=None)]) == {"a": None}


def test_the_time_rests_on_what_the_running_one_says_and_on_speeds_that_were_measured(studio):
    with_devices(studio, "cpu")
    live = queued(studio, "trains", steps=10)
    run_queue.claim_next(studio, "runner", ["cpu"])
    first, second = queued(studio, "first", planned_seconds=500.0), queued(studio, "second")
    write_json(studio.data.run(second.id).resolved, resolved_plan(tokens=5000).model_dump(mode="json"))
    assert [place_of(studio, run.id).seconds for run in (first, second)] == [None, None]  # nothing is known yet
    with studio.database.write() as session:
        session.get(Run, live.id).seconds_left = 40.0
    assert [place_of(studio, run.id).seconds for run in (first, second)] == [40.0, 540.0]
    third = queued(studio, "third")
    assert place_of(studio, third.id).seconds is None  # how long the second takes was never measured
    with studio.database.write() as session:
        session.get(Run, live.id).step = 5
    attempt = studio.data.run(live.id).attempt(1).create()
    attempt.metrics.write_text('{"step": 5, "steps": 10, "loss": 2.0, "tokens_per_second": 100.0}\n')
    assert place_of(studio, third.id).seconds == pytest.approx(540 + 12 + 5000 / 100, abs=1)


def test_who_waits_to_be_tried_again_stands_in_line_too(studio):
    with_devices(studio, "cpu")
    run = queued(studio, state=Status.RETRY_WAIT, not_before=utc_now() + timedelta(seconds=200))
    place = place_of(studio, run.id)
    assert place.number == 1
    assert run_view.waits(run, place) == "Starts again by itself: next in line, about 3 min."
    assert 190 < place.seconds < 201
    with studio.database.read() as session:
        assert choose(session, ["cpu"]) is None


def test_without_a_runner_no_time_is_promised_and_the_page_says_why(studio):
    with_devices(studio, "cpu")
    waits = queued(studio)
    assert place_of(studio, waits.id).seconds == 0.0
    assert run_view.unattended(waits, runs.runner_alive(studio)) == ""
    marked = mark_of(studio, waits)
    run_queue.say_goodbye(studio)
    assert place_of(studio, waits.id) == Place(1)
    assert "It cannot start: the part of the studio that trains is not running." in draw(studio, waits)["news"]
    assert mark_of(studio, waits) != marked  # an open page tells it too


def test_a_training_that_nobody_watches_says_that_it_goes_on_and_an_ended_one_nothing():
    trains = run_view.unattended(Run(state=Status.RUNNING), runner_alive=False)
    assert "A training that has begun goes on by itself." in trains
    assert run_view.unattended(Run(state=Status.PAUSED), runner_alive=False) == ""
    assert run_view.unattended(Run(state=Status.SUCCEEDED), runner_alive=False) == ""
