"""The runner with real processes: claims, watches, settles; killed at any moment it is started again, and the same training goes on."""

import contextlib
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from studio import adapters, metrics, run_queue, runs
from studio.files import read_json
from studio.line.devices import see_devices
from studio.records import LIVE, Status, Want
from tests.queueing import holders, queued, state_of
from tests.training_processes import processes_of

PROJECT = Path(__file__).parents[1]
PATIENCE = 60  # seconds on a busy machine until something must have happened
S = Status


class RunnerProcess:
    """`python -m tests.stub_runner` on a studio's data folder, as often as it is started."""

    def __init__(self, studio):
        self.studio = studio
        self.log = studio.settings.root / "runner-said.txt"
        self.process = None

    def start(self, **more):
        environment = {
            **os.environ,
            **self.studio.settings.as_environment(),
            "STUDIO_POLL_SECONDS": "0.05",
            "STUDIO_DEVICE": "cpu",
            **more,
        }
        with open(self.log, "ab") as said:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "tests.stub_runner"], cwd=PROJECT, env=environment, stdout=said, stderr=said
            )
        return self

    def kill(self):
        self.process.kill()
        self.process.wait()


@pytest.fixture
def runner(studio):
    one = RunnerProcess(studio)
    yield one
    if one.process and one.process.poll() is None:
        one.kill()
    for process in processes_of(studio):
        with contextlib.suppress(psutil.NoSuchProcess):
            process.kill()


def until(studio, run, *states):
    """The run, as soon as it is in one of these states."""
    return eventually(
        lambda: (found := runs.get_run(studio, run.id)).state in states and found,
        f"{run.name} {' or '.join(states)}",
        studio,
        run,
    )


def eventually(seen, what, studio=None, run=None):
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end:
        if found := seen():
            return found
        time.sleep(0.03)
    told = (
        [f"{event.from_state} -> {event.to_state}: {event.text}" for event in runs.events(studio, run.id)]
        if run
        else []
    )
    said = (studio.settings.root / "runner-said.txt").read_text() if studio else ""
    raise AssertionError("\n".join([f"not seen in {PATIENCE} s: {what}", *told, said[-3000:]]))


def at_step(studio, run, step):
    return eventually(
        lambda: (found := runs.get_run(studio, run.id)).step >= step and found.state is S.RUNNING,
        f"step {step}",
        studio,
        run,
    )


def let_go(studio, run):
    """The stub waits at its step "hold" for this, so that nothing depends on how fast the machine is."""
    (studio.data.run(run.id).path / "go").touch()


def history(studio, run):
    return [event.to_state for event in runs.events(studio, run.id)]


def test_a_queued_run_is_trained_and_leaves_an_adapter(studio, runner):
    run = queued(studio, "pirate", {"steps": 6})
    runner.start()
    done = until(studio, run, *set(S) - set(LIVE) - {S.QUEUED})
    assert history(studio, run) == ["queued", "starting", "running", "succeeded"]
    assert (done.step, done.steps, done.attempt, done.base_heldout_loss, done.heldout_loss) == (6, 6, 1, 4.0, 1.5)
    assert done.sparkline[0] == 4.0
    assert done.started_at < done.ended_at
    assert done.seconds_left is None
    adapter = adapters.adapter_of_run(studio, run.id)
    assert (adapter.name, adapter.base_model, adapter.heldout_loss) == ("pirate", "base", 1.5)
    assert adapters.passport(studio, adapter.id)["adapter_sha256"] == adapter.sha256
    assert holders(studio) == {"cpu": None}
    assert processes_of(studio) == []


def test_two_runs_go_one_after_the_other_on_one_device(studio, runner):
    first, second = queued(studio, "first", {"steps": 4}), queued(studio, "second", {"steps": 2})
    runner.start()
    until(studio, second, S.SUCCEEDED)
    events = sorted(runs.events(studio, first.id) + runs.events(studio, second.id), key=lambda event: event.seq)
    moved = [(event.run_id, event.to_state) for event in events if event.to_state in ("starting", "succeeded")]
    assert moved == [(first.id, "starting"), (first.id, "succeeded"), (second.id, "starting"), (second.id, "succeeded")]


