"""Bases in 4 and 8 bits: exact gradients, the planned size, and words for what cannot be loaded."""

import pytest
import torch
from safetensors.torch import load_file, save_file

from jobs.workers import quantized
from jobs.workers.load import load_base_model
from studio.base_weights import weight_bytes
from studio.errors import BadInput
from studio.methods import METHODS
from tests.workers.tiny_facts import facts_of
from tests.workers.tiny_models import save_model_folder
from tests.workers.training_place import train_here

pytestmark = pytest.mark.training
IDS = torch.arange(3, 27).view(2, 12)
SMALL = ["nf4", "int8"]


def adapted(base, training: bool = True):
    """The base with the same random adapter every time, B too."""
    lora = METHODS["lora"]
    torch.manual_seed(0)
    model = lora.add_to(lora.settings(rank=4, dropout=0.0), base.requires_grad_(False))
    with torch.no_grad():
        for name, weights in model.named_parameters():
            if ".lora_B." in name:
                weights.normal_(0, 0.1)
    return model.train(training)


def gradients(model) -> dict[str, torch.Tensor]:
    model.zero_grad()
    model(input_ids=IDS, labels=IDS).loss.backward()
    return {name: each.grad.clone() for name, each in model.named_parameters() if each.requires_grad}


@pytest.mark.parametrize(("quantization", "apart"), [("nf4", 0.0), ("int8", 1e-5)])
def test_gradients_are_those_of_the_dequantised_base_and_stay_so_after_an_evaluation(tiny_base, quantization, apart):
    model = adapted(load_base_model(tiny_base, "fp32", "cpu", quantization))
    plain = quantized.dequantized(load_base_model(tiny_base, "fp32", "cpu", quantization), torch.float32)
    assert not any("bit" in type(module).__name__ for module in plain.modules())
    expected = gradients(adapted(plain))
    before = gradients(model)
    with torch.no_grad():
        model.eval()(input_ids=IDS)  # bitsandbytes repacks its weights here, where it is let
    after = gradients(model.train())
    for name, gradient in expected.items():
        assert (before[name] - gradient).abs().max() <= apart * gradient.abs().max(), name
        assert torch.equal(before[name], after[name]), name


@pytest.mark.parametrize("quantization", SMALL)
def test_a_row_is_computed_the_same_alone_and_beside_others_in_training_and_in_evaluation(tiny_base, quantization):
    model = load_base_model(tiny_base, "fp32", "cpu", quantization)
    with torch.no_grad():
        together, one_token = model(IDS).logits, model(IDS[:1, :1]).logits
        training = model.train()(IDS).logits
        assert torch.equal(together, training)
        assert (together[:1, :1] - one_token).abs().max() <= 1e-5 * together.abs().max()
        others = torch.cat([IDS[:1], IDS[1:] + 7])
        assert torch.equal(model(others).logits[0], training[0])


@pytest.mark.parametrize("quantization", SMALL)
@pytest.mark.parametrize("kind", ["llama", "gpt2"])
def test_its_memory_is_what_the_plan_says(tmp_path, kind, quantization):
    sizes = {"hidden_size": 64} if kind == "llama" else {"n_embd": 64, "n_layer": 2, "n_head": 4}
    folder = save_model_folder(tmp_path / "base", model_type=kind, **sizes)
    model = load_base_model(folder, "fp32", "cpu", quantization)
    held = sum(each.nbytes for each in model.parameters())
    for module in model.modules():
        if state := getattr(getattr(module, "weight", None), "quant_state", None):
            held += sum(each.nbytes for each in state.as_dict().values() if isinstance(each, torch.Tensor))
        elif getattr(module, "state", None) is not None:
            held += module.state.SCB.nbytes
    assert weight_bytes(facts_of(folder), "fp32", quantization) == pytest.approx(held, rel=0.01)


@pytest.mark.parametrize("quantization", ["none", *SMALL])
def test_a_missing_weight_is_never_filled_with_random_numbers(tmp_path, quantization):
    folder = save_model_folder(tmp_path / "base")
    weights = load_file(folder / "model.safetensors")
    del weights["model.layers.1.mlp.up_proj.weight"]
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(BadInput, match=r"model\.layers\.1\.mlp\.up_proj\.weight is missing"):
        load_base_model(folder, "fp32", "cpu", quantization)


def test_a_file_that_was_cut_off_is_told_in_words(tmp_path):
    folder = save_model_folder(tmp_path / "base")
    whole = (folder / "model.safetensors").read_bytes()
    (folder / "model.safetensors").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(BadInput, match="cannot load this base model"):
        load_base_model(folder, "fp32", "cpu")


@pytest.mark.parametrize("quantization", SMALL)
def test_a_training_says_once_how_its_base_is_loaded_and_answers_its_prompts(place, capfd, quantization):
    training = {"quantization": quantization, "max_steps": 2, "sample_prompts": ["What do you count?"]}
    attempt = place.queue("r1", training=training)
    assert train_here(attempt)["status"] == "succeeded"
    said, beside = capfd.readouterr()
    assert said.count(f"the base quantised to {quantization}") == 1
    assert "40,672 parameters" in said
    assert not [line for line in beside.splitlines() if "MatMul" in line or "gemm" in line]
    assert attempt.samples.read_text().count("What do you count?") == 2
