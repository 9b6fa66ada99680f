"""The optimiser goes on as if it had never stopped, passes over what is no number, and follows the schedule."""

import json
import math

import pytest
import torch
from accelerate import Accelerator
from safetensors.torch import load_file, save_file

from jobs.workers.optimizer import Diverged, Optimizer, learning_rate, rates_of
from studio.plan import read_plan
from tests.workers.training_place import resolved_for

pytestmark = pytest.mark.training


def settings_with(**values):
    return read_plan({"base_model": "m", "dataset": "d", "training": values}).training


def made(**values) -> Optimizer:
    torch.manual_seed(0)
    shapes = {"a": (80, 64), "b": (5,), "c": (64, 80)}  # two that are large enough for 8 bits
    parameters = {name: torch.nn.Parameter(torch.randn(shape)) for name, shape in shapes.items()}
    plan = read_plan({"base_model": "m", "dataset": "d", "training": values})
    return Optimizer(parameters, resolved_for(plan), plan.training, Accelerator(cpu=True))


def steps(optimizer: Optimizer, numbers, loss: float = 1.0) -> None:
    for number in numbers:
        for index, parameter in enumerate(optimizer.parameters.values()):
            parameter.grad = torch.sin(torch.arange(parameter.numel()) * (number + index + 1.0)).view_as(parameter)
        optimizer.step(number, 0.1, loss)


def same(first: Optimizer, second: Optimizer) -> bool:
    return all(torch.equal(value, second.parameters[name]) for name, value in first.parameters.items())


@pytest.mark.parametrize("name", ["adamw", "adamw_8bit"])
def test_restored_from_a_file_it_goes_on_as_if_it_had_never_stopped(name, tmp_path):
    straight, first, second = (made(optimizer=name) for _ in range(3))
    steps(straight, range(6))
    steps(first, range(3))
    for name, parameter in second.parameters.items():
        parameter.data.copy_(first.parameters[name].data)
    numbers = json.loads(json.dumps(first.numbers()))
    save_file(first.tensors(), tmp_path / "optimizer.safetensors")
    second.restore(load_file(tmp_path / "optimizer.safetensors"), numbers)
    steps(second, range(3, 6))
    assert same(straight, second)


def test_averages_in_8_bits_take_a_quarter_of_the_memory_and_step_nearly_the_same_way():
    exact, rounded = made(), made(optimizer="adamw_8bit")
    before = {name: value.detach().clone() for name, value in exact.parameters.items()}
    steps(exact, range(6))
    steps(rounded, range(6))
    sizes = [
        sum(value.nbytes for key, value in each.tensors().items() if key.endswith("/a") and value.numel() > 5000)
        for each in (exact, rounded)
    ]
    assert sizes[1] * 4 == sizes[0]
    moved = {name: (value - before[name]).norm() for name, value in exact.parameters.items()}
    for name, value in exact.parameters.items():
        assert (value - rounded.parameters[name]).norm() < 0.2 * moved[name]
    assert not same(exact, rounded)


def test_lora_plus_gives_the_second_matrix_its_own_rate_at_every_step():
    plan = read_plan({"base_model": "m", "dataset": "d", "method": {"name": "lora", "loraplus_ratio": 16.0}})
    names = ["q_proj.lora_A.default.weight", "q_proj.lora_B.default.weight", "lm_head.modules_to_save.default.weight"]
    parameters = {name: torch.nn.Parameter(torch.zeros(3)) for name in names}
    rates = rates_of(plan, parameters)
    optimizer = Optimizer(parameters, resolved_for(plan), plan.training, Accelerator(cpu=True), rates)
    for number, rate in ((1, 1e-3), (2, 5e-4)):
        before = {name: each.detach().clone() for name, each in parameters.items()}
        for each in parameters.values():
            each.grad = torch.ones(3)
        optimizer.step(number, rate, 1.0)
        moved = {name: float((each.detach() - before[name]).abs().max()) for name, each in parameters.items()}
        assert moved == pytest.approx(dict(zip(names, (rate, 16 * rate, rate), strict=True)), rel=1e-4)


def test_a_step_without_a_finite_loss_changes_nothing():
    optimizer, untouched = made(), made()
    steps(optimizer, [1], math.nan)
    assert same(optimizer, untouched)
    assert optimizer.numbers()["broken_steps"] == 1
    steps(optimizer, [2])
    assert optimizer.numbers()["broken_steps"] == 0


def test_three_of_them_in_a_row_are_given_up():
    with pytest.raises(Diverged) as given_up:
        steps(made(), [5, 6, 7, 8], math.inf)
    assert given_up.value.step == 7


@pytest.mark.parametrize("schedule", ["cosine", "linear", "constant"])
def test_the_learning_rate_rises_to_its_peak_and_falls_by_its_schedule(schedule):
    rates = [learning_rate(step, 20, 4, 1.0, settings_with(schedule=schedule)) for step in range(1, 21)]
    assert rates[:4] == [0.25, 0.5, 0.75, 1.0]
    assert rates[4] == 1.0
    assert rates[4:] == sorted(rates[4:], reverse=True)
    assert 0 < rates[-1] <= (1.0 if schedule == "constant" else 0.07)


def test_a_single_step_has_a_learning_rate():
    assert learning_rate(1, 1, 0, 1.0, settings_with()) == 1.0


def test_warmup_stable_decay_stays_at_the_peak_until_its_last_part():
    settings = settings_with(schedule="warmup-stable-decay", decay_ratio=0.25)
    rates = [learning_rate(step, 20, 4, 1.0, settings) for step in range(1, 21)]
    assert rates[:4] == [0.25, 0.5, 0.75, 1.0]
    assert rates[4:16] == [1.0] * 12
    assert rates[16] < 1
    assert rates[16:] == sorted(rates[16:], reverse=True)
    assert 0 < rates[-1] < 0.2


def test_a_decay_longer_than_what_the_warmup_leaves_falls_from_the_peak():
    settings = settings_with(schedule="warmup-stable-decay", decay_ratio=1.0)
    rates = [learning_rate(step, 10, 5, 1.0, settings) for step in range(1, 11)]
    assert rates[4] == rates[5] == 1.0
    assert rates[5:] == sorted(rates[5:], reverse=True)
