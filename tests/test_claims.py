"""Eight runners at one queue of 500: every run is claimed once, and nobody meets a locked database."""

from collections import Counter

from studio.records import Status
from tests.claimers import claim_all, fill, happened
from tests.queueing import holders

RUNS, RUNNERS = 500, 8


def test_of_eight_runner_processes_each_run_is_claimed_by_one(studio):
    fill(studio, RUNS, devices=RUNNERS)
    seconds, wrong = claim_all(studio, RUNNERS)
    assert not wrong
    told = happened(studio)
    assert len(told) == RUNS
    once = [Status.QUEUED, Status.STARTING, Status.SUCCEEDED]
    assert all([state for state, _ in events] == once for events in told.values())
    assert len(Counter(events[-1][1] for events in told.values())) > 1  # one alone would prove nothing
    assert set(holders(studio).values()) == {None}
    assert seconds > 0
