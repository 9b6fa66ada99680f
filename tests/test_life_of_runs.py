"""The promise to a run, in any order of things; and that the machine which checks it sees when a guard is taken away."""

import pytest
from sqlalchemy import select

from jobs import remedies
from jobs import watch as watching
from studio import run_queue, runs, transitions
from studio.line import devices
from studio.records import LIVE, TERMINAL, Run, RunEvent, Status
from tests.life_of_runs import ENDS, live_this_life, live_through

S = Status
move, hold_devices = transitions.move, transitions._hold_devices


def test_people_runners_and_trainings_in_any_order_keep_the_promise(studio, monkeypatch):
    live_through(studio, monkeypatch)


def a_run_that_ended_keeps_its_devices(patch):
    patch.setattr(transitions, "_hold_devices", lambda session, id, epoch, to, take: to in LIVE and hold_devices(session, id, epoch, to, take))  # fmt: skip


def devices_are_not_taken_with_the_claim(patch):
    patch.setattr(transitions, "_hold_devices", lambda session, id, epoch, to, take: take or hold_devices(session, id, epoch, to, take))  # fmt: skip


def an_old_epoch_still_changes_a_run(patch):
    def unfenced(session, id, epoch, sources, to, *rest, **more):
        now = session.get_one(Run, id)
        return move(session, id, now.epoch, (now.state,), to, *rest, **more)

    patch.setattr(run_queue, "move", unfenced)


def a_claim_raises_no_epoch(patch):
    patch.setattr(run_queue, "move", lambda *given, fence=False, **more: move(*given, **more))


def the_accumulation_is_not_doubled(patch):
    real = remedies.gentler

    def forgetful(resolved):
        found = real(resolved)
        return found and (found[0].model_copy(update={"accumulation": resolved.accumulation}), found[1])

    patch.setattr(remedies, "gentler", forgetful)


def what_has_ended_can_be_resumed(patch):
    real = runs._change

    def change(studio, id, by, wanted, done, fix, *arrows):
        if wanted == "resumed":
            arrows = ((TERMINAL, *arrows[0][1:]), *arrows)
        return real(studio, id, by, wanted, done, fix, *arrows)

    patch.setattr(runs, "_change", change)
    patch.setattr(transitions, "ALLOWED", transitions.ALLOWED | {(state, S.QUEUED) for state in TERMINAL})


def a_lease_that_lapsed_starts_a_second_attempt(patch):
    def start_again(studio, runner):
        with studio.database.write() as session:
            for run in session.scalars(select(Run).where(Run.state.in_((S.STARTING, S.RUNNING)))).all():
                move(session, run.id, run.epoch, (run.state,), S.RETRY_WAIT, "runner", "Its lease has lapsed.")

    patch.setattr(run_queue, "adopt", start_again)


def an_attempt_that_was_given_up_starts_all_the_same(patch):
    patch.setattr(watching, "give_up", lambda attempt: not attempt.process.exists())


def a_cancel_is_answered_and_not_written(patch):
    real = runs.cancel_run

    def forgetful(studio, id):
        run = runs.get_run(studio, id)
        if run.state not in LIVE:
            return real(studio, id)
        run.state = S.CANCELLING
        return run

    patch.setattr(runs, "cancel_run", forgetful)


def a_cancel_is_forgotten_when_the_training_ends(patch):
    real = watching.outcome

    def forgetful(run, *rest, **more):
        found = real(run, *rest, **more)
        return watching_outcome(S.PAUSED, found) if found.to is S.CANCELLED else found

    def watching_outcome(to, found):
        return type(found)(to, found.text, found.values)

    patch.setattr(watching, "outcome", forgetful)
    patch.setattr(transitions, "ALLOWED", transitions.ALLOWED | {(S.CANCELLING, S.PAUSED)})


def an_event_is_not_written(patch):
    patch.setattr(transitions, "RunEvent", lambda **values: RunEvent(**{**values, "to_state": values["from_state"]}))


def an_attempt_is_not_counted(patch):
    patch.setattr(run_queue, "move", lambda *given, **more: move(*given, **{**more, **({"attempt": more["attempt"] - 1} if more.get("fence") and "attempt" in more else {})}))  # fmt: skip


def attempts_have_no_limit(patch):
    real = watching.outcome

    def patient(run, *rest, **more):
        run.max_attempts = 99
        return real(run, *rest, **more)

    patch.setattr(watching, "outcome", patient)


