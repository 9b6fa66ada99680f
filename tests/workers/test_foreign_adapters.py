"""Adapters that PEFT itself made of every method: imported, they do exactly what they did, in plain PEFT, in the chat and merged."""

import pytest
import torch

pytestmark = pytest.mark.training

from peft import (  # noqa: E402
    AdaLoraConfig,
    IA3Config,
    LoraConfig,
    OFTConfig,
    PeftModel,
    PrefixTuningConfig,
    PromptEncoderConfig,
    PromptTuningConfig,
    VeraConfig,
    get_peft_model,
)
from transformers import AutoModelForCausalLM  # noqa: E402

from jobs.workers.adapters_in_memory import load_adapter  # noqa: E402
from jobs.workers.merge import merge_adapter  # noqa: E402
from jobs.workers.with_peft import rows_needed  # noqa: E402
from studio import adapter_import, base_models  # noqa: E402
from studio.errors import BadInput  # noqa: E402
from studio.files import read_json, write_json  # noqa: E402
from tests.workers.tiny_models import add_tiny_base, tiny_tokenizer  # noqa: E402

CHAT = {"task_type": "CAUSAL_LM"}
LINEAR = {**CHAT, "target_modules": "all-linear"}
IDS = torch.arange(24)[None] * 7 % 300
ON_LLAMA = {
    "LoRA": LoraConfig(**LINEAR, r=4, rank_pattern={"q_proj": 2}, alpha_pattern={"layers.1.mlp.up_proj": 3}),
    "rsLoRA": LoraConfig(**LINEAR, r=4, use_rslora=True),
    "DoRA": LoraConfig(**LINEAR, r=4, use_dora=True),
    "some layers": LoraConfig(**CHAT, r=2, target_modules=r".*layers\.1\..*(q_proj|down_proj)"),
    "embedding and output layer": LoraConfig(**CHAT, r=2, target_modules=["embed_tokens", "lm_head", "q_proj"]),
    "modules in full": LoraConfig(**LINEAR, r=2, modules_to_save=["embed_tokens", "lm_head", "norm"]),
    "trained tokens": LoraConfig(**LINEAR, r=2, trainable_token_indices={"embed_tokens": [3, 5]}),
    "AdaLoRA": AdaLoraConfig(**LINEAR, init_r=4, target_r=2, total_step=10),
    "VeRA": VeraConfig(**LINEAR, r=8),
    "IA3": IA3Config(**CHAT, target_modules=["k_proj", "v_proj", "down_proj"], feedforward_modules=["down_proj"]),
    "OFT": OFTConfig(**LINEAR, oft_block_size=8),
    "OFT by the number of blocks": OFTConfig(**CHAT, target_modules=["q_proj", "k_proj"], r=4, oft_block_size=0),
    "prefix tuning": PrefixTuningConfig(**CHAT, num_virtual_tokens=5),
    "prompt tuning": PromptTuningConfig(**CHAT, num_virtual_tokens=5),
    "p-tuning": PromptEncoderConfig(**CHAT, num_virtual_tokens=5, encoder_hidden_size=8),
}
FRONTS = ("prefix tuning", "prompt tuning", "p-tuning")
ARCHITECTURES = {
    "gpt2": {"n_embd": 32, "n_layer": 2, "n_head": 4},
    "gpt_neox": {},
    "opt": {"ffn_dim": 64, "word_embed_proj_dim": 32},
    "phi3": {},
    "gemma": {"head_dim": 8},
    "gemma3_text": {"head_dim": 8},
    "qwen2": {},
    "qwen3": {"head_dim": 8},
    "mistral": {},
}


@pytest.fixture
def base(studio):
    return add_tiny_base(studio)


def plain(studio, base):
    return AutoModelForCausalLM.from_pretrained(studio.data.base_model(base.id).model)


def made_by_peft(studio, base, folder, config, seed: int = 1):
    """A random adapter of this kind, saved by PEFT as it is: with paths and settings of the machine that made it."""
    torch.manual_seed(seed)
    adapted = get_peft_model(plain(studio, base), config)
    with torch.no_grad():
        for weights in adapted.parameters():
            if weights.requires_grad:
                weights.add_(torch.randn_like(weights) * 0.05)
    adapted.eval().save_pretrained(folder, save_embedding_layers=False)
    return folder