def test_a_runner_that_is_killed_and_started_again_goes_on_with_the_same_training(studio, runner):
    run = queued(studio, "long", {"steps": 60, "hold": 3})
    runner.start()
    at_step(studio, run, 3)
    before = read_json(studio.data.run(run.id).attempt(1).process)
    runner.kill()
    runner.start()
    eventually(
        lambda: "looks after this run from now on" in runs.events(studio, run.id)[-1].text, "the takeover", studio, run
    )
    let_go(studio, run)
    done = until(studio, run, S.SUCCEEDED, S.FAILED, S.RETRY_WAIT)
    assert done.state is S.SUCCEEDED
    assert done.attempt == 1
    assert [path.path.name for path in studio.data.run(run.id).attempts()] == ["attempt-1"]
    assert read_json(studio.data.run(run.id).attempt(1).process) == before
    assert metrics.series(studio, run.id, ["loss"], 100)["loss"]["x"] == list(range(1, 61))


def test_a_training_that_ends_while_no_runner_lives_is_settled_by_the_next(studio, runner):
    run = queued(studio, "alone", {"steps": 20, "hold": 1})
    runner.start()
    at_step(studio, run, 1)
    runner.kill()
    let_go(studio, run)
    eventually(lambda: studio.data.run(run.id).attempt(1).exit.exists(), "its end")
    assert state_of(studio, run) is S.RUNNING
    runner.start()
    assert until(studio, run, S.SUCCEEDED).step == 20


def test_ctrl_c_ends_the_runner_and_leaves_the_training(studio, runner):
    run = queued(studio, "goes on", {"steps": 4, "hold": 1})
    runner.start()
    at_step(studio, run, 1)
    assert runs.runner_alive(studio)
    runner.process.send_signal(signal.SIGINT)
    assert runner.process.wait(PATIENCE) == 0
    assert not runs.runner_alive(studio)
    assert len(processes_of(studio, run)) == 2
    runner.start()
    let_go(studio, run)
    assert until(studio, run, S.SUCCEEDED).attempt == 1


def test_a_second_runner_on_the_same_data_folder_ends_with_a_sentence(studio, runner):
    runner.start()
    eventually(lambda: runs.runner_alive(studio), "a runner")
    second = RunnerProcess(studio).start()
    assert second.process.wait(PATIENCE) == 2
    assert f"Another runner works on the data folder {studio.data.path}." in runner.log.read_text()
    assert runner.process.poll() is None


def test_a_runner_that_died_between_claim_and_start_leaves_a_run_that_starts_again(studio, runner):
    run = queued(studio, "claimed only", {"steps": 2})
    see_devices(studio, [("cpu", "CPU", 1)])
    run_queue.claim_next(studio, "dead", ["cpu"])
    runner.start()
    done = until(studio, run, S.SUCCEEDED)
    assert done.attempt == 1
    assert [path.path.name for path in studio.data.run(run.id).attempts()] == ["attempt-1", "attempt-3"]


def test_a_cancel_kills_the_whole_tree_with_a_grandchild_that_left_the_session(studio, runner):
    run = queued(studio, "unwanted", {"hold": 1, "grandchild": True, "deaf": True})
    runner.start(GRACE="0.3")
    at_step(studio, run, 1)
    assert len(processes_of(studio, run)) == 3
    runs.cancel_run(studio, run.id)
    done = until(studio, run, S.CANCELLED)
    assert processes_of(studio, run) == []
    assert done.want is Want.CANCEL
    assert holders(studio) == {"cpu": None}
    assert adapters.adapter_of_run(studio, run.id) is None


def test_a_cancel_is_not_forgotten_when_the_runner_dies_before_it_could_tell(studio, runner):
    run = queued(studio, "unwanted", {"hold": 1})
    runner.start()
    at_step(studio, run, 1)
    runner.kill()
    runs.cancel_run(studio, run.id)
    runner.start()
    until(studio, run, S.CANCELLED)
    assert processes_of(studio, run) == []


def test_stop_keeps_the_adapter_as_it_is(studio, runner):
    run = queued(studio, "enough", {"steps": 5, "hold": 2})
    runner.start()
    at_step(studio, run, 2)
    runs.stop_run(studio, run.id)
    done = until(studio, run, S.SUCCEEDED, S.CANCELLED, S.FAILED)
    assert done.state is S.SUCCEEDED
    assert done.step == 2
    assert adapters.adapter_of_run(studio, run.id) is not None
    assert "Stopped after step" in runs.events(studio, run.id)[-1].text


