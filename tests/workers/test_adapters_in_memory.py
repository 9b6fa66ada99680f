"""An adapter is used only when it is whole, finite and made for this base; how much it changes is counted."""

import json
import os

import pytest
import torch
from safetensors.torch import load_file, save_file

from jobs.workers.adapters_in_memory import AdaptersInMemory, load_adapter
from studio.errors import BadInput, NotFound
from studio.files import read_json, write_json
from studio.folders import AdapterFolder
from tests.workers.tiny_models import save_adapter, tiny_model

pytestmark = pytest.mark.training

A = "base_model.model.model.layers.0.self_attn.q_proj.lora_A.weight"
B = A.replace("lora_A", "lora_B")


@pytest.fixture(scope="module")
def model():
    return tiny_model()


@pytest.fixture
def folder(model, tmp_path) -> AdapterFolder:
    return AdapterFolder(save_adapter(tmp_path / "adapter", model))


def change_weights(folder: AdapterFolder, change) -> None:
    tensors = load_file(folder.weights)
    change(tensors)
    save_file(tensors, folder.weights)


def change_config(folder: AdapterFolder, **values) -> None:
    write_json(folder.config, {**read_json(folder.config), **values})


def refused(model, folder: AdapterFolder, why: str) -> None:
    with pytest.raises(BadInput, match=why):
        load_adapter(model, "print", "id", folder.path, "Pirate")


@pytest.mark.parametrize(
    ("change", "why"),
    [
        (lambda tensors: tensors.pop(B), f"'{B}' is missing from its weights"),
        (
            lambda tensors: tensors.update({"base_model.model.other.lora_A.weight": torch.zeros(4, 32)}),
            "which has no place in this base model",
        ),
        (
            lambda tensors: tensors.update({A: torch.zeros(4, 31)}),
            r"has the shape \(4, 31\) and the base model needs \(4, 32\)",
        ),
        (lambda tensors: tensors.update({B: torch.full((32, 4), float("nan"))}), "holds numbers that are not finite"),
        (lambda tensors: tensors.update({B: torch.full((32, 4), float("inf"))}), "holds numbers that are not finite"),
        (lambda tensors: tensors.clear(), "is missing from its weights"),
    ],
    ids=["missing", "unexpected", "shape", "NaN", "infinite", "empty"],
)
def test_weights_that_do_not_belong_on_the_base_are_refused_by_their_name(model, folder, change, why):
    change_weights(folder, change)
    refused(model, folder, why)


@pytest.mark.parametrize(
    ("values", "why"),
    [
        ({"peft_type": "LOHA"}, "its method is LOHA, and what can be compared is LORA, ADALORA"),
        ({"peft_type": None}, "its method is None"),
        ({"use_dora": True}, "lora_magnitude_vector' is missing from its weights"),
        ({"modules_to_save": ["lm_head"]}, "lm_head.weight' is missing from its weights"),
        ({"modules_to_save": ["(a+)+"]}, "not a list of names"),
        ({"use_dora": True, "rank_pattern": {"(a+)+b": 2}}, "not a plain name"),
        ({"trainable_token_indices": {"embed_tokens": [10**12]}}, "trained tokens are not a list of numbers"),
        ({"trainable_token_indices": [-1]}, "trained tokens are not a list of numbers"),
        ({"task_type": "SEQ_CLS"}, "made for SEQ_CLS"),
        ({"init_lora_weights": "pissa_niter_4"}, "changes the base model itself"),
        ({"lora_dropout": 5}, "its dropout"),
        ({"layers_pattern": "layers"}, "PEFT does not take its settings"),
        ({"rank_pattern": ["q_proj"]}, "pattern is not an object"),
        ({"layers_to_transform": 1.5}, "its layers are not whole numbers"),
        ({"exclude_modules": ["q_proj"]}, "its setting 'exclude_modules'"),
        ({"something_new": {"a": 1}}, "its setting 'something_new'"),
        ({"target_modules": "(a+)+$"}, "not a list of names"),
        ({"target_modules": ["q_proj", ".*"]}, "not a list of names"),
        ({"target_modules": ["nowhere"]}, "none of its target modules"),
        ({"target_modules": ["q_proj"]}, "which has no place in this base model"),
        ({"target_modules": ["q_proj", "norm"]}, "is no linear layer"),
        ({"rank_pattern": {"(a+)+b": 2}}, "not a plain name"),
        ({"rank_pattern": {"q_proj": 2}}, r"the base model needs \(2, 32\)"),
        ({"r": 0}, "not a whole number above 0"),
        ({"r": "4"}, "not a whole number above 0"),
        ({"r": True}, "not a whole number above 0"),
        ({"r": 8}, r"the base model needs \(8, 32\)"),
        ({"lora_alpha": "16"}, "not a finite number"),
    ],
    ids=str,
)
def test_settings_that_cannot_be_compared_are_refused(model, folder, values, why):
    change_config(folder, **values)
    refused(model, folder, why)