def logits(studio, base, folder):
    model = plain(studio, base)
    if rows_needed(folder) > len(model.get_input_embeddings().weight):
        model.resize_token_embeddings(rows_needed(folder), mean_resizing=False)
    with torch.no_grad():
        return PeftModel.from_pretrained(model, folder).eval()(input_ids=IDS).logits


def brought(studio, folder):
    return adapter_import.import_adapter(studio, [(path.name, path) for path in sorted(folder.iterdir())])


@pytest.mark.parametrize("kind", ON_LLAMA)
def test_an_adapter_of_any_method_does_after_the_import_what_it_did(studio, base, tmp_path, kind):
    made = made_by_peft(studio, base, tmp_path / "made", ON_LLAMA[kind])
    expected = logits(studio, base, made)
    adapter = brought(studio, made)
    folder = studio.data.adapter(adapter.id).path
    assert torch.equal(logits(studio, base, folder), expected)
    config = (folder / "adapter_config.json").read_text()
    assert str(studio.data.path) not in config
    model = plain(studio, base)
    loaded = load_adapter(model, base.fingerprint, adapter.id, folder)
    assert loaded.front or loaded.layers_changed
    if kind not in FRONTS:
        merged = merge_adapter(studio.data.base_model(base.id).model, folder, tmp_path / "merged")
        assert merged.difference < 1e-4


@pytest.mark.parametrize("model_type", ARCHITECTURES)
def test_an_adapter_finds_its_base_on_every_architecture(studio, tmp_path, model_type):
    base = add_tiny_base(studio, model_type=model_type, **ARCHITECTURES[model_type])
    add_tiny_base(studio, "other", num_hidden_layers=1)
    made = made_by_peft(studio, base, tmp_path / "made", LoraConfig(**LINEAR, r=2, use_dora=model_type == "phi3"))
    adapter = brought(studio, made)
    assert adapter.base_model == base.id
    assert torch.equal(logits(studio, base, studio.data.adapter(adapter.id).path), logits(studio, base, made))


def test_a_token_of_its_own_comes_with_it_and_nothing_else_of_its_tokenizer(studio, base, tmp_path):
    tokenizer = tiny_tokenizer()
    new = len(tokenizer)
    tokenizer.add_tokens(["<think>"])
    model = plain(studio, base)
    model.resize_token_embeddings(new + 1, mean_resizing=False)
    adapted = get_peft_model(model, LoraConfig(**LINEAR, r=2, trainable_token_indices={"embed_tokens": [new]}))
    adapted.save_pretrained(tmp_path / "made", save_embedding_layers=False)
    with pytest.raises(BadInput, match=f"has trained token {new}, which the tokenizer of the base lacks"):
        brought(studio, tmp_path / "made")
    tokenizer.save_pretrained(tmp_path / "made")
    adapter = brought(studio, tmp_path / "made")
    folder = studio.data.adapter(adapter.id)
    arrived, own = (
        read_json(folder.path / "tokenizer.json"),
        read_json(studio.data.base_model(base.id).model / "tokenizer.json"),
    )
    assert arrived["model"] == own["model"]
    assert arrived["added_tokens"][-1]["content"] == "<think>"
    assert read_json(folder.passport)["embedding_rows"] == new + 1
    loaded = load_adapter(plain(studio, base), base.fingerprint, adapter.id, folder.path)
    assert loaded.tokenizer.encode([{"role": "user", "content": "<think>"}]).ids.count(new) <= 1


def test_sides_that_differ_in_one_place_are_told_by_name(studio, base, tmp_path):
    made = made_by_peft(studio, base, tmp_path / "made", ON_LLAMA["DoRA"])
    base_models.delete_model(studio, base.id)
    add_tiny_base(studio, "wider", intermediate_size=96)
    with pytest.raises(
        BadInput,
        match=r"It changes 'model.layers.0.mlp.down_proj' as a layer of 64 inputs and 32 outputs; in tiny wider it has 96 and 32",
    ):
        brought(studio, made)


def test_a_passport_with_strange_settings_does_not_break_a_merge(studio, base, tmp_path):
    made = made_by_peft(studio, base, tmp_path / "made", ON_LLAMA["LoRA"])
    write_json(made / "passport.json", {"method": {"name": "lora", "rank": "<b>"}, "training": 5, "parents": "x"})
    adapter = brought(studio, made)
    assert (
        merge_adapter(
            studio.data.base_model(base.id).model, studio.data.adapter(adapter.id).path, tmp_path / "merged"
        ).difference
        < 1e-4
    )
