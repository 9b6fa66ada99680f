"""Memory that runs out: the real worker goes on from its checkpoint with less at once, and ends where the untouched training ends."""

import subprocess
import sys

import pytest
import torch

from jobs.outcome import Ending
from jobs.remedies import write_resolved
from jobs.watch import Watch
from jobs.workers import ending, train, training
from studio import run_queue, runs
from studio.files import read_json
from studio.records import Run, Status
from studio.settings import StudioSettings
from studio.studio import Studio
from tests.queueing import holders, queued, with_devices
from tests.workers.training_place import NEVER, TrainingPlace, conversation, evaluations_of, steps_of, train_here

pytestmark = pytest.mark.training
PLAN = {
    "training": {"batch_size": 4, "sample_prompts": [], "verdict": False},
    "method": {"dropout": 0.0},
    "resolved": {"checkpoint_every": 2, "evaluate_every": 5},
}


@pytest.fixture
def studio(place: TrainingPlace):
    opened = Studio.open(StudioSettings(data_folder=place.data.path))
    with_devices(opened, "cpu")
    yield opened
    opened.database.close()


def fails_at_the_allocation(monkeypatch) -> None:
    """From step 5 on a step fits only with gradient checkpointing, from step 8 on only with half of the rows as well."""
    real = training.Engine.accumulate
    step = training.Training.step

    def numbered(this, total):
        now["step"], now["resolved"] = this.progress.step + 1, this.resolved
        return step(this, total)

    def accumulate(engine, *rest):
        resolved = now["resolved"]
        if (now["step"] >= 5 and not resolved.gradient_checkpointing) or (
            now["step"] >= 8 and resolved.micro_batch > 2
        ):
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.")
        return real(engine, *rest)

    now: dict = {}
    monkeypatch.setattr(training.Training, "step", numbered)
    monkeypatch.setattr(training.Engine, "accumulate", accumulate)


def attempts_until_it_ends(studio: Studio, id: str) -> Run:
    """What the runner does, with the worker in this process."""
    while (run := runs.get_run(studio, id)).state in (Status.QUEUED, Status.RETRY_WAIT):
        run, _ = run_queue.claim_next(studio, "runner", ["cpu"])
        watch = Watch(studio, run)
        watch.attempt.create()
        write_resolved(run, watch.attempt)
        watch.settle(run, Ending(code=train.main(str(watch.attempt.path), NEVER)))
    return run


def test_a_training_whose_memory_runs_out_twice_ends_with_the_loss_of_the_untouched_one(place, studio, monkeypatch):
    straight = train_here(place.queue("straight", **PLAN))
    run = queued(studio)
    place.queue(run.id, **PLAN)
    fails_at_the_allocation(monkeypatch)
    ended = attempts_until_it_ends(studio, run.id)
    assert (ended.state, ended.oom_retries, ended.attempt, holders(studio)) == (Status.SUCCEEDED, 2, 1, {"cpu": None})
    told = [event.text for event in runs.events(studio, run.id) if event.to_state == Status.RETRY_WAIT]
    assert "Memory ran out at step 5 (" in told[0]
    assert "Gradient checkpointing is turned on." in told[0]
    assert "Memory ran out at step 8 (" in told[1]
    assert "4→2 rows and 512→256 tokens at once, accumulation 1→2; a step still takes 4 rows" in told[1]
    assert all("GiB were in use). " in text and "from its last checkpoint" in text for text in told)
    attempts = studio.data.run(run.id).attempts()
    assert [[line["step"] for line in steps_of(attempt)] for attempt in attempts] == [
        [1, 2, 3, 4],
        [5, 6, 7],
        [7, 8, 9, 10],
    ]
    result = read_json(attempts[-1].result)
    assert result["heldout_loss"] == pytest.approx(straight["heldout_loss"], abs=2e-6)
    losses = {line["step"]: line["loss"] for attempt in attempts for line in steps_of(attempt)}
    untouched = {line["step"]: line["loss"] for line in steps_of(place.data.run("straight").attempt(1))}
    assert losses == pytest.approx(untouched, abs=2e-6)
    assert len(evaluations_of(attempts[-1])) == 1


LIMITED = """
import resource, sys
from jobs.workers import train, training

def loaded(this, load=training.Training.load):
    load(this)
    held = int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (held + {room} * 2**20, resource.RLIM_INFINITY))

training.Training.load = loaded
sys.exit(train.main(sys.argv[1]))
"""


def test_a_limit_of_the_systems_on_memory_is_told_as_memory_that_ran_out(place: TrainingPlace):
    rows = [
        conversation(row, f"{row}: count!", "one two three four " * 120) for row in range(1, 33)
    ]  # no common beginning
    place.write_rows("long", rows)
    attempt = place.queue(
        "r1",
        dataset="long",
        training={"batch_size": 32},
        resolved={"sequence_length": 1024, "token_budget": 32 * 1024, "train_rows": 32, "heldout_rows": 0},
    )
    command = [sys.executable, "-c", LIMITED.format(room=48), str(attempt.path)]
    ended = subprocess.run(command, env=place.environment(), capture_output=True, text=True, timeout=300, check=False)
    result = read_json(attempt.result)
    assert result, ended.stdout + ended.stderr
    assert (ended.returncode, result["kind"], result["status"]) == (77, "out_of_memory", "failed"), ended.stdout
    assert "Choose a smaller micro-batch" in result["fix"]


@pytest.mark.parametrize(
    ("error", "gpu", "kind"),
    [
        (MemoryError(), True, "host_memory"),
        (
            RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 9 bytes."),
            True,
            "host_memory",
        ),
        (torch.OutOfMemoryError("CUDA out of memory."), True, "out_of_memory"),
        (RuntimeError("CUDA error: out of memory"), True, "out_of_memory"),
        (MemoryError(), False, "out_of_memory"),
    ],
    ids=["python beside a GPU", "torch beside a GPU", "the GPU's", "the driver's", "on a CPU"],
)
def test_the_machines_memory_and_the_devices_are_told_apart(monkeypatch, error, gpu, kind):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: gpu)
    assert ending.ending_in_words(error).kind == kind


@pytest.mark.parametrize(
    ("gone", "words"),
    [
        ("model", "base model 'tiny' are not in the data folder"),
        ("rows", "data set 'small' are not in the data folder"),
    ],
)
def test_a_base_or_data_that_went_away_while_the_run_waited_is_named(place: TrainingPlace, gone, words):
    attempt = place.queue("r1")
    missing = place.data.base_model("tiny").model if gone == "model" else place.data.dataset("small").messages
    missing.unlink()
    result = train_here(attempt)
    assert (result["exit"], result["kind"]) == (78, "plan")
    assert words in result["problem"]
    assert "train again with it" in result["fix"]
