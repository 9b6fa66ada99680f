"""How a training ends other than by its last step: refused, diverged, out of memory, disk full, early, or by a bug."""

import errno
import math

import numpy as np
import pytest
import torch

from jobs.workers import train, training
from studio.files import read_json
from studio.folders import AdapterFolder
from tests.workers.training_place import (
    NEVER,
    TrainingPlace,
    adapter_of,
    conversation,
    evaluations_of,
    lines,
    small_data,
    steps_of,
    train_here,
)

pytestmark = pytest.mark.training


def test_a_heldout_loss_that_is_no_number_is_never_the_lowest(place: TrainingPlace, monkeypatch):
    told = iter([8.0, math.nan, 7.0, 7.5, 7.2])  # the base, then at steps 4, 8 and so on
    monkeypatch.setattr(
        training.OBJECTIVES["answers"], "measure", lambda self, rows: {"loss": np.array([next(told), 0, 0, 0])}
    )
    monkeypatch.setattr(training.OBJECTIVES["answers"], "count_heldout", lambda self, data: 1)
    result = train_here(place.queue("r1", training={"keep": "best", "max_steps": 10}))
    assert (result["status"], result["best_step"], result["heldout_loss"]) == ("succeeded", 8, 7.0)


def test_fewer_processes_than_planned_are_refused(place: TrainingPlace):
    result = train_here(place.queue("r1", resolved={"processes": 2}))
    assert (result["exit"], result["kind"]) == (78, "plan")
    assert "2 processes" in result["problem"]


@pytest.mark.parametrize(
    ("settings", "kept"),
    [
        ({"early_stopping": 2}, "best"),
        ({"early_stopping": 2, "keep": "last"}, "last"),
        ({"keep": "best", "max_steps": 30}, "best"),
        ({"max_steps": 30}, "last"),
    ],
)
def test_the_adapter_kept_is_the_one_of_the_lowest_heldout_loss_or_the_last(place: TrainingPlace, settings, kept):
    rows = [conversation(row, "Say it.", "one two three") for row in range(1, 9)] + [
        conversation(9, "Say it.", "one two three", heldout=True),
        conversation(10, "Tell me.", "ships count café", heldout=True),
    ]
    place.write_rows("small", rows)
    attempt = place.queue(
        "r1",
        training={**settings, "learning_rate": 0.02, "schedule": "constant"},
        resolved={"epochs": 100.0, "evaluate_every": 2},
    )
    result = train_here(attempt)
    assert (result["step"] < result["steps"]) == ("early_stopping" in settings)
    measured = {line["step"]: line["heldout_loss"] for line in evaluations_of(attempt)}
    assert result["best_step"] == min((step for step in measured if step), key=measured.get)
    assert measured[result["best_step"]] < measured[result["step"]]
    assert result["heldout_loss"] == measured[result["best_step"] if kept == "best" else result["step"]]


def test_rows_without_an_answer_within_the_sequence_are_counted_and_said(place: TrainingPlace, capfd):
    long_question = conversation(25, "count ships " * 30, "one")
    place.write_rows("small", [*small_data(), long_question])
    result = train_here(place.queue("r1", resolved={"sequence_length": 64}))
    assert (result["unlearnable_rows"], result["train_rows"]) == (1, 20)
    assert result["cut_rows"] >= 1
    assert "left out: 25." in capfd.readouterr().out


def test_data_without_anything_to_learn_is_refused_in_words(place: TrainingPlace):
    result = train_here(place.queue("r1", resolved={"sequence_length": 8}))
    assert (result["exit"], result["status"], result["kind"]) == (78, "failed", "plan")
    assert "None of the 24 rows has an answer within the first 8 tokens" in result["problem"]
    assert result["fix"]


def test_marked_rows_are_never_trained_on_even_when_nothing_is_measured(place: TrainingPlace):
    result = train_here(place.queue("r1", resolved={"heldout_rows": 0}))
    assert (result["train_rows"], result["heldout_rows"], result["heldout_loss"]) == (20, 0, None)
    assert {line["step"] for line in lines(place.data.run("r1").attempt(1).samples)} == {0, 4, 8, 10}


