"""The adapter lab's arithmetic against PEFT's own: what a stack or a shorter rank adds to the base is what was promised."""

import math

import pytest
import torch

pytestmark = pytest.mark.training

from peft import PeftModel  # noqa: E402
from transformers import AutoModelForCausalLM  # noqa: E402

from jobs.workers import lab  # noqa: E402
from jobs.workers.adapters_in_memory import load_adapter  # noqa: E402
from jobs.workers.columns.mixes import Mix, stacked  # noqa: E402
from studio import adapter_job_queue, adapter_jobs, adapters  # noqa: E402
from studio.files import read_json  # noqa: E402
from studio.lab_settings import ShrinkSettings, StackSettings  # noqa: E402
from studio.records import JobState  # noqa: E402
from tests.workers.tiny_models import add_tiny_adapter, add_tiny_base  # noqa: E402

EXACT = 1e-6


def updates(studio, base, adapter_id) -> dict[str, torch.Tensor]:
    """What the adapter adds to each weight of the base, as PEFT computes it."""
    model = AutoModelForCausalLM.from_pretrained(studio.data.base_model(base.id).model)
    adapted = PeftModel.from_pretrained(model, studio.data.adapter(adapter_id).path)
    return {
        name.removeprefix("base_model.model."): module.get_delta_weight("default").double()
        for name, module in adapted.named_modules()
        if hasattr(module, "get_delta_weight")
    }


def weighted(studio, base, **weights) -> dict[str, torch.Tensor]:
    """The sum of updates as full matrices."""
    total: dict[str, torch.Tensor] = {}
    for id, weight in weights.items():
        for name, update in updates(studio, base, id).items():
            total[name] = total.get(name, 0) + weight * update
    return total


def distance(one, other) -> float:
    """|one - other| / |other| over all modules."""
    assert one.keys() == other.keys()
    apart = sum(float(((one[name] - other[name]) ** 2).sum()) for name in other)
    return math.sqrt(apart / sum(float((update**2).sum()) for update in other.values()))


def make(studio, settings):
    """The job done as runner and worker do it, in this process."""
    job = adapter_jobs.queue_job(studio, settings)
    adapter_job_queue.claim(studio)
    lab.main(studio.data.adapter_job(job.id))
    return adapter_job_queue.settle(studio, job)


def stack_of(weights, **more) -> StackSettings:
    return StackSettings(parents=[{"adapter": id, "weight": weight} for id, weight in weights.items()], **more)


@pytest.fixture
def two(studio):
    """A base with two adapters, not of one rank, one of them with other ranks and scales in some modules."""
    base = add_tiny_base(studio)
    patterns = {
        "rank_pattern": {"q_proj": 3, "layers.1.mlp.up_proj": 5},
        "alpha_pattern": {"v_proj": 1, "layers.0.self_attn.k_proj": 32},
    }
    add_tiny_adapter(studio, base, "pirate", seed=1)
    add_tiny_adapter(studio, base, "orders", seed=2, r=6, use_rslora=True, **patterns)
    return base


def test_a_stack_is_the_sum_of_the_updates_whatever_their_ranks_scales_and_signs(studio, two):
    add_tiny_adapter(studio, two, "short", seed=3, r=2, target_modules=["q_proj", "down_proj"], layers_to_transform=[1])
    weights = {"pirate": 0.7, "orders": -1.5, "short": 2.0}
    job = make(studio, stack_of(weights, name="Captain"))
    assert (job.state, job.problem) == (JobState.DONE, None)
    assert distance(updates(studio, two, job.id), weighted(studio, two, **weights)) < EXACT
    assert job.result["relative_error"] < EXACT
    adapter = adapters.get_adapter(studio, job.id)
    assert (adapter.name, adapter.source, adapter.rank, adapter.base_model) == ("Captain", "stack", 12, two.id)


def test_a_mix_in_the_chat_adds_what_the_saved_stack_adds(studio, two):
    weights = {"pirate": 0.7, "orders": -1.5}
    model = AutoModelForCausalLM.from_pretrained(studio.data.base_model(two.id).model)
    parts = [load_adapter(model, two.fingerprint, id, studio.data.adapter(id).path) for id in weights]
    mix = Mix("mix", stacked(parts, None), list(weights.values()))
    mixed = {
        name: ((update.stacked.down * update.gains).double() @ update.stacked.up.double()).T
        for name, update in mix.updates.items()
    }
    job = make(studio, stack_of(weights))
    assert distance(mixed, updates(studio, two, job.id)) < EXACT


