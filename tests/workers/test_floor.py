"""The share of the device's floor: what counts as useful, and that every step and the result tell it."""

import pytest
import torch

from jobs.workers import floor as floor_module
from jobs.workers.floor import Floor, matrix_rate
from tests.workers.training_place import steps_of, train_here

pytestmark = pytest.mark.training


def test_useful_is_4_operations_per_weight_and_token_and_the_output_layer_only_where_something_is_learned(
    place, monkeypatch
):
    monkeypatch.setattr(floor_module, "matrix_rate", lambda *_: 1e6)
    head = torch.nn.Linear(32, 400, bias=False)
    floor = Floor(place.facts, head, torch.device("cpu"), torch.float32)
    weights = sum(layer.inputs * layer.outputs for layer in place.facts.linear_layers)
    assert floor.share(100, 30, 2.0, 2) == pytest.approx(4 * (100 * weights + 30 * 32 * 400) / 2 / 2e6, abs=1e-4)
    assert floor.median() == floor.shares[0]


def test_the_rate_is_that_of_a_product_no_larger_than_needed():
    rate = matrix_rate(64, 10**9, torch.device("cpu"), torch.float32)
    assert 1e7 < rate < 1e15


def test_each_step_and_the_result_say_it(place):
    attempt = place.queue("r1", training={"max_steps": 3})
    result = train_here(attempt)
    shares = [step["mfu"] for step in steps_of(attempt)]
    assert len(shares) == 3
    assert result["mfu"] == sorted(shares)[1] > 0
