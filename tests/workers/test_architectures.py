"""Bases of every architecture are trained, and their adapters give the same losses in plain PEFT."""

import warnings

import pytest
import torch
from peft import PeftModel
from transformers import AutoModelForCausalLM

from studio.tokens import ChatTokenizer
from tests.workers.test_packing import ARCHITECTURES
from tests.workers.tiny_models import save_model_folder
from tests.workers.training_place import TrainingPlace, small_data, train_here, training_place

pytestmark = pytest.mark.training


def heldout_loss(place: TrainingPlace, adapter) -> float:
    """As plain transformers and PEFT compute it, one row at a time."""
    base = AutoModelForCausalLM.from_pretrained(place.data.base_model("tiny").model, dtype=torch.float32)
    model, tokenizer = PeftModel.from_pretrained(base, adapter).eval(), ChatTokenizer.load(adapter)
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


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_a_base_of_this_architecture_is_trained_and_its_adapter_loads_in_plain_peft(tmp_path, name):
    place = training_place(tmp_path, save_model_folder(tmp_path / "base", model_type=name, **ARCHITECTURES[name]))
    attempt = place.queue("r1", training={"max_steps": 4})
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always", UserWarning)
        result = train_here(attempt)
    assert result["status"] == "succeeded", result["problem"]
    assert result["heldout_loss"] != result["base_heldout_loss"]
    assert heldout_loss(place, attempt.adapter) == pytest.approx(result["heldout_loss"], rel=1e-5)
    assert not [str(each.message) for each in said if issubclass(each.category, UserWarning)]


@pytest.mark.parametrize(
    "method",
    [{"bias": "all"}, {"bias": "lora_only"}, {"targets": ["c_attn"]}, {"layers": "1"}, {"rslora": True}],
    ids=str,
)
def test_every_setting_of_lora_trains_a_model_with_biases(tmp_path, method):
    place = training_place(tmp_path, save_model_folder(tmp_path / "base", model_type="gpt2", **ARCHITECTURES["gpt2"]))
    attempt = place.queue("r1", training={"max_steps": 2}, method=method)
    result = train_here(attempt)
    assert result["status"] == "succeeded", result["problem"]
    assert heldout_loss(place, attempt.adapter) == pytest.approx(result["heldout_loss"], rel=1e-5)
