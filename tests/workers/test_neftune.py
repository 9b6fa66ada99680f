"""NEFTune adds its noise by each row's own length, while training only, and the same noise to a run that goes on."""

import numpy as np
import pytest
import torch

from jobs.workers.engine import Engine
from jobs.workers.neftune import add_noise_to_embeddings
from jobs.workers.packing import Example, packed, padded
from studio.methods import METHODS
from studio.plan import read_plan
from tests.workers.tiny_models import tiny_model
from tests.workers.training_place import TrainingPlace, adapter_of, asking, equal, steps_of, train_here

pytestmark = pytest.mark.training
ALPHA, WIDTH = 5.0, 32


def rows(*lengths: int) -> list[Example]:
    return [Example(0, np.arange(10, 10 + length, dtype=np.int32), np.ones(length, bool)) for length in lengths]


def noise_of(together, lengths: tuple[int, ...], training: bool = True, **method) -> torch.Tensor:
    """What is added to the embeddings of these rows, [rows, slots, width], those of virtual tokens among them."""
    settings = read_plan({"base_model": "m", "dataset": "d", "method": method}).method
    model = METHODS[settings.name].add_to(settings, tiny_model())
    engine = Engine(model, torch.device("cpu"), 4, 1000)
    engine.choose()
    batch = together([engine.prompt.in_front_of(row) for row in rows(*lengths)], torch.device("cpu"))
    clean = engine.causal.get_input_embeddings().weight.detach()[batch.input_ids]
    add_noise_to_embeddings(engine, ALPHA)
    seen = []
    engine.causal.get_input_embeddings().register_forward_hook(lambda *call: seen.append(call[2]))
    model.train(training)
    torch.manual_seed(0)
    engine.accumulate([batch], 1.0)
    return (seen[0] - clean).detach()


def reach(length: int) -> float:
    return ALPHA / (length * WIDTH) ** 0.5


@pytest.mark.parametrize("together", [packed, padded])
def test_each_row_gets_noise_by_its_own_length(together):
    found = noise_of(together, (20, 4))
    long, short = (found[0, :20], found[0, 20:]) if together is packed else (found[0], found[1, :4])
    for noise, length in ((long, 20), (short, 4)):
        assert 0.9 * reach(length) < noise.abs().max() <= reach(length) * 1.001
        assert abs(noise.mean()) < 0.2 * reach(length)


@pytest.mark.parametrize("together", [packed, padded])
@pytest.mark.parametrize("method", ["prompt_tuning", "p_tuning"])
def test_virtual_tokens_do_not_make_the_noise_of_a_row_smaller(method, together):
    found = noise_of(together, (4,), name=method, virtual_tokens=5)[0, 5:]
    assert 0.9 * reach(4) < found.abs().max() <= reach(4) * 1.001


def test_nothing_is_added_while_measuring():
    assert not noise_of(padded, (20,), training=False).any()


def test_a_run_with_noise_that_stopped_and_went_on_is_the_straight_one(place: TrainingPlace):
    noisy = {"training": {"neftune_alpha": ALPHA}}
    straight, stopped = place.queue("straight", **noisy), place.queue("stopped", **noisy)
    train_here(straight)
    assert train_here(stopped, asking("pause", 3))["status"] == "paused"
    again = stopped.run.attempt(2).create()
    train_here(again)
    assert equal(adapter_of(straight), adapter_of(again))
    plain = place.queue("plain")
    train_here(plain)
    assert steps_of(plain)[0]["loss"] != steps_of(straight)[0]["loss"]
