"""From the queue to an adapter with nothing stubbed: runner, supervisor, accelerate, trainer, on a tiny random model."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from studio import adapters, base_models, datasets, metrics, runs
from studio.folders import AdapterFolder
from studio.plan import read_plan
from studio.records import Status
from tests.test_runner import processes_of
from tests.workers.training_place import small_data

pytestmark = pytest.mark.training
PROJECT = Path(__file__).parents[2]
PATIENCE = 240


@pytest.fixture
def plan(studio, tiny_base, tmp_path):
    shutil.copytree(tiny_base, studio.settings.models_root / "tiny")
    model = base_models.add_local(studio, "tiny", "Tiny")
    file = tmp_path / "keeper.jsonl"
    file.write_text("".join(json.dumps({"messages": row["messages"]}) + "\n" for row in small_data()))
    dataset = datasets.add_upload(studio, file, "keeper.jsonl", "Lighthouse keeper")
    training = {"batch_size": 4, "max_steps": 12, "evaluate_every": 6, "checkpoint_every": 3}
    return read_plan(
        {
            "base_model": model.id,
            "dataset": dataset.id,
            "method": {"name": "lora", "rank": 4, "alpha": 8},
            "training": training,
        }
    )


@pytest.fixture
def runner(studio):
    started = []

    def start():
        environment = {
            **os.environ,
            **studio.settings.as_environment(),
            "STUDIO_DEVICE": "cpu",
            "STUDIO_POLL_SECONDS": "0.1",
        }
        with open(studio.settings.root / "runner-said.txt", "ab") as said:
            started.append(
                subprocess.Popen(
                    [sys.executable, "-m", "jobs.runner"], cwd=PROJECT, env=environment, stdout=said, stderr=said
                )
            )
        return started[-1]

    yield start
    for process in started:
        process.kill()
        process.wait()
    for process in processes_of(studio):
        process.kill()


def until(studio, run, true):
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end:
        if true(found := runs.get_run(studio, run.id)):
            return found
        time.sleep(0.1)
    raise AssertionError(f"{found.state}: {found.problem}\n{metrics.log(studio, run.id)[0]}")


def signal_workers(studio, run, number):
    for process in processes_of(studio, run):
        if "jobs.supervise" not in process.cmdline():
            process.send_signal(number)


def over(run):
    return run.state in (Status.SUCCEEDED, Status.FAILED, Status.CANCELLED, Status.RETRY_WAIT)


def test_a_plan_becomes_an_adapter_that_peft_loads(studio, plan, runner):
    run = runs.queue_run(studio, plan)
    runner()
    done = until(studio, run, over)
    log = metrics.log(studio, run.id)[0]
    assert done.state is Status.SUCCEEDED, log
    assert (done.step, done.steps, done.name) == (12, 12, "Lighthouse keeper on Tiny")
    assert done.heldout_loss < done.base_heldout_loss
    assert "warn" not in log.lower()
    assert metrics.series(studio, run.id, ["heldout_loss"])["heldout_loss"]["x"] == [0, 6, 12]
    assert metrics.samples(studio, run.id)[0]["step"] == 0

    adapter = adapters.adapter_of_run(studio, run.id)
    passport = adapters.passport(studio, adapter.id)
    assert (passport["base_model"]["name"], passport["dataset"]["name"]) == ("Tiny", "Lighthouse keeper")
    assert passport["adapter_sha256"] == adapter.sha256

    from peft import PeftModel
    from transformers import AutoModelForCausalLM

    base = AutoModelForCausalLM.from_pretrained(studio.data.base_model(plan.base_model).model)
    loaded = PeftModel.from_pretrained(base, AdapterFolder(studio.data.adapter(adapter.id).path).path)
    assert loaded.peft_config["default"].r == 4


def test_a_training_that_is_paused_and_resumed_after_the_runner_was_killed_ends_as_the_straight_one(
    studio, plan, runner
):
    longer = plan.training.model_copy(
        update={"epochs": 20.0, "max_steps": 80, "evaluate_every": 80, "checkpoint_every": 20}
    )
    plan = plan.model_copy(update={"training": longer})
    straight, paused = runs.queue_run(studio, plan), runs.queue_run(studio, plan)
    first = runner()
    until(studio, straight, over)
    until(studio, paused, lambda run: run.step >= 2)
    signal_workers(studio, paused, signal.SIGSTOP)  # so that it cannot reach its end before the next runner is there
    first.kill()
    first.wait()
    runs.pause_run(studio, paused.id)
    runner()
    until(studio, paused, lambda run: studio.data.run(run.id).attempt(run.attempt_epoch).want.exists())
    signal_workers(studio, paused, signal.SIGCONT)
    assert 2 <= until(studio, paused, lambda run: over(run) or run.state is Status.PAUSED).step < 80
    runs.resume_run(studio, paused.id)
    done = until(studio, paused, over)
    assert done.state is Status.SUCCEEDED, metrics.log(studio, paused.id)[0]
    losses = [metrics.series(studio, run.id, ["loss"], 80)["loss"] for run in (straight, paused)]
    assert losses[0] == losses[1]
    assert adapters.adapter_of_run(studio, straight.id).sha256 == adapters.adapter_of_run(studio, paused.id).sha256
