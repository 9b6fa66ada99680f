"""Mixes: a row is the base plus the weighted sum of the adapters' updates, whatever the method, and follows its weights."""

import copy
from dataclasses import replace

import pytest
import torch

from jobs.workers.adapters_in_memory import RowAdapters, load_adapter
from jobs.workers.columns.mixes import Mix, StacksInMemory, stacked
from jobs.workers.decode import Answer, Batch, finish
from jobs.workers.load import load_base_model
from jobs.workers.quantized import dequantized
from jobs.workers.self_check import EQUAL, check_mix, summed
from studio.errors import Invalid
from studio.tokens import ChatTokenizer
from tests.workers.test_adapter_kinds import VOCABULARY, save_some
from tests.workers.test_decode import ARCHITECTURES, LONG, SHORT
from tests.workers.test_methods import model_of
from tests.workers.tiny_models import save_adapter, save_model_folder, tiny_model

pytestmark = pytest.mark.training

WEIGHTS = [0.75, -0.5]


@pytest.fixture(scope="module")
def tokenizer(tmp_path_factory):
    return ChatTokenizer.load(save_model_folder(tmp_path_factory.mktemp("base")))


@pytest.fixture(scope="module")
def model():
    return tiny_model()


@pytest.fixture(scope="module")
def parts(model, tmp_path_factory):
    made = [{"seed": 1}, {"seed": 2, "r": 2, "target_modules": ["q_proj", "down_proj"]}]
    places = [save_adapter(tmp_path_factory.mktemp("part"), model, **settings) for settings in made]
    return [load_adapter(model, None, f"part{number}", place) for number, place in enumerate(places)]


def row(prompt, adapter=None, tokens=24, stop=()):
    return Answer(list(prompt), frozenset(stop), tokens, adapter)


def adapters_of(methods, folder):
    """(the base, an adapter of each of these methods on it)"""
    model = model_of("llama", vocabulary=VOCABULARY)
    found = []
    for number, method in enumerate(methods):
        place = folder / str(number)
        if method in ("lora", "dora"):
            save_adapter(place, model, seed=number, use_dora=method == "dora")
        else:
            save_some(place, method, seed=number)
        found.append(load_adapter(model, None, f"part{number}", place))
    return model, found


def logits_of(model, adapter, ids):
    """Of one row, with a row of the base beside it."""
    rows = RowAdapters(model)
    rows.put_on([None, adapter])
    try:
        with torch.no_grad():
            return model(input_ids=torch.tensor([ids, ids])).logits
    finally:
        rows.put_on([])


def merged(model, parts, weights):
    """The same model with the sum in its weights."""
    twin = copy.deepcopy(model)
    with torch.no_grad():
        for part, weight in zip(parts, weights, strict=True):
            for name, update in part.updates.items():
                twin.get_submodule(name).weight += (update.down @ update.up).T * update.scale * weight
    return twin


def in_64_bits(part):
    """Rounding is no part of the question whether two sums are the same."""
    updates = {
        name: replace(update, down=update.down.double(), up=update.up.double()) for name, update in part.updates.items()
    }
    return replace(part, updates=updates)


def test_a_mix_is_the_base_with_the_sum_of_the_updates_in_its_weights(model, parts, tokenizer):
    wide, parts = copy.deepcopy(model).double(), [in_64_bits(part) for part in parts]
    base, mixed = logits_of(wide, Mix("mix", stacked(parts, tokenizer), WEIGHTS), LONG)
    with torch.no_grad():
        plain = wide(input_ids=torch.tensor([LONG])).logits[0]
        expected = merged(wide, parts, WEIGHTS)(input_ids=torch.tensor([LONG])).logits[0]
    assert torch.allclose(base, plain, atol=1e-12)
    assert (mixed - expected).abs().max() <= 1e-6
    assert (mixed - plain).abs().max() > 0.1


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_the_self_check_finds_a_mix_equal_to_its_sum_in_every_architecture(architecture, tmp_path, tokenizer):
    model = tiny_model(architecture, vocabulary=tokenizer.vocabulary, **ARCHITECTURES[architecture])
    places = [save_adapter(tmp_path / str(seed), model, seed=seed) for seed in (1, 2)]
    parts = [load_adapter(model, None, place.name, place) for place in places]
    mix = Mix("mix", stacked(parts, tokenizer), WEIGHTS)
    assert check_mix(model, RowAdapters(model), tokenizer, mix) == EQUAL


