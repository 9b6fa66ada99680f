"""The last layer computed only where something is learned gives what it gives everywhere, and is left alone where it is not known."""

import pytest
import torch

from jobs.workers import attention
from jobs.workers.packing import packed
from tests.workers.test_fused_lora import EXAMPLES, adapted, assert_as_plain
from tests.workers.test_packing import ARCHITECTURES, CPU, architecture, engine_of, example, plainly
from tests.workers.tiny_models import tiny_model

pytestmark = pytest.mark.training
KNOWN = {"llama", "qwen2", "qwen3", "mistral", "gemma"}


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_it_is_used_for_layers_coded_as_llamas_and_only_for_them(name):
    assert (engine_of(architecture(name)).last_layer is not None) == (name in KNOWN)


@pytest.mark.parametrize(
    "settings",
    [
        {"use_dora": True},
        {"layers_to_transform": [0], "target_modules": ["q_proj", "down_proj"]},
        {"lora_dropout": 0.0},
    ],
    ids=str,
)
@pytest.mark.parametrize("recompute", [False, True], ids=["kept", "recomputed"])
def test_gradients_are_pefts_whatever_the_adapter_is(settings, recompute):
    expected = plainly(adapted(architecture("llama"), **settings), EXAMPLES)
    model = adapted(architecture("llama"), **settings)
    if recompute:
        model.get_base_model().activation_checkpointing_enable()
    assert assert_as_plain(model, *expected).last_layer is not None


def test_only_learned_positions_reach_the_last_mlp():
    model = tiny_model("llama")
    engine = engine_of(model)
    seen = []
    model.model.layers[-1].mlp.register_forward_pre_hook(lambda _module, given: seen.append(given[0].shape[1]))
    batch = packed([example(20, 1, from_token=16), example(9, 2, from_token=8)], CPU)
    with attention.DOCUMENTS.of(batch):
        engine.token_losses(batch)
    assert seen == [len(batch.targets)] == [5]
    model(input_ids=torch.arange(3, 15)[None])  # the model's own forward is as it was
    assert seen[-1] == 12


def test_a_layer_that_scales_what_it_adds_is_left_alone():
    assert engine_of(tiny_model("granite", residual_multiplier=0.5, logits_scaling=1.0)).last_layer is None
