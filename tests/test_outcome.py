"""How an attempt's end is read: every possible end leads along an arrow of the table, and says what to do."""

import itertools

import pytest

from jobs.outcome import STATUSES, Ending, outcome
from jobs.remedies import write_resolved
from studio.errors import BadInput
from studio.files import read_json, write_json
from studio.folders import AttemptFolder
from studio.records import LIVE, Run, Status, Want
from studio.transitions import ALLOWED
from tests.queueing import resolved_plan

ENDINGS = [
    *(Ending(code) for code in (0, 1, 75, 76, 77, 78, 127)), Ending(signal=9), Ending(signal=9, killed_by_us=True), Ending(signal=15), Ending(signal=11),
    Ending(lost="the machine was restarted"), Ending(never_started=True), Ending(),
]  # fmt: skip
WANTS = {
    Status.STARTING: [Want.RUN],
    Status.RUNNING: [Want.RUN],
    Status.PAUSING: [Want.PAUSE, Want.STOP],
    Status.CANCELLING: [Want.CANCEL],
}
SAID = [None, "nonsense", *STATUSES]
LOGS = [
    "",
    "Traceback (most recent call last):\nKeyError: 'x'",
    "Signal 9 (SIGKILL) received\nTraceback (most recent call last):",
]


def run_in(state, want=Want.RUN, **columns):
    return Run(
        **{
            "id": "r1",
            "name": "pirate",
            "state": state,
            "want": want,
            "attempt": 1,
            "max_attempts": 3,
            "step": 4,
            "oom_retries": 0,
            **columns,
        }
    )


@pytest.fixture
def attempt(tmp_path):
    return AttemptFolder(tmp_path / "r1" / "attempt-1").create()


def ended(attempt, run, ending, refused=None, has_checkpoint=True):
    return outcome(run, attempt, ending, refused, has_checkpoint)


@pytest.mark.parametrize("state", LIVE)
def test_every_end_leads_along_an_arrow(attempt, state):
    refused = BadInput("The adapter has no tensor.", "Train again.")
    for said, log in itertools.product(SAID, LOGS):
        write_json(attempt.result, {"status": said, "step": 3} if said else {})
        attempt.log.write_text(log)
        for want, ending, why, kept, tried in itertools.product(
            WANTS[state], ENDINGS, (None, refused), (True, False), (1, 3)
        ):
            found = ended(attempt, run_in(state, want, attempt=tried), ending, why, kept)
            case = (state, want, ending, said, log[:9], bool(why), kept, tried)
            assert (state, found.to) in ALLOWED, case
            assert found.text, case
            if found.to is Status.FAILED:
                assert found.values["problem"], case
                assert found.values["fix"], case
            assert found.values.get("attempt", 0) >= 0, case
            if state is Status.CANCELLING:
                assert found.to in (Status.CANCELLED, Status.SUCCEEDED), case
            if why:
                assert found.to is not Status.SUCCEEDED, case


def test_the_workers_last_word_counts_for_more_than_a_signal_that_came_while_it_was_leaving(attempt):
    write_json(attempt.result, {"status": "succeeded", "step": 12})
    assert ended(attempt, run_in(Status.PAUSING, Want.PAUSE), Ending(code=1)).to is Status.SUCCEEDED


def test_a_finished_run_wins_over_a_late_cancel(attempt):
    write_json(attempt.result, {"status": "succeeded", "step": 12})
    assert (
        ended(attempt, run_in(Status.CANCELLING, Want.CANCEL), Ending(signal=9, killed_by_us=True)).to
        is Status.SUCCEEDED
    )


def test_a_stop_before_the_first_step_keeps_nothing(attempt):
    found = ended(attempt, run_in(Status.PAUSING, Want.STOP, step=0), Ending(code=1), has_checkpoint=False)
    assert found.to is Status.CANCELLED
    assert "before there was anything to keep" in found.text


def test_what_is_tried_again_without_a_checkpoint_says_that_it_begins_anew(attempt):
    told = [ended(attempt, run_in(Status.RUNNING), Ending(signal=9), has_checkpoint=has).text for has in (True, False)]
    assert "It goes on from its last checkpoint in 2 seconds" in told[0]
    assert "It begins at its first step again in 2 seconds" in told[1]


def test_what_may_pass_is_tried_again_later_each_time(attempt):
    waits = [
        ended(attempt, run_in(Status.RUNNING, attempt=tried, max_attempts=9), Ending(signal=9)).text
        for tried in (1, 2, 3)
    ]
    assert [text.partition(" in ")[2] for text in waits] == [
        "2 seconds (attempt 2 of 9).",
        "4 seconds (attempt 3 of 9).",
        "8 seconds (attempt 4 of 9).",
    ]


