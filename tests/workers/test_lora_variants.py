"""Every variant of LoRA is counted and saved as planned, merges, and works as plain PEFT. (What else: test_support_matrix.py.)"""

import json
import subprocess
import sys

import pytest
import torch
from peft import PeftModel
from safetensors.torch import load_file
from transformers import AutoModelForCausalLM, AutoTokenizer

from jobs.workers.adapters_in_memory import load_adapter
from jobs.workers.load import load_base_model
from jobs.workers.merge import merge_adapter
from jobs.workers.with_peft import with_peft
from studio.files import read_json
from studio.folders import AdapterFolder
from studio.methods import METHODS
from studio.plan import read_plan
from studio.tokens import ChatTokenizer
from tests.workers.method_cases import CASES
from tests.workers.tiny_models import save_model_folder
from tests.workers.training_place import (
    PROJECT,
    TrainingPlace,
    adapter_of,
    small_data,
    train_here,
    training_place,
)

pytestmark = pytest.mark.training
LORA = [case for case in CASES if case[1]["name"] == "lora"]
FEW = {"max_steps": 4}


@pytest.fixture(scope="module")
def tied_base(tmp_path_factory):
    return save_model_folder(tmp_path_factory.mktemp("tied") / "model", tie_word_embeddings=True)


def plain_peft(place: TrainingPlace, adapter, quantization: str = "none"):
    """The adapter as anybody loads it, by the lines of its card."""
    folder = place.data.base_model("tiny").model
    if quantization == "none":
        base = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)
    else:
        base = load_base_model(folder, "fp32", "cpu", quantization)
    if "resize_token_embeddings" in AdapterFolder(adapter).card.read_text():
        base.resize_token_embeddings(len(AutoTokenizer.from_pretrained(adapter)))
    return PeftModel.from_pretrained(base, adapter).eval()


def heldout_loss(model, tokenizer: ChatTokenizer) -> float:
    """One row at a time, as plain transformers computes it."""
    total = count = 0
    for row in small_data():
        if row["heldout"]:
            encoded = tokenizer.encode(row["messages"])
            ids = torch.tensor([encoded.ids])
            labels = ids.masked_fill(~torch.tensor([encoded.trained]), -100)
            learned = int((labels[0, 1:] != -100).sum())
            with torch.no_grad():
                total += model(input_ids=ids, labels=labels).loss.item() * learned
            count += learned
    return total / count


@pytest.mark.parametrize(("title", "method", "training"), LORA, ids=[case[0] for case in LORA])
def test_what_is_trained_and_saved_is_what_was_planned_and_the_chat_takes_it(place, title, method, training):
    attempt = place.queue("straight", method=method, training={**training, "max_steps": 1})
    result = train_here(attempt)
    settings = read_plan(read_json(attempt.run.plan)).method
    METHODS["lora"].check(settings, place.facts)
    if method.get("init") != "eva":  # which chooses the ranks by the data
        assert result["trainable_parameters"] == METHODS["lora"].trainable_parameters(settings, place.facts)
        planned = METHODS["lora"].saved(settings, place.facts)
        assert {name: tuple(each.shape) for name, each in adapter_of(attempt).items()} == planned
    quantization = training.get("quantization", "none")
    in_chat = load_base_model(place.data.base_model("tiny").model, "fp32", "cpu", quantization)
    assert load_adapter(in_chat, place.facts.fingerprint, "id", attempt.adapter).layers_changed >= 14


TIED = [
    {"modules_to_save": ["embed_tokens"]},
    {"new_tokens": ["<think>", "<|user|>"]},
    {"init": "pissa"},
    {"dora": True},
]


@pytest.mark.parametrize("method", TIED, ids=str)
def test_on_a_base_whose_output_layer_is_its_embedding_it_is_counted_and_saved_as_planned(tmp_path, tied_base, method):
    place = training_place(tmp_path, tied_base)
    attempt = place.queue("r1", method=method, training=FEW)
    result = train_here(attempt)
    settings = read_plan(read_json(attempt.run.plan)).method
    assert result["trainable_parameters"] == METHODS["lora"].trainable_parameters(settings, place.facts)
    saved = {name: tuple(each.shape) for name, each in adapter_of(attempt).items()}
    assert saved == METHODS["lora"].saved(settings, place.facts)
    loss = heldout_loss(plain_peft(place, attempt.adapter), ChatTokenizer.load(attempt.adapter))
    assert loss == pytest.approx(result["heldout_loss"], rel=1e-5)


MERGED = [case for case in LORA if case[0] in ("LoRA", "DoRA", "OLoRA", "trained tokens", "nf4", "int8")]


@pytest.mark.parametrize(("title", "method", "training"), MERGED, ids=[case[0] for case in MERGED])
def test_merged_it_answers_as_the_adapter_does(place, tmp_path, title, method, training):
    attempt = place.queue("r1", method=method, training={**training, **FEW})
    result = train_here(attempt)
    quantization = training.get("quantization", "none")
    merged = merge_adapter(place.data.base_model("tiny").model, attempt.adapter, tmp_path / "merged", quantization)
    assert merged.difference < 2e-5
    model = AutoModelForCausalLM.from_pretrained(merged.folder, dtype=torch.float32).eval()
    assert "quantization_config" not in read_json(merged.folder / "config.json")
    loss = heldout_loss(model, ChatTokenizer.load(merged.folder))
    assert loss == pytest.approx(result["heldout_loss"], rel=1e-5)


