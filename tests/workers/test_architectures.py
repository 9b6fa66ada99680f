"""Facts of each architecture, read without torch, are those of the model that transformers builds and PEFT adapts."""

import pytest

from studio.folders import BaseModelFolder
from studio.linear_layers import linear_layers
from studio.methods.lora import LoraSettings, add_to, targeted, trainable_parameters
from studio.model_config import ARCHITECTURES
from studio.model_intake import prepare
from studio.tokens import ChatTokenizer

pytestmark = pytest.mark.training

SMALL = {
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_hidden_layers": 3,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "head_dim": 8,
}
OWN = {
    "gpt_neo": {
        "hidden_size": 32,
        "intermediate_size": 48,
        "num_layers": 4,
        "num_heads": 4,
        "attention_types": [[["global", "local"], 2]],
    },
    "granite": {
        **SMALL,
        "logits_scaling": 4.0,
        "embedding_multiplier": 2.0,
        "residual_multiplier": 0.5,
        "attention_multiplier": 0.2,
    },
    "cohere": {**SMALL, "use_qk_norm": True},
    "smollm3": {**SMALL, "no_rope_layers": [1, 0, 1]},
    "gpt2": {"n_embd": 32, "n_inner": 48, "n_layer": 3, "n_head": 4, "n_positions": 128},
    "gpt_neox": {"hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 3, "num_attention_heads": 4},
    "opt": {
        "hidden_size": 32,
        "ffn_dim": 48,
        "num_hidden_layers": 3,
        "num_attention_heads": 4,
        "word_embed_proj_dim": 16,
    },
    "phi": {"hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 3, "num_attention_heads": 4},
    "phi3": {
        "hidden_size": 32,
        "intermediate_size": 48,
        "num_hidden_layers": 3,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
    },
    "gemma3_text": {**SMALL, "layer_types": ["sliding_attention", "sliding_attention", "full_attention"]},
}


@pytest.fixture(scope="module", params=ARCHITECTURES)
def case(request, tmp_path_factory):
    """(transformers' model, its facts, its prepared folder)"""
    import torch
    from transformers import AutoConfig, AutoModelForCausalLM

    from tests.workers.tiny_models import tiny_tokenizer

    source = tmp_path_factory.mktemp(request.param)
    tokenizer = tiny_tokenizer()
    settings = {
        "vocab_size": len(tokenizer),
        "max_position_embeddings": 128,
        "pad_token_id": 0,
        "bos_token_id": 1,
        "eos_token_id": 2,
    }
    config = AutoConfig.for_model(request.param, **{**settings, **OWN.get(request.param, SMALL)})
    torch.manual_seed(0)
    AutoModelForCausalLM.from_config(config, dtype=torch.float32).save_pretrained(source)
    tokenizer.save_pretrained(source)
    folder = BaseModelFolder(tmp_path_factory.mktemp("prepared"))
    facts = prepare(source, folder, source)
    return AutoModelForCausalLM.from_pretrained(source, dtype=torch.float32), facts, folder


def test_parameters_layers_and_widths_are_those_of_the_model(case):
    model, facts, _ = case
    config = model.config
    assert facts.architecture == type(model).__name__
    assert facts.parameters == model.num_parameters()
    assert facts.layers == config.num_hidden_layers
    assert facts.hidden_size == config.hidden_size
    assert facts.heads == config.num_attention_heads
    assert facts.vocabulary == model.get_input_embeddings().num_embeddings
    assert facts.tied_embeddings == (model.get_input_embeddings().weight is model.get_output_embeddings().weight)
    assert (facts.context_length, facts.dtype) == (128, "float32")


def test_all_linear_means_the_layers_that_it_means_to_peft(case):
    import copy

    model, facts, _ = case
    adapted = add_to(LoraSettings(rank=2), copy.deepcopy(model))
    theirs = {
        name.removeprefix("base_model.model."): (layer.in_features, layer.out_features)
        for name, layer in adapted.named_modules()
        if hasattr(layer, "lora_A")
    }
    assert {name: (inputs, outputs) for name, inputs, outputs in targeted(LoraSettings(rank=2), facts)} == theirs


@pytest.mark.parametrize(
    "changes", [{}, {"rank": 3}, {"layers": "0-1"}, {"bias": "all"}, {"bias": "lora_only"}, "first target"], ids=str
)
def test_trainable_parameters_are_counted_as_peft_counts_them(case, changes):
    import copy

    model, facts, _ = case
    if changes == "first target":
        changes = {"targets": [facts.target_modules[0]]}
    settings = LoraSettings(**{"rank": 2, **changes})
    trainable, _ = add_to(settings, copy.deepcopy(model)).get_nb_trainable_parameters()
    assert trainable_parameters(settings, facts) == trainable


def test_the_prepared_folder_loads_as_the_same_model(case):
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    model, facts, folder = case
    loaded = AutoModelForCausalLM.from_pretrained(folder.model, dtype=torch.float32)
    ids = torch.arange(3, 23)[None]
    with torch.no_grad():
        assert torch.equal(loaded.eval()(ids).logits, model.eval()(ids).logits)
    ours, theirs = ChatTokenizer.load(folder.model), AutoTokenizer.from_pretrained(folder.model)
    messages = [{"role": "user", "content": "Tell me about your day, naïve 😀"}]
    assert ours.prompt(messages) == theirs.apply_chat_template(messages, add_generation_prompt=True)["input_ids"]


def test_layers_come_in_the_order_in_which_they_compute(case):
    _, facts, _ = case
    numbers = [layer.layer for layer in facts.linear_layers if layer.layer is not None]
    assert numbers == sorted(numbers)
    assert facts.target_modules[-1] in ("down_proj", "fc2", "dense_4h_to_h", "c_fc", "c_proj")


def test_old_files_with_masks_and_without_a_prefix_give_the_same_facts(tmp_path):
    """GPT-2 as it was first published: names without "transformer.", and its causal masks among the weights."""
    import torch
    from safetensors.torch import load_file, save_file
    from transformers import AutoConfig, AutoModelForCausalLM

    from tests.workers.tiny_models import tiny_tokenizer

    tokenizer = tiny_tokenizer()
    config = AutoConfig.for_model("gpt2", vocab_size=len(tokenizer), bos_token_id=1, eos_token_id=2, **OWN["gpt2"])
    model = AutoModelForCausalLM.from_config(config)
    new, old = tmp_path / "new", tmp_path / "old"
    for folder in (new, old):
        model.save_pretrained(folder)
        tokenizer.save_pretrained(folder)
    tensors = {
        name.removeprefix("transformer."): tensor for name, tensor in load_file(old / "model.safetensors").items()
    }
    masks = {f"h.{layer}.attn.bias": torch.ones(1, 1, 128, 128) for layer in range(3)}
    save_file({**tensors, **masks}, old / "model.safetensors", {"format": "pt"})
    facts = [prepare(folder, BaseModelFolder(tmp_path / f"{folder.name}-ready"), folder) for folder in (new, old)]
    same = {"parameters", "linear_layers", "bias_parameters", "tied_embeddings"}
    assert facts[0].model_dump(include=same) == facts[1].model_dump(include=same)
    assert facts[0].parameters == model.num_parameters()
    loaded = AutoModelForCausalLM.from_pretrained(tmp_path / "old-ready" / "model")
    ids = torch.arange(3, 23)[None]
    with torch.no_grad():
        assert torch.equal(loaded.eval()(ids).logits, model.eval()(ids).logits)


def test_every_architecture_that_is_offered_is_tried_here():
    assert {
        "llama",
        "qwen2",
        "qwen3",
        "mistral",
        "gemma",
        "gemma2",
        "gemma3_text",
        "phi3",
        "gpt2",
        "gpt_neox",
        "opt",
    } <= set(ARCHITECTURES)
    assert linear_layers({"model.embed_tokens.weight": (8, 4), "lm_head.weight": (8, 4)}, "llama") == []
