"""kill -9 of the web server, the runner, a supervisor or a trainer, in every state of a run: what a person then sees is right, and nothing is lost.

One studio, all of its processes real but for the trainer. For each victim there is a run in every state at once; the
victim is killed, and each run must come to the end that the table names, with the history that a person reads.
"""

import os
import signal
import time

import httpx
import psutil
import pytest
from sqlalchemy import update

from studio import runs
from studio.files import read_json
from studio.pages.parts import status_chip
from studio.pages.run import draw
from studio.records import Run, Status, utc_now
from studio.settings import StudioSettings
from studio.studio import Studio
from tests.browser.running import end, start
from tests.queueing import holders, queued, queued_together
from tests.training_processes import processes_of

PATIENCE = 60  # seconds on a busy machine; an idle one takes 2 to 6
STEPS = 4
LIVE_STATES = ("starting", "running", "pausing", "stopping", "cancelling")  # stopping: pausing, to keep the adapter
GOES_ON = ["starting", "running", "succeeded"]
FOUND, LEFT = "The runner was started again and has found it.", "goes on from its last checkpoint"
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


class House:
    """A studio that is started as a person does, seen through its API."""

    def __init__(self, folder):
        self.folder, self.scenes = folder, {}
        self.start()
        self.studio = Studio.open(StudioSettings(data_folder=folder))

    def start(self):
        seconds = {"STUDIO_POLL_SECONDS": "0.2", "GRACE": "120", "SLOTS": str(len(LIVE_STATES) + 1)}
        self.app = start(self.folder, program=("-m", "tests.stub_app"), **seconds)
        self.api = httpx.Client(base_url=f"{self.app.address}/api/v1/runs", timeout=PATIENCE)

    def seen(self, run):
        answer = self.api.get(f"/{run.id}")
        assert answer.status_code == 200, answer.text
        return answer.json()

    def ask(self, run, what):
        assert self.api.post(f"/{run.id}/{what}").status_code == 200

    def until(self, run, *states):
        return eventually(
            lambda: (found := self.seen(run))["state"] in states and found, states, lambda: self.told(run)
        )

    def told(self, run):
        found = self.seen(run)
        return f"{found['problem']}\n" + "\n".join(f"{each['to']}: {each['text']}" for each in found["events"])

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
            eventually(lambda at=found[state]: self.attempt(at).checkpoints.is_dir(), f"a trainer of {state}")
        for state, ask in {"pausing": "pause", "stopping": "stop", "cancelling": "cancel"}.items():
            self.ask(found[state], ask)
        self.before = {run.id: (len(self.seen(run)["events"]), self.pids(run)) for run in found.values()}
        {"web": self.kill_web, "runner": self.kill_runner}.get(victim, lambda: self.kill_of(victim, found))()
        (self.studio.data.run(gate.id).path / "go").touch()
        if victim == "web":
            self.start()
        return found

    def not_live(self, victim):
        """Runs that wait, and go on waiting: for devices, for a moment that does not come in this test, for a person."""
        later = {"state": Status.RETRY_WAIT, "attempt": 1, "not_before": utc_now().replace(year=9000)}
        found = {
            "retry_wait": queued(self.studio, f"{victim} retry_wait", {"steps": STEPS}, **later),
            "paused": queued(self.studio, f"{victim} paused", {"steps": STEPS}, gpus=99),
            "queued": queued(self.studio, f"{victim} queued", {"steps": STEPS}, gpus=99),
        }
        self.ask(found["paused"], "pause")
        return found

    def attempt(self, run):
        return self.studio.data.run(run.id).attempts()[-1]

    def pids(self, run):
        attempts = self.studio.data.run(run.id).attempts()
        return read_json(attempts[-1].process) if attempts else None

    def kill_web(self):
        self.app.kill()

    def kill_runner(self):
        children = psutil.Process(self.app.process.pid).children()
        (runner,) = [child for child in children if "tests.stub_runner" in child.cmdline()]
        runner.kill()

    def kill_of(self, victim, found):
        for run in found.values():
            os.kill(self.pids(run)["pid" if victim == "supervisor" else "worker_pid"], signal.SIGKILL)

    def let_go(self, run, **columns):
        """Whatever held it holds it no longer."""
        (self.studio.data.run(run.id).path / "go").touch()
        with self.studio.database.write() as session:
            session.execute(update(Run).where(Run.id == run.id).values(**columns))

    def close(self):
        end(self.folder, self.app.process)
        self.studio.database.close()


def eventually(seen, what, more=lambda: ""):
    give_up = time.monotonic() + PATIENCE
    while time.monotonic() < give_up:
        if found := seen():
            return found
        time.sleep(0.2)
    raise AssertionError(f"not seen in {PATIENCE} s: {what}\n{more()}")


@pytest.fixture(scope="module")
def house(tmp_path_factory):
    one = House(tmp_path_factory.mktemp("killed") / "data")
    yield one
    one.close()


@pytest.mark.parametrize(("victim", "state"), CASES)
def test_after_a_kill_a_run_comes_to_its_right_end_and_its_history_says_what_happened(house, victim, state):
    run, (states, words) = house.scene(victim)[state], CASES[victim, state]
    seen_before, process = house.before[run.id]
    if state in ("pausing", "stopping", "cancelling", "paused"):
        assert house.seen(run)["state"] in (*states, "pausing" if state == "stopping" else state)
    if victim in ("web", "runner"):  # the other victims are found dead first
        house.let_go(run, gpus=1, **({"not_before": utc_now()} if state == "retry_wait" else {}))

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
    curve = house.api.get(f"/{run.id}/metrics").json()["series"]["loss"]["x"]
    assert curve == list(range(1, ended["step"] + 1))
    if ended["state"] == "succeeded":
        assert ended["adapter"]
        assert ended["step"] == (1 if "stopping" in run.name and ended["want"] == "stop" else STEPS)
    if ended["state"] == "cancelled":
        assert ended["adapter"] is None