def a_remedy_counts_as_a_failed_attempt(patch):
    real = watching.outcome

    def counting(run, *rest, **more):
        found = real(run, *rest, **more)
        if "oom_retries" in found.values:
            found.values.pop("attempt")
        return found

    patch.setattr(watching, "outcome", counting)


def whoever_fits_goes_first(patch):
    def smallest(session, usable, **more):
        found = devices.choose(session, usable, **more)
        for run in session.scalars(devices.waiting(len(usable))) if found and found.slots is None else ():
            slots = devices.placed(devices.cards_of(session, usable), devices.need_of(run))
            if slots:
                return devices.Choice(run, slots)
        return found

    patch.setattr(run_queue, "choose", smallest)


def a_success_needs_no_adapter(patch):
    patch.setattr(watching.adapters, "take_in", lambda studio, run, attempt: None)


PLANTED = {  # and how trainings end in that test, so that it comes to it soon
    a_run_that_ended_keeps_its_devices: ENDS,
    devices_are_not_taken_with_the_claim: ENDS,
    an_old_epoch_still_changes_a_run: ENDS,
    a_claim_raises_no_epoch: ENDS,
    a_lease_that_lapsed_starts_a_second_attempt: ENDS,
    an_event_is_not_written: ENDS,
    an_attempt_is_not_counted: ENDS,
    a_success_needs_no_adapter: ("done",),
}


@pytest.mark.parametrize("plant", PLANTED, ids=lambda plant: plant.__name__)
def test_a_guard_that_is_taken_away_is_missed(studio, monkeypatch, plant):
    plant(monkeypatch)
    with pytest.raises(AssertionError):
        live_through(studio, monkeypatch, PLANTED[plant], max_examples=40)


def ends(how):
    return lambda life: life.end(life.alive()[0], how, seen=True)


SUBMITTED_AND_STARTED = [
    lambda life: life.submit(gpus=1, priority=0),
    lambda life: life.a_turn(which=0),
]
LIVES = {  # what chance seldom comes to, on its way there
    a_cancel_is_answered_and_not_written: [
        lambda life: life.submit(gpus=1, priority=0),
        lambda life: life.a_turn(which=0),
        lambda life: life.asks("run0001", "cancel_run"),
    ],
    a_cancel_is_forgotten_when_the_training_ends: [
        lambda life: life.submit(gpus=2, priority=0),
        lambda life: life.a_turn(which=0),
        lambda life: life.asks("run0001", "cancel_run"),
        lambda life: life.look(which=0),
        ends("killed"),
    ],
    attempts_have_no_limit: [
        lambda life: life.submit(gpus=1, priority=0, most_attempts=1),
        lambda life: life.a_turn(which=1),
        ends("killed"),
        lambda life: life.the_clock_jumps(seconds=100),
        lambda life: life.a_turn(which=0),
    ],
    the_accumulation_is_not_doubled: [
        *SUBMITTED_AND_STARTED,
        ends("out_of_memory"),
        lambda life: life.a_turn(which=0),
        ends("out_of_memory"),
    ],
    a_remedy_counts_as_a_failed_attempt: [
        *SUBMITTED_AND_STARTED,
        ends("out_of_memory"),
        lambda life: life.a_turn(which=1),
    ],
    what_has_ended_can_be_resumed: [
        *SUBMITTED_AND_STARTED,
        ends("failed"),
        lambda life: life.asks("run0001", "resume_run"),
    ],
    an_attempt_that_was_given_up_starts_all_the_same: [
        lambda life: life.submit(gpus=1, priority=0),
        lambda life: life.claim(which=0),
        lambda life: life.dies_and_starts_again(which=0),
        lambda life: life.look(which=0),
        lambda life: life.says_who_it_is(pick=0),
    ],
    whoever_fits_goes_first: [
        *SUBMITTED_AND_STARTED,
        lambda life: life.submit(gpus=2, priority=0),
    ],
}


@pytest.mark.parametrize("plant", LIVES, ids=lambda plant: plant.__name__)
def test_a_guard_that_is_seldom_needed_is_missed_too_and_only_then(studio, monkeypatch, plant):
    live_this_life(studio, monkeypatch, LIVES[plant])
    plant(monkeypatch)
    with pytest.raises(AssertionError):
        live_this_life(studio, monkeypatch, LIVES[plant])