@pytest.mark.parametrize(
    "methods", [("lora", "adalora"), ("lora", "vera"), ("ia3", "lora"), ("oft", "lora"), ("ia3", "ia3")]
)
def test_whatever_has_a_sum_is_mixed_across_methods(methods, tmp_path, tokenizer):
    model, parts = adapters_of(methods, tmp_path)
    mix = Mix("mix", stacked(parts, tokenizer), WEIGHTS)
    mixed = logits_of(model, mix, LONG)[1]
    with summed(model, [part.updates for part in parts], WEIGHTS), torch.no_grad():
        expected = model(input_ids=torch.tensor([LONG])).logits[0]
    assert (mixed - expected).abs().max() <= 2e-6 * expected.abs().max()
    alone = logits_of(model, Mix("one", mix.stack, [1.0, 0.0]), LONG)[1]
    assert torch.allclose(alone, logits_of(model, parts[0], LONG)[1], atol=1e-4)


@pytest.mark.parametrize(
    ("methods", "why"),
    [
        (("lora", "dora"), "PEFT alone"),
        (("lora", "prompt_tuning"), "learned prompt"),
        (("prefix_tuning", "lora"), "learned prompt"),
        (("oft", "ia3"), "scales a layer"),
    ],
)
def test_what_has_no_sum_is_refused_with_the_reason_at_its_place(methods, why, tmp_path, tokenizer):
    model, parts = adapters_of(methods, tmp_path)
    with pytest.raises(Invalid, match=why) as refused:
        stacked(parts, tokenizer)
    assert refused.value.field in ("mix.0.adapter", "mix.1.adapter")


def test_new_weights_are_those_of_the_next_token(model, parts, tokenizer):
    """Until then it is the old mix's answer, and what was read stays as it was read."""
    stack = stacked(parts, tokenizer)
    mix, before = Mix("mix", stack, WEIGHTS), row(SHORT, Mix("old", stack, WEIGHTS))
    finish(model, RowAdapters(model), [before])
    batch, changed = Batch(model, RowAdapters(model)), row(SHORT, mix)
    batch.join([changed, row(LONG)])
    while batch.busy:
        batch.step()
        if len(changed.ids) == 8:
            mix.set_weights([-3.0, 2.0], at_token=8)
    assert changed.ids[:8] == before.ids[:8]
    assert changed.ids[8:] != before.ids[8:]
    assert mix.proof()["weights_changed"] == [{"at_token": 8, "weights": [-3.0, 2.0]}]
    assert [part["weight"] for part in mix.proof()["mix"]] == [-3.0, 2.0]


def test_new_weights_load_and_stack_nothing_again(parts, tokenizer):
    stacks = StacksInMemory()
    assert stacks.get(parts, tokenizer) is stacks.get(parts, tokenizer)


def test_mixes_of_the_same_adapters_with_other_weights_share_a_batch(model, parts, tokenizer):
    stack = stacked(parts, tokenizer)
    mixes = [Mix(str(number), stack, weights) for number, weights in enumerate(([1.0, 0.0], [0.0, 1.0], [0.5, 0.5]))]
    together = finish(model, RowAdapters(model), [row(LONG), *(row(LONG, mix) for mix in mixes), row(SHORT, parts[0])])
    alone = [finish(model, RowAdapters(model), [row(LONG, mix)])[0].ids for mix in mixes]
    assert [answer.ids for answer in together[1:4]] == alone
    assert together[1].ids == finish(model, RowAdapters(model), [row(LONG, parts[0])])[0].ids


@pytest.mark.parametrize("quantization", ["nf4", "int8"])
def test_on_a_base_in_few_bits_a_mix_is_the_sum_too_and_the_base_beside_it_stays_the_base(
    quantization, tmp_path, tokenizer
):
    model = load_base_model(save_model_folder(tmp_path / "base"), "fp32", "cpu", quantization)
    full = tiny_model(vocabulary=tokenizer.vocabulary)
    places = [save_adapter(tmp_path / str(seed), full, seed=seed) for seed in (1, 2)]
    parts = [load_adapter(model, None, place.name, place) for place in places]
    mix = Mix("mix", stacked(parts, tokenizer), WEIGHTS)
    assert check_mix(model, RowAdapters(model), tokenizer, mix) == EQUAL
    base, mixed = logits_of(model, mix, LONG)
    with torch.no_grad():
        assert torch.allclose(base, model(input_ids=torch.tensor([LONG])).logits[0], atol=1e-5)
    plain = dequantized(load_base_model(tmp_path / "base", "fp32", "cpu", quantization), torch.float32)
    with torch.no_grad():
        expected = merged(plain, parts, WEIGHTS)(input_ids=torch.tensor([LONG])).logits[0]
    assert (mixed - expected).abs().max() <= 1e-4 * expected.abs().max()
    assert (mixed - base).abs().max() > 0.1
    mix.set_weights([0.0, 0.0])
    base, mixed = logits_of(model, mix, LONG)
    assert torch.allclose(base, mixed, atol=1e-5)
