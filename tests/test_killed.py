"""kill -9 of the web server, the runner, a supervisor or a trainer, in every state of a run: what a person then sees is right, and nothing is lost.

One studio, all of its processes real but for the trainer. For each victim there is a run in every state at once; the
victim is killed, and each run must come to the end that the table names, with the history that a person reads.
"""

import os
import signal
import subprocess
import sys
from datetime import timedelta

import pytest
from sqlalchemy import update

from studio import runs
from studio.line.order import LONGEST_WAIT
from studio.pages.parts import status_chip
from studio.pages.run import draw
from studio.records import Run, Status, utc_now
from tests.house import House
from tests.queueing import holders, queued, queued_together
from tests.training_processes import processes_of

STEPS = 4
LIVE_STATES = ("starting", "running", "pausing", "stopping", "cancelling")  # stopping: pausing, to keep the adapter
GOES_ON = ["starting", "running", "succeeded"]
FOUND, LEFT = "runner was started again", "goes on from its last checkpoint"
# (who is killed, the run's state at that moment): the states that its history tells of from then on, and words of it
GOES_ON_UNTOUCHED = {
    "queued": (GOES_ON, "Started on Slot"),
    "retry_wait": (GOES_ON, "Started again on Slot"),
    "paused": ([], "Paused before it started."),
    "starting": (GOES_ON, FOUND),
    "running": (["running", "succeeded"], FOUND),
    "pausing": (["pausing", "paused"], "Paused after step 1."),
    "stopping": (["pausing", "succeeded"], "Stopped after step 1; the adapter is kept."),
    "cancelling": (["cancelling", "cancelled"], "nothing is kept"),
}
IS_TRIED_AGAIN = {
    "starting": (["running", "retry_wait", *GOES_ON], LEFT),
    "running": (["retry_wait", *GOES_ON], LEFT),
    "pausing": (["paused"], "Paused; it ended before it had saved, and goes on from its last checkpoint."),
    "stopping": (["paused"], "It ended before its adapter was saved, and is paused at its last checkpoint."),
    "cancelling": (["cancelled"], "nothing is kept"),
}
CASES = {
    **{(victim, state): then for victim in ("runner", "web") for state, then in GOES_ON_UNTOUCHED.items()},
    **{(victim, state): then for victim in ("supervisor", "trainer") for state, then in IS_TRIED_AGAIN.items()},
}


class KillingHouse(House):
    """Where the victims live."""

    def __init__(self, folder):
        self.scenes = {}
        super().__init__(folder, GRACE="120", SLOTS=str(len(LIVE_STATES) + 1), STUDIO_DATABASE_WAIT_SECONDS="5")

    def scene(self, victim):
        """The runs by their states at the moment when the victim was killed, which it is now unless it was before."""
        if victim not in self.scenes:
            self.scenes[victim] = self.play(victim)
        return self.scenes[victim]

    def play(self, victim):
        at_once, slow = {"steps": STEPS, "hold": 1, "grandchild": True}, {"slow to end": True}
        found = {state: queued(self.studio, f"{victim} {state}", at_once | slow) for state in LIVE_STATES[1:]}
        for run in found.values():
            self.until(run, "running")
        if victim in ("web", "runner"):
            found |= self.not_live(victim)
        # The runner is held while it launches the second of two: then it has not looked at the first one, which is still starting
        found["starting"], gate = queued_together(
            self.studio, {f"{victim} starting": at_once, f"{victim} gate": {"holds the runner": True}}
        )
        self.until(gate, "starting")
        for state in LIVE_STATES:
            self.trains(found[state])
        for state, ask in {"pausing": "pause", "stopping": "stop", "cancelling": "cancel"}.items():
            self.ask(found[state], ask)
        self.before = {run.id: (len(self.seen(run)["events"]), self.pids(run)) for run in found.values()}
        {"web": self.kill_web, "runner": self.kill_runner}.get(victim, lambda: self.kill_of(victim, found))()
        self.let_go(gate)
        if victim == "web":
            self.start()
        return found

    def not_live(self, victim):
        """Runs that wait, and go on waiting: for devices, for a moment that does not come in this test, for a person."""
        later = {
            "state": Status.RETRY_WAIT,
            "attempt": 1,
            "not_before": utc_now() + LONGEST_WAIT - timedelta(seconds=1),
        }
        found = {
            "retry_wait": queued(self.studio, f"{victim} retry_wait", {"steps": STEPS}, **later),
            "paused": queued(self.studio, f"{victim} paused", {"steps": STEPS}, gpus=99),
            "queued": queued(self.studio, f"{victim} queued", {"steps": STEPS}, gpus=99),
        }
        self.ask(found["paused"], "pause")
        return found

    def kill_web(self):
        self.app.kill()

    def kill_runner(self):
        self.runner().kill()

    def kill_of(self, victim, found):
        for run in found.values():
            os.kill(self.pids(run)["pid" if victim == "supervisor" else "worker_pid"], signal.SIGKILL)

    def change(self, run, **columns):
        with self.studio.database.write() as session:
            session.execute(update(Run).where(Run.id == run.id).values(**columns))