@pytest.mark.parametrize(
    ("content", "why"),
    [
        ("", "not valid JSON"),
        ("[]", "no adapter_config.json"),
        ('{"lora_alpha": NaN, "peft_type": "LORA"}', "not a finite number"),
    ],
    ids=["empty", "list", "NaN"],
)
def test_a_config_that_says_nothing_sound_is_refused(model, folder, content, why):
    folder.config.write_text(content)
    refused(model, folder, why)


def test_a_pointer_in_place_of_weights_is_refused(model, folder):
    folder.weights.write_text("version https://git-lfs.github.com/spec/v1\noid sha256:0000\nsize 12345\n")
    refused(model, folder, "no safetensors file")


def test_an_adapter_of_other_weights_is_refused_and_one_without_a_passport_is_judged_by_its_shapes(model, folder):
    write_json(folder.passport, {"base_model": {"fingerprint": "another print"}})
    refused(model, folder, "other weights than this one")
    write_json(folder.passport, {"base_model": {"fingerprint": "print"}})
    assert load_adapter(model, "print", "id", folder.path).layers_changed == 14
    folder.passport.unlink()
    assert load_adapter(model, "print", "id", folder.path).layers_changed == 14


def test_layers_that_an_adapter_really_changes_are_counted(model, folder):
    change_weights(
        folder,
        lambda tensors: [tensors[name].zero_() for name in tensors if "lora_B" in name and ".layers.1." not in name],
    )
    assert load_adapter(model, None, "id", folder.path).layers_changed == 7
    change_weights(folder, lambda tensors: [tensors[name].zero_() for name in tensors if "lora_B" in name])
    assert load_adapter(model, None, "id", folder.path).layers_changed == 0


def test_the_least_recently_used_adapter_goes_first_and_none_that_answers(model, folder):
    held = AdaptersInMemory(model, None, most=2)
    for id in ("a", "b", "a", "c"):
        held.get(id, folder.path)
    assert [id in held for id in "abc"] == [True, False, True]
    held.get("d", folder.path, in_use={"a", "c"})
    assert [id in held for id in "acd"] == [True, True, True]
    held.get("e", folder.path, in_use={"d"})
    assert [id in held for id in "acde"] == [False, False, True, True]


def test_an_adapter_is_read_again_only_when_its_file_has_changed(model, folder):
    held = AdaptersInMemory(model, None)
    first = held.get("a", folder.path)
    assert held.get("a", folder.path) is first
    change_weights(folder, lambda tensors: tensors[B].zero_())
    os.utime(folder.weights, ns=(1, 1))
    again = held.get("a", folder.path)
    assert (first.layers_changed, again.layers_changed) == (14, 13)
    assert again.sha256 != first.sha256
    folder.weights.unlink()
    with pytest.raises(NotFound):
        held.get("a", folder.path)


def test_what_peft_writes_today_is_understood(model, folder):
    """New versions of PEFT add settings; those that are off must not be in the way."""
    assert load_adapter(model, None, "id", folder.path).updates.keys() == {
        name.removeprefix("base_model.model.").removesuffix(".lora_A.weight")
        for name in load_file(folder.weights)
        if "lora_A" in name
    }
    assert json.loads(folder.config.read_text())["use_dora"] is False
