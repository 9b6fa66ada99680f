"""A training of 24 steps, stopped at every step and resumed, is the straight one bit for bit: adapter, optimiser, losses, evaluations.

Each of its checkpoints equals that of the straight training at the same step, so what follows from any one of them does too.
"""

import json

import pytest
from safetensors.torch import load_file

from studio.files import read_json
from tests.workers.training_place import (
    TrainingPlace,
    adapter_of,
    asking,
    equal,
    evaluations_of,
    small_data,
    steps_of,
    train_here,
    training_place,
)

pytestmark = pytest.mark.training
STEPS = 24
MEASURED = ("loss", "heldout_loss", "grad_norm", "learning_rate", "tokens", "trained_tokens")
PLAN = {
    "method": {"dropout": 0.2},
    "training": {
        "batch_size": 4,
        "packing": True,
        "keep_checkpoints": STEPS,
        "verdict": False,
        "sample_prompts": ["Who are you?"],
        "max_steps": STEPS + 1,
    },
    "resolved": {"steps": STEPS + 1, "epochs": 5.0, "evaluate_every": 4, "checkpoint_every": 1},
}


@pytest.fixture(scope="module")
def place(tmp_path_factory, tiny_base) -> TrainingPlace:
    made = training_place(tmp_path_factory.mktemp("steps"), tiny_base)
    made.write_rows("small", small_data(22, 2))
    return made


@pytest.fixture(scope="module")
def straight(place):
    """Nobody stopped it; it kept the checkpoint of every step."""
    attempt = place.queue("straight", **PLAN)
    result = train_here(attempt)
    assert (result["status"], result["step"]) == ("succeeded", STEPS + 1)
    return attempt


def measured(*attempts) -> list[dict]:
    lines = [line for attempt in attempts for line in steps_of(attempt) + evaluations_of(attempt)]
    lines = [{name: line[name] for name in ("step", *MEASURED) if name in line} for line in lines]
    return sorted(lines, key=lambda line: (line["step"], "loss" in line))


def same_checkpoint(first, second) -> bool:
    """But for the seconds that it took."""
    states = [read_json(path / "state.json") for path in (first, second)]
    for state in states:
        for name in ("seconds", "step_seconds"):
            state["progress"].pop(name)
    tensors = ("adapter.safetensors", "optimizer.safetensors", "adapter/adapter_model.safetensors")
    same = [equal(load_file(first / name), load_file(second / name)) for name in tensors]
    return json.dumps(states[0]) == json.dumps(states[1]) and all(same)


def test_stopped_after_every_single_step_it_is_the_straight_one(place, straight):
    """A pause at step 1, resumed and paused at step 2, and so on: each checkpoint is that of the straight training."""
    first = place.queue("paused", **PLAN)
    attempts = [first]
    for step in range(1, STEPS + 1):
        assert train_here(attempts[-1], asking("pause", 1))["status"] == "paused"
        assert same_checkpoint(attempts[-1].checkpoints / f"step-{step}", straight.checkpoints / f"step-{step}")
        attempts.append(first.run.attempt(step + 1).create())
    assert train_here(attempts[-1])["status"] == "succeeded"
    assert equal(adapter_of(straight), adapter_of(attempts[-1]))
    assert measured(*attempts) == measured(straight)