@pytest.fixture(scope="module")
def house(tmp_path_factory):
    one = KillingHouse(tmp_path_factory.mktemp("killed") / "data")
    yield one
    one.close()


@pytest.mark.parametrize(("victim", "state"), CASES)
def test_after_a_kill_a_run_comes_to_its_right_end_and_its_history_says_what_happened(house, victim, state):
    run, (states, words) = house.scene(victim)[state], CASES[victim, state]
    seen_before, process = house.before[run.id]
    if state in ("pausing", "stopping", "cancelling", "paused"):
        assert house.seen(run)["state"] in (*states, "pausing" if state == "stopping" else state)
    if victim in ("web", "runner"):  # the other victims are found dead first
        house.let_go(run)
        house.change(run, gpus=1, **({"not_before": utc_now()} if state == "retry_wait" else {}))

    ended = house.until(run, states[-1]) if states else house.seen(run)
    assert [event["to"] for event in ended["events"][seen_before:]] == states, house.told(run)
    assert words in "\n".join(event["text"] for event in ended["events"])
    page = draw(house.studio, runs.get_run(house.studio, run.id))
    assert words in page["history"]
    assert status_chip(ended["state"]) in page["head"]
    if victim in ("web", "runner") and process:
        assert house.pids(run) == process  # the same training, not another one
    nothing_is_lost(house, run, ended)
    if ended["state"] == "paused":
        house.ask(run, "resume")
        nothing_is_lost(house, run, house.until(run, "succeeded"))


def nothing_is_lost(house, run, ended):
    """What holds of every run at rest, whatever was killed (jobs.md, invariants)."""
    assert not (house.studio.data.run(run.id).path / "two-at-once").exists()
    assert processes_of(house.studio, run) == []
    assert run.id not in holders(house.studio).values()
    moves = [(event["from"], event["to"]) for event in ended["events"]]
    assert all(earlier[1] == later[0] for earlier, later in zip(moves, moves[1:], strict=False))
    assert moves[-1][1] == ended["state"]
    assert house.curve(run) == list(range(1, ended["step"] + 1))
    if ended["state"] == "succeeded":
        assert ended["adapter"]
        assert ended["step"] == (1 if "stopping" in run.name and ended["want"] == "stop" else STEPS)
    if ended["state"] == "cancelled":
        assert ended["adapter"] is None


HOLDS = """
import sqlite3, sys
database = sqlite3.connect(sys.argv[1], isolation_level=None)
database.execute("BEGIN IMMEDIATE")
print("held", flush=True)
sys.stdin.read()
"""


def test_while_another_program_holds_the_database_people_are_told_so_and_afterwards_everything_goes_on(house):
    run = queued(house.studio, "held up", {"steps": STEPS, "hold": 1})
    house.until(run, "running")
    house.trains(run)
    runner = house.runner()
    command = [sys.executable, "-c", HOLDS, str(house.folder / "studio.sqlite")]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout.readline() == "held\n"
        house.let_go(run)
        refused = house.api.patch(f"/{run.id}", json={"name": "renamed"}, headers={"Idempotency-Key": "held"})
        assert refused.status_code == 503
        assert "Another program holds the database" in refused.json()["error"]["problem"]
        assert house.seen(run)["state"] == "running"  # what is there can be seen
        holder.stdin.close()
    nothing_is_lost(house, run, house.until(run, "succeeded"))
    assert house.runner() == runner
    assert house.api.patch(f"/{run.id}", json={"name": "renamed"}, headers={"Idempotency-Key": "held"}).is_success