def test_a_paused_run_frees_the_device_and_goes_on_where_it_was(studio, runner):
    run = queued(studio, "twice", {"steps": 30, "hold": 3})
    runner.start()
    at_step(studio, run, 3)
    runs.pause_run(studio, run.id)
    paused = until(studio, run, S.PAUSED)
    assert (holders(studio), paused.attempt) == ({"cpu": None}, 0)
    runs.resume_run(studio, run.id)
    done = until(studio, run, S.SUCCEEDED)
    assert (done.attempt, done.step) == (1, 30)
    assert metrics.series(studio, run.id, ["loss"], 100)["loss"]["x"] == list(range(1, 31))


def test_success_without_an_adapter_is_a_failure(studio, runner):
    run = queued(studio, "empty", {"end": "nothing"})
    runner.start()
    done = until(studio, run, S.FAILED)
    assert "without a usable adapter" in done.problem
    assert adapters.adapter_of_run(studio, run.id) is None


def test_an_adapter_with_a_number_that_is_none_is_a_failure(studio, runner):
    run = queued(studio, "broken", {"end": "nan"})
    runner.start()
    assert "not finite, in base.q_proj.lora_A.weight" in until(studio, run, S.FAILED).problem
    assert adapters.adapter_of_run(studio, run.id) is None


def test_a_failure_says_why_what_to_do_and_the_last_lines_of_the_log(studio, runner):
    run = queued(studio, "wild", {"steps": 9, "at": 3, "end": "diverge"})
    runner.start()
    done = until(studio, run, S.FAILED)
    assert (done.problem, done.fix) == ("The loss is not a number any more.", "Choose a lower learning rate.")
    assert "stub: the loss is not a number" in runs.events(studio, run.id)[-1].text
    assert done.step == 3


def test_a_crash_of_the_program_is_not_tried_again(studio, runner):
    run = queued(studio, "bug", {"end": "bug"})
    runner.start()
    done = until(studio, run, S.FAILED, S.RETRY_WAIT)
    assert done.state is S.FAILED
    assert "RuntimeError: the stub has a bug" in done.problem


def test_a_training_that_was_killed_goes_on_from_its_checkpoint(studio, runner):
    run = queued(studio, "killed once", {"steps": 6, "at": 4, "end": "kill once"})
    runner.start()
    waiting = until(studio, run, S.RETRY_WAIT, S.FAILED)
    assert "memory was full" in waiting.problem
    done = until(studio, run, S.SUCCEEDED, S.FAILED)
    assert (done.state, done.attempt, done.problem) == (S.SUCCEEDED, 2, None)
    assert metrics.series(studio, run.id, ["loss"], 100)["loss"]["x"] == list(range(1, 7))


def test_a_training_that_is_killed_at_every_attempt_fails(studio, runner):
    run = queued(studio, "killed always", {"steps": 1, "end": "kill"}, max_attempts=1)
    runner.start()
    done = until(studio, run, S.FAILED)
    assert "It was tried 1 times" in done.problem
    assert done.fix


def test_a_full_disk_pauses_with_the_reason(studio, runner):
    run = queued(studio, "much", {"steps": 9, "at": 2, "end": "disk full"})
    runner.start()
    done = until(studio, run, S.PAUSED)
    assert (done.problem, holders(studio)) == ("The disk is full.", {"cpu": None})


def test_a_training_whose_supervisor_was_killed_leaves_nothing_behind_and_is_tried_again(studio, runner):
    run = queued(studio, "orphan", {"steps": 6, "hold": 2, "grandchild": True})
    runner.start()
    at_step(studio, run, 2)
    os.kill(runs.get_run(studio, run.id).pid, signal.SIGKILL)
    waiting = until(studio, run, S.RETRY_WAIT)
    assert "its supervisor was killed" in waiting.problem
    assert processes_of(studio, run) == []
    assert until(studio, run, S.SUCCEEDED).attempt == 2


def test_a_training_that_runs_out_of_memory_goes_on_with_fewer_rows_at_once_and_says_so(studio, runner):
    run = queued(studio, does={"steps": 9, "fits": 4})
    runner.start()
    ended = until(studio, run, S.SUCCEEDED, S.FAILED)
    assert (ended.state, ended.oom_retries, ended.micro_batch, ended.grad_accum) == (S.SUCCEEDED, 2, 4, 2)
    told = [event.text for event in runs.events(studio, run.id) if "Memory ran out" in event.text]
    assert len(told) == 2
    assert "Gradient checkpointing is turned on." in told[0]
    assert "halved: 8→4 rows and 512→256 tokens at once, accumulation 1→2; a step still takes 8 rows" in told[1]
    assert "(3.0 GiB were in use)" in told[1]
