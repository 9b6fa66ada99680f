"""A run whose checkpoints are lost waits for the person, who says from page or API that it shall start over; and paused runs say why."""

import pytest
from fastapi.testclient import TestClient

from jobs.outcome import Ending, outcome
from studio import checkpoints, run_queue, runs
from studio.errors import Conflict
from studio.files import write_json
from studio.pages.run import draw, offers
from studio.records import Status, Want
from studio.web import build_app
from tests.queueing import queued, with_devices

S = Status


def paused(studio, kind, problem):
    """A run that its worker has ended so, read and settled as the runner does."""
    with_devices(studio, "cpu")
    queued(studio)
    run, _ = run_queue.claim_next(studio, "runner", ["cpu"])
    attempt = studio.data.run(run.id).attempt(run.attempt_epoch).create()
    said = {"problem": problem, "fix": "Do something about it."}
    write_json(attempt.result, {"status": "paused", "kind": kind, "step": 4, **said})
    found = outcome(run, attempt, Ending(code=75), None, has_checkpoint=False)
    return run_queue.settle(studio, run, found.to, found.text, **found.values)


@pytest.mark.parametrize("kind", ["disk_full", "no_checkpoint"])
def test_a_run_that_paused_unasked_says_why_on_its_page_and_lost_no_attempt(studio, kind):
    run = paused(studio, kind, "It <cannot> go on.")
    assert (run.state, run.want, run.attempt, run.problem) == (S.PAUSED, Want.PAUSE, 0, "It <cannot> go on.")
    assert "It &lt;cannot&gt; go on." in draw(studio, run)["news"]
    lost = checkpoints.are_lost(studio, run)
    assert (offers(run, lost)["resume"], offers(run, lost)["over"]) == (True, kind == "no_checkpoint")


def test_starting_over_is_said_through_the_api_and_written_down_for_the_worker(studio):
    run = paused(studio, "no_checkpoint", "None can be used.")
    with TestClient(build_app(studio), base_url="http://127.0.0.1:7860") as client:
        at = f"/api/v1/runs/{run.id}"
        assert client.get(at).json()["result"]["kind"] == "no_checkpoint"
        assert client.post(f"{at}/resume", json={"start_over": "yes"}).status_code == 422
        assert not studio.data.run(run.id).start_over.exists()
        answer = client.post(f"{at}/resume", json={"start_over": True}).json()
    assert (answer["state"], answer["problem"]) == ("queued", None)
    assert "start over from its first step" in answer["events"][-1]["text"]
    assert studio.data.run(run.id).start_over.exists()


def test_a_plain_resume_starts_nothing_over(studio):
    run = paused(studio, "no_checkpoint", "None can be used.")
    assert runs.resume_run(studio, run.id).state is S.QUEUED
    assert not studio.data.run(run.id).start_over.exists()


def test_what_trains_cannot_start_over(studio):
    with_devices(studio, "cpu")
    run = queued(studio)
    run_queue.claim_next(studio, "runner", ["cpu"])
    with pytest.raises(Conflict, match="Pause it first"):
        runs.resume_run(studio, run.id, start_over=True)
    assert not studio.data.run(run.id).start_over.exists()
