"""The lab's promises on every architecture that is trained: a stack is the sum, shrinking loses what it says, a merge answers alike."""

import math

import pytest
import torch

pytestmark = pytest.mark.training

from peft import PeftModel  # noqa: E402
from transformers import AutoModelForCausalLM  # noqa: E402

from jobs.workers import lab  # noqa: E402
from jobs.workers.merge import merge_adapter  # noqa: E402
from studio import adapter_job_queue, adapter_jobs  # noqa: E402
from studio.lab_settings import ShrinkSettings, StackSettings  # noqa: E402
from tests.workers.test_packing import ARCHITECTURES  # noqa: E402
from tests.workers.tiny_models import add_tiny_adapter, add_tiny_base  # noqa: E402

IDS = torch.arange(24)[None] * 7 % 300


def updates(studio, base, adapter_id) -> dict[str, torch.Tensor]:
    model = AutoModelForCausalLM.from_pretrained(studio.data.base_model(base.id).model)
    adapted = PeftModel.from_pretrained(model, studio.data.adapter(adapter_id).path)
    return {
        name: module.get_delta_weight("default").double()
        for name, module in adapted.named_modules()
        if hasattr(module, "get_delta_weight")
    }


def squared(update: dict[str, torch.Tensor]) -> float:
    return sum(float((matrix**2).sum()) for matrix in update.values())


def make(studio, settings):
    job = adapter_jobs.queue_job(studio, settings)
    adapter_job_queue.claim(studio)
    lab.main(studio.data.adapter_job(job.id))
    return adapter_job_queue.settle(studio, job)


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_stack_shrink_and_merge_keep_their_promises(studio, tmp_path, name):
    base = add_tiny_base(studio, model_type=name, **ARCHITECTURES[name])
    for seed, id in enumerate(("pirate", "orders")):
        add_tiny_adapter(studio, base, id, seed=seed, r=3 + seed, fan_in_fan_out=name == "gpt2")
    one, other = (updates(studio, base, id) for id in ("pirate", "orders"))
    parents = [{"adapter": "pirate", "weight": 0.7}, {"adapter": "orders", "weight": -1.5}]
    stacked = make(studio, StackSettings(parents=parents))
    assert stacked.problem is None
    wanted = {module: 0.7 * one[module] - 1.5 * other[module] for module in one}
    given = updates(studio, base, stacked.id)
    assert math.sqrt(squared({key: given[key] - wanted[key] for key in wanted}) / squared(wanted)) < 1e-6
    shrunk = make(studio, ShrinkSettings(adapter="pirate", rank=2))
    short = updates(studio, base, shrunk.id)
    lost = squared({key: short[key] - one[key] for key in one}) / squared(one)
    assert lost == pytest.approx(shrunk.result["energy_lost"], rel=1e-3)
    folder = studio.data.adapter(stacked.id).path
    merged = merge_adapter(studio.data.base_model(base.id).model, folder, tmp_path / "merged")
    plain = AutoModelForCausalLM.from_pretrained(studio.data.base_model(base.id).model)
    with torch.no_grad():
        answers = AutoModelForCausalLM.from_pretrained(merged.folder).eval()(input_ids=IDS).logits
        expected = PeftModel.from_pretrained(plain, folder).eval()(input_ids=IDS).logits
    assert float((answers - expected).abs().max()) < 1e-4 * float(expected.abs().max())