def test_memory_that_ran_out_is_answered_with_one_remedy_after_another_until_none_is_left(attempt):
    write_json(attempt.run.resolved, resolved_plan().model_dump(mode="json"))
    write_json(attempt.run.plan, {"method": {"name": "lora", "dropout": 0.05}})
    write_json(
        attempt.result,
        {
            "status": "failed",
            "kind": "out_of_memory",
            "step": 4,
            "peak_memory_bytes": 5 << 29,
            "problem": "No memory.",
            "fix": "Choose less.",
        },
    )
    run, seen = run_in(Status.RUNNING, oom_retries=0), []
    while (found := ended(attempt, run, Ending(code=77))).to is Status.RETRY_WAIT:
        seen.append((found.values["grad_checkpointing"], found.values["micro_batch"], found.values["grad_accum"]))
        assert found.values["attempt"] == 0, "a remedy is no failed attempt"
        assert "step 5 (2.5 GiB were in use)" in found.text
        assert ("another, equally valid run" in found.text) == (len(seen) > 1)
        run = run_in(Status.RUNNING, oom_retries=found.values["oom_retries"])
    assert seen == [(True, 8, 1), (True, 4, 2), (True, 2, 4), (True, 1, 8)]
    assert (found.to, found.values["problem"]) == (Status.FAILED, "No memory.")


def test_what_an_attempt_follows_after_remedies_can_be_made_again_from_the_run(attempt):
    write_json(attempt.run.resolved, resolved_plan().model_dump(mode="json"))
    write_resolved(run_in(Status.STARTING, oom_retries=0), attempt)
    assert not attempt.resolved.exists()
    write_resolved(run_in(Status.STARTING, oom_retries=2), attempt)
    made = read_json(attempt.resolved)
    assert (made["gradient_checkpointing"], made["micro_batch"], made["accumulation"]) == (True, 4, 2)
    assert made["micro_batch"] * made["accumulation"] == made["batch_size"]


def test_a_run_that_was_asked_to_pause_while_memory_ran_out_is_paused_with_the_remedy(attempt):
    write_json(attempt.run.resolved, resolved_plan().model_dump(mode="json"))
    write_json(attempt.result, {"status": "failed", "kind": "out_of_memory", "step": 4})
    found = ended(attempt, run_in(Status.PAUSING, Want.PAUSE, oom_retries=0), Ending(code=77))
    assert (found.to, found.values["oom_retries"]) == (Status.PAUSED, 1)


@pytest.mark.parametrize(
    ("ending", "result", "words"),
    [
        (Ending(signal=9), {}, "memory was full"),
        (Ending(signal=15), {}, "from outside"),
        (Ending(code=1), {"status": "cancelled"}, "from outside"),
        (Ending(lost="the machine was restarted"), {}, "the machine was restarted"),
        (Ending(code=77), {}, "ran out of memory"),
        (Ending(code=78), {}, "could not follow the plan"),
        (
            Ending(code=1),
            {"status": "failed", "problem": "The loss is not a number.", "fix": "Lower the learning rate."},
            "The loss is not a number.",
        ),
    ],
)
def test_causes_are_told_apart(attempt, ending, result, words):
    write_json(attempt.result, result)
    found = ended(attempt, run_in(Status.RUNNING, attempt=3), ending)
    assert found.to is Status.FAILED
    assert words in found.values["problem"]


@pytest.mark.parametrize(
    ("ending", "result"),
    [
        (Ending(code=73), {}),  # not even its last word could be written
        (
            Ending(code=73),
            {"status": "paused", "kind": "disk_full", "step": 4, "problem": "Full.", "fix": "Make room."},
        ),
    ],
)
@pytest.mark.parametrize(("state", "want"), [(Status.RUNNING, Want.RUN), (Status.PAUSING, Want.STOP)])
def test_a_full_disk_is_a_pause_with_a_reason_and_no_failed_attempt(attempt, ending, result, state, want):
    write_json(attempt.result, result)
    attempt.log.write_text("Traceback (most recent call last):\nOSError: [Errno 28] No space left on device")
    found = ended(attempt, run_in(state, want, attempt=3), ending)
    assert (found.to, found.values["want"], found.values["attempt"]) == (Status.PAUSED, Want.PAUSE, 2)
    assert found.values["problem"]
    assert "room" in found.values["fix"]


def test_a_failing_disk_is_tried_again_until_the_attempts_are_used_up(attempt):
    write_json(attempt.result, {"status": "failed", "kind": "file_system", "problem": "EIO.", "fix": "Look."})
    assert ended(attempt, run_in(Status.RUNNING), Ending(code=74)).to is Status.RETRY_WAIT
    found = ended(attempt, run_in(Status.RUNNING, attempt=3), Ending(code=74))
    assert (found.to, found.values["problem"]) == (Status.FAILED, "EIO. It was tried 3 times.")
    assert ended(attempt, run_in(Status.PAUSING, Want.PAUSE), Ending(code=74)).to is Status.PAUSED


def test_a_stop_that_was_cut_off_gives_its_attempt_back(attempt):
    found = ended(attempt, run_in(Status.PAUSING, Want.STOP, attempt=3), Ending(signal=9))
    assert (found.to, found.values["attempt"]) == (Status.PAUSED, 2)


@pytest.mark.parametrize(("ending", "word"), [(Ending(signal=11), "SIGSEGV"), (Ending(code=134), "SIGABRT"), (Ending(code=137), "memory"), (Ending(signal=9, killed_by_us=True), "outside")])  # fmt: skip
def test_signals_are_told_apart(attempt, ending, word):
    assert word in ended(attempt, run_in(Status.RUNNING), ending).text