def test_a_stack_says_what_it_is_made_from_and_carries_the_tokenizer(studio, two):
    job = make(studio, stack_of({"pirate": 1, "orders": -0.5}))
    folder = studio.data.adapter(job.id)
    passport = read_json(folder.passport)
    told = [(parent["id"], parent["name"], parent["weight"], parent["sha256"]) for parent in passport["parents"]]
    parents = [adapters.get_adapter(studio, id) for id in ("pirate", "orders")]
    assert told == [
        (parent.id, parent.name, weight, parent.sha256) for parent, weight in zip(parents, (1, -0.5), strict=True)
    ]
    assert passport["made_by"]["combination"] == "exact"
    assert passport["base_model"]["fingerprint"] == two.fingerprint
    assert "adapter orders" in folder.card.read_text()
    assert (folder.path / "tokenizer.json").is_file()
    assert job.name == "adapter pirate − 0.5 adapter orders"


def test_the_chat_worker_takes_a_stack_like_any_adapter(studio, two):
    job = make(studio, stack_of({"pirate": 1, "orders": 1}))
    model = AutoModelForCausalLM.from_pretrained(studio.data.base_model(two.id).model)
    assert load_adapter(model, two.fingerprint, job.id, studio.data.adapter(job.id).path).layers_changed == 14


def test_a_stack_of_adapters_on_transposed_weights_is_exact_too(studio):
    base = add_tiny_base(studio, model_type="gpt2", n_embd=32, n_layer=2, n_head=4)
    for seed, id in enumerate(("pirate", "orders")):
        add_tiny_adapter(studio, base, id, seed=seed, target_modules=["c_attn", "c_fc"], fan_in_fan_out=True)
    job = make(studio, stack_of({"pirate": 1, "orders": 0.5}))
    assert distance(updates(studio, base, job.id), weighted(studio, base, pirate=1, orders=0.5)) < EXACT


@pytest.mark.parametrize(
    "choice",
    [
        {"combination": "svd"},
        {"combination": "svd", "rank": 2},
        {"combination": "ties", "rank": 8},
        {"combination": "dare"},
    ],
)
def test_a_choice_that_loses_something_says_exactly_how_much(studio, two, choice):
    job = make(studio, stack_of({"pirate": 1, "orders": -0.5}, **choice))
    measured = distance(updates(studio, two, job.id), weighted(studio, two, pirate=1, orders=-0.5))
    assert measured == pytest.approx(job.result["relative_error"], rel=1e-4)
    assert measured > 0.01
    assert job.result["rank"] == choice.get("rank", {"svd": 6, "dare": 10}.get(choice["combination"]))


def test_dare_draws_by_its_seed(studio, two):
    drawn = [
        adapters.get_adapter(
            studio, make(studio, stack_of({"pirate": 1, "orders": 1}, combination="dare", seed=seed)).id
        ).sha256
        for seed in (1, 1, 2)
    ]
    assert drawn[0] == drawn[1] != drawn[2]


def test_with_a_density_of_1_dare_is_the_sum(studio, two):
    job = make(studio, stack_of({"pirate": 1, "orders": -0.5}, combination="dare", density=1))
    assert job.result["relative_error"] < 1e-5


def test_updates_that_cancel_each_other_make_no_adapter(studio, two):
    twin = add_tiny_adapter(studio, two, "twin", seed=1)
    job = make(studio, stack_of({"pirate": 1, twin.id: -1}))
    assert (job.state, job.problem) == (
        JobState.FAILED,
        "With these weights the updates cancel each other: nothing is left.",
    )
    assert not studio.data.adapter(job.id).path.exists()


def test_a_parent_deleted_while_the_stack_waits_is_still_in_it(studio, two):
    expected = weighted(studio, two, pirate=1, orders=1)
    job = adapter_jobs.queue_job(studio, stack_of({"pirate": 1, "orders": 1}))
    adapters.delete_adapter(studio, "pirate")
    adapter_job_queue.claim(studio)
    lab.main(studio.data.adapter_job(job.id))
    adapter_job_queue.settle(studio, job)
    assert distance(updates(studio, two, job.id), expected) < EXACT


def test_shrinking_loses_the_share_of_energy_that_it_says(studio, two):
    job = make(studio, ShrinkSettings(adapter="orders", rank=2))
    whole, short = updates(studio, two, "orders"), updates(studio, two, job.id)
    shares = {name: float(((whole[name] - short[name]) ** 2).sum() / (whole[name] ** 2).sum()) for name in whole}
    assert distance(short, whole) ** 2 == pytest.approx(job.result["energy_lost"], rel=1e-4)
    assert job.result["worst_module"] == max(shares, key=shares.get)
    assert job.result["worst_energy_lost"] == pytest.approx(max(shares.values()), rel=1e-4)
    assert job.result["rank"] == 2
    values = {name: torch.linalg.svdvals(update) for name, update in whole.items()}
    best = sum(float((value[2:] ** 2).sum()) for value in values.values()) / sum(
        float((value**2).sum()) for value in values.values()
    )
    assert job.result["energy_lost"] == pytest.approx(best, rel=1e-4)  # no update of this rank is nearer