def test_pissa_loads_in_a_fresh_process_and_gives_the_same_logits(place):
    attempt = place.queue("r1", method={"init": "pissa"}, training=FEW)
    train_here(attempt)
    said = read_json(AdapterFolder(attempt.adapter).config)
    assert (said["init_lora_weights"], said["r"]) == (True, 8)
    base = place.data.base_model("tiny").model
    program = (
        "import sys, torch; from peft import PeftModel; from transformers import AutoModelForCausalLM\n"
        "base = AutoModelForCausalLM.from_pretrained(sys.argv[1], dtype=torch.float32)\n"
        "model = PeftModel.from_pretrained(base, sys.argv[2]).eval()\n"
        "print(model(input_ids=torch.arange(9)[None]).logits[0, -1, :5].tolist())"
    )
    command = [sys.executable, "-c", program, str(base.resolve()), str(attempt.adapter)]
    fresh = subprocess.run(command, cwd=PROJECT, capture_output=True, text=True, check=True, env=place.environment())
    ours = plain_peft(place, attempt.adapter)(input_ids=torch.arange(9)[None]).logits[0, -1, :5]
    assert json.loads(fresh.stdout.splitlines()[-1]) == pytest.approx(ours.tolist(), abs=1e-5)


def test_eva_gives_layers_ranks_by_the_data_and_keeps_what_it_found_for_a_resume(place):
    usual, told = place.queue("usual", training=FEW), place.queue("told", method={"init": "eva"}, training=FEW)
    train_here(usual)
    train_here(told)
    config = read_json(AdapterFolder(told.adapter).config)
    assert config["init_lora_weights"] is True
    assert config["rank_pattern"]
    ranks = [each.shape[0] for name, each in adapter_of(told).items() if "lora_A" in name]
    assert sum(ranks) <= 4 * len(place.facts.linear_layers)
    assert max(ranks) > 4
    assert set(load_file(told.start)) >= {"base_model.model.model.layers.0.self_attn.q_proj"}
    assert not usual.start.exists()


def test_trained_tokens_are_single_tokens_whose_rows_are_learned(place):
    base = place.data.base_model("tiny").model
    before, rows = ChatTokenizer.load(base), len(AutoTokenizer.from_pretrained(base))
    attempt = place.queue("r1", method={"new_tokens": ["<think>", "keeper"]}, training={"max_steps": 8})
    train_here(attempt)
    after = ChatTokenizer.load(attempt.adapter)
    assert after.tokenizer.encode("<think>").ids == [rows]
    assert len(before.tokenizer.encode("<think>").ids) > 1
    weights = load_file(base / "model.safetensors")["model.embed_tokens.weight"]
    learned = adapter_of(attempt)["base_model.model.model.embed_tokens.token_adapter.trainable_tokens_delta"]
    pieces = before.tokenizer.encode("<think>").ids
    assert torch.equal(learned[0], weights[pieces].mean(dim=0))  # never seen in this data: as it began
    assert after.tokenizer.encode("keeper").ids == [rows + 1]
    first = weights[before.tokenizer.encode("keeper").ids].mean(dim=0)
    assert (learned[1] - first).abs().max() > 1e-3  # in every answer


def test_an_embedding_with_rows_to_spare_is_not_made_longer(tmp_path):
    folder = save_model_folder(tmp_path / "base", vocabulary=400)
    place = training_place(tmp_path, folder)
    attempt = place.queue("r1", method={"new_tokens": ["<think>"]}, training=FEW)
    assert train_here(attempt)["status"] == "succeeded"
    assert "resize_token_embeddings" not in AdapterFolder(attempt.adapter).card.read_text()
    loss = heldout_loss(plain_peft(place, attempt.adapter), ChatTokenizer.load(attempt.adapter))
    assert loss == pytest.approx(read_json(attempt.result)["heldout_loss"], rel=1e-5)


REPLACING = [{"new_tokens": ["<think>"]}, {"modules_to_save": ["embed_tokens"]}, {"dora": True, "bias": "none"}]


@pytest.mark.parametrize("method", REPLACING, ids=str)
@pytest.mark.parametrize("tied", [False, True], ids=["own output layer", "tied"])
def test_put_on_for_an_answer_it_gives_what_it_learned_and_leaves_the_base_bit_for_bit(
    tmp_path, tiny_base, tied_base, tied, method
):
    place = training_place(tmp_path, tied_base if tied else tiny_base)
    attempt = place.queue("r1", method=method, training=FEW)
    result = train_here(attempt)
    model = load_base_model(place.data.base_model("tiny").model, "fp32", "cpu")
    ids = torch.arange(9)[None]
    before, names = model(input_ids=ids).logits, [name for name, _ in model.named_parameters()]
    loaded = load_adapter(model, None, "id", attempt.adapter)
    assert loaded.alone
    with with_peft(model, attempt.adapter) as adapted:
        loss = heldout_loss(adapted, loaded.tokenizer or ChatTokenizer.load(attempt.adapter))
    assert loss == pytest.approx(result["heldout_loss"], rel=1e-5)
    assert torch.equal(model(input_ids=ids).logits, before)
    assert [name for name, _ in model.named_parameters()] == names
    assert (model.get_output_embeddings().weight is model.get_input_embeddings().weight) == tied
    assert model.config.vocab_size == before.shape[-1]