def test_a_plan_for_a_gpu_is_refused_where_there_is_none(place: TrainingPlace, monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    result = train_here(place.queue("r1", resolved={"device": "cuda"}))
    assert (result["exit"], result["kind"]) == (78, "plan")
    assert "GPU" in result["problem"]


def test_a_loss_that_is_no_number_ends_as_diverged(place: TrainingPlace, monkeypatch):
    real = training.Engine.accumulate
    monkeypatch.setattr(training.Engine, "accumulate", lambda engine, *rest: real(engine, *rest) * math.nan)
    result = train_here(place.queue("r1"))
    assert (result["exit"], result["kind"]) == (78, "diverged")
    assert "step 3" in result["problem"]
    assert "learning rate below 1.0e-03" in result["fix"]


def test_what_was_best_before_it_diverged_is_kept_where_the_best_was_wanted_and_everything_says_so(place, monkeypatch):
    real, done = training.Engine.accumulate, []

    def breaks_later(engine, *rest):
        done.append(1)
        return real(engine, *rest) * (math.nan if len(done) > 5 else 1)

    monkeypatch.setattr(training.Engine, "accumulate", breaks_later)
    attempt = place.queue("r1", training={"keep": "best"}, resolved={"evaluate_every": 2})
    result = train_here(attempt)
    assert (result["exit"], result["status"], result["kind"], result["diverged_at"]) == (0, "stopped", "diverged", 8)
    assert "up to step 8" in result["problem"]
    assert "Choose a learning rate below" in result["fix"]
    assert result["best_step"] in (2, 4, 6)  # the steps after the fifth were passed over
    assert result["heldout_loss"] == result["best_heldout_loss"] < result["base_heldout_loss"]
    assert (
        f"it diverged at step 8; this is step {result['best_step']}" in AdapterFolder(attempt.adapter).card.read_text()
    )
    assert all(values.isfinite().all() for values in adapter_of(attempt).values())


def test_one_broken_step_is_passed_over(place: TrainingPlace, monkeypatch):
    real, calls = training.Engine.accumulate, []

    def broken_once(engine, *rest):
        calls.append(1)
        return real(engine, *rest) * (math.nan if len(calls) == 4 else 1)

    monkeypatch.setattr(training.Engine, "accumulate", broken_once)
    attempt = place.queue("r1")
    assert train_here(attempt)["status"] == "succeeded"
    assert [line["loss"] for line in steps_of(attempt)].index(None) == 3


@pytest.mark.parametrize(
    "error",
    [
        torch.OutOfMemoryError("CUDA out of memory."),
        MemoryError(),
        RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory: you tried to allocate 99 bytes."),
    ],
    ids=lambda error: type(error).__name__,
)
def test_running_out_of_memory_is_told_apart(place: TrainingPlace, monkeypatch, error):
    def fail(*_):
        raise error

    monkeypatch.setattr(training.Engine, "accumulate", fail)
    result = train_here(place.queue("r1"))
    assert (result["exit"], result["kind"]) == (77, "out_of_memory")
    assert result["peak_memory_bytes"] > 0


def test_a_full_disk_pauses_the_training_and_it_goes_on_when_there_is_room(place: TrainingPlace, monkeypatch):
    def full(*_args, **_kwargs):
        raise OSError(errno.ENOSPC, "No space left on device")

    first = place.queue("r1")
    with monkeypatch.context() as patch:
        patch.setattr(training, "save_adapter", full)
        result = train_here(first)
    assert (result["exit"], result["status"], result["kind"]) == (73, "paused", "disk_full")
    second = first.run.attempt(2).create()
    assert train_here(second)["status"] == "succeeded"
    assert steps_of(second)[0]["step"] == 9


def test_a_bug_keeps_its_traceback_and_is_called_one(place: TrainingPlace, monkeypatch):
    monkeypatch.setattr(training.Engine, "accumulate", lambda *_: 1 / 0)
    attempt = place.queue("r1")
    with pytest.raises(ZeroDivisionError):
        train.main(str(attempt.path), NEVER)
    assert (read_json(attempt.result)["status"], read_json(attempt.result)["kind"]) == ("failed", "bug")
