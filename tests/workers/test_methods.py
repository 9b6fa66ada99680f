"""The methods besides LoRA: sizes are PEFT's own, prompts train with the gradients that PEFT gives, and AdaLoRA's ranks follow its schedule."""

import json

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from jobs.workers.engine import Engine
from jobs.workers.packing import Example
from studio.adapter_files import weights_bytes
from studio.errors import Invalid
from studio.files import read_json
from studio.folders import AdapterFolder
from studio.methods import METHODS
from tests.workers.method_cases import CASES
from tests.workers.test_packing import ARCHITECTURES
from tests.workers.tiny_facts import facts_of
from tests.workers.tiny_models import save_model_folder, tiny_model
from tests.workers.training_place import adapter_of, asking, steps_of, train_here

pytestmark = pytest.mark.training
CPU = torch.device("cpu")
OTHERS = [(title, method) for title, method, training in CASES if method["name"] != "lora"]
ONE_EACH = {method["name"]: method for _, method in reversed(OTHERS)}
SOME = ("llama", "qwen3", "phi3", "gpt2", "opt")


def model_of(name: str, **more):
    return tiny_model(name, **architecture(name), **more)


def architecture(name: str) -> dict:
    """Models that know no key and value heads of their own have as many as heads."""
    separate = {} if name in ("llama", "qwen2", "qwen3", "mistral", "gemma", "phi3") else {"num_key_value_heads": 4}
    return {**ARCHITECTURES[name], **separate}


def settings_of(method: dict):
    return METHODS[method["name"]].settings(**method)


def trainable(model) -> dict[str, torch.nn.Parameter]:
    return {name: each for name, each in model.named_parameters() if each.requires_grad}


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    return {
        name: save_model_folder(tmp_path_factory.mktemp(name) / "model", model_type=name, **architecture(name))
        for name in SOME
    }


@pytest.mark.parametrize("name", SOME)
def test_parameters_and_the_size_of_the_file_are_those_that_peft_makes(folders, tmp_path, name):
    from transformers import AutoModelForCausalLM

    facts = facts_of(folders[name])
    for title, settings in ((title, settings_of(method)) for title, method in OTHERS):
        method = METHODS[settings.name]
        if (name, settings.name) == ("gpt2", "oft"):
            with pytest.raises(Invalid, match="keep their weights transposed") as refused:
                method.check(settings, facts)
            assert refused.value.field == "method.name"
            continue
        method.check(settings, facts)
        base = AutoModelForCausalLM.from_pretrained(folders[name]).requires_grad_(False)
        adapted = method.add_to(settings, base)
        learned = sum(each.numel() for each in trainable(adapted).values())
        assert learned == method.trainable_parameters(settings, facts), title
        adapted.save_pretrained(tmp_path / title, save_embedding_layers=False)
        file = tmp_path / title / "adapter_model.safetensors"
        if settings.name != "adalora":  # which is saved with the ranks that it ends with
            planned = method.saved(settings, facts)
            assert {key: tuple(each.shape) for key, each in load_file(file).items()} == planned, title
            assert file.stat().st_size == weights_bytes(planned), title


def examples() -> list[Example]:
    random = np.random.default_rng(3)
    return [
        Example(row, random.integers(3, 390, length, dtype=np.int32), random.random(length) < 0.5)
        for row, length in enumerate((9, 25, 14))
    ]


def by_peft(model, rows: list[Example]) -> tuple[float, dict[str, torch.Tensor]]:
    """Sum of losses and its gradients by PeftModel's own forward, one row at a time."""
    total = 0.0
    for row in rows:
        ids = torch.from_numpy(row.ids.astype(np.int64))[None]
        logits = model(input_ids=ids, attention_mask=torch.ones_like(ids)).logits[0, -len(row) : -1].float()
        labels = ids[0, 1:].masked_fill(~torch.from_numpy(row.trained[1:]), -100)
        loss = torch.nn.functional.cross_entropy(logits, labels, ignore_index=-100, reduction="sum")
        loss.backward()
        total += loss.item()
    return total, {name: each.grad.clone() for name, each in trainable(model).items()}


PROMPTS = ("prompt_tuning", "p_tuning", "prefix_tuning")


@pytest.mark.parametrize("method", PROMPTS)
@pytest.mark.parametrize("name", ["llama", "qwen2", "gemma", "gpt2", "gpt_neox", "opt"])
def test_prompts_are_learned_with_pefts_own_loss_and_gradients(name, method):
    model = METHODS[method].add_to(settings_of(ONE_EACH[method]), model_of(name).requires_grad_(False))
    with torch.no_grad():
        for each in trainable(model).values():
            each.add_(torch.randn_like(each) * 0.1)
    expected, gradients = by_peft(model, examples())
    model.zero_grad()
    engine = Engine(model, CPU, 16, 512)
    said = engine.choose()
    assert engine.packs == (method != "prefix_tuning"), said
    assert "only where something is learned" in said[1]
    found = engine.accumulate(engine.micro_batches(examples()), 1.0)
    assert found == pytest.approx(expected, rel=2e-6)
    for parameter, gradient in gradients.items():
        apart = (trainable(model)[parameter].grad - gradient).abs().max()
        assert apart <= 1e-5 * max(1.0, gradient.abs().max().item()), parameter


@pytest.mark.parametrize("method", PROMPTS)
def test_without_its_prompt_the_engine_measures_the_plain_base(method):
    plain = Engine(model_of("llama"), CPU, 16, 512)
    plain.choose()
    model = METHODS[method].add_to(settings_of(ONE_EACH[method]), model_of("llama").requires_grad_(False))
    engine = Engine(model, CPU, 16, 512)
    engine.choose()
    with engine.prompt.off():
        assert engine.measure(examples()) == pytest.approx(plain.measure(examples()), rel=1e-6)
    assert engine.measure(examples()) != pytest.approx(plain.measure(examples()), rel=1e-6)


def test_a_prompt_begins_as_the_text_that_it_is_given(folders):
    from tokenizers import Tokenizer
    from transformers import AutoModelForCausalLM

    base = AutoModelForCausalLM.from_pretrained(folders["llama"])
    settings = settings_of({"name": "prompt_tuning", "virtual_tokens": 9, "start_text": "one, two"})
    learned = METHODS["prompt_tuning"].add_to(settings, base).prompt_encoder["default"].embedding.weight
    ids = Tokenizer.from_file(str(folders["llama"] / "tokenizer.json")).encode("one, two").ids
    words = base.get_input_embeddings().weight
    assert torch.equal(learned, words[torch.tensor((ids * 9)[:9])])


ADALORA = {"name": "adalora", "rank": 2, "start_rank": 4}


def adalora(steps: int, **more):
    settings = settings_of({**ADALORA, **more})
    model = METHODS["adalora"].add_to(settings, model_of("llama").requires_grad_(False))
    return model, METHODS["adalora"].step_hooks(settings, model, steps)


def test_adaloras_penalty_is_pefts_own():
    model, hooks = adalora(10)
    ids = torch.arange(3, 20)[None]
    alone = model.base_model.model(input_ids=ids, labels=ids).loss
    assert hooks.penalty().item() == pytest.approx((model(input_ids=ids, labels=ids).loss - alone).item(), rel=1e-5)
    assert adalora(10, orthogonality=0.0)[1].penalty() is None


@pytest.mark.parametrize("steps", [1, 2, 3, 5, 12])
def test_adalora_ends_with_its_average_rank_in_trainings_of_any_length(place, steps):
    attempt = place.queue(
        "r1", method=ADALORA, training={"max_steps": steps, "batch_size": 2}, resolved={"epochs": 9.0}
    )
    assert train_here(attempt)["status"] == "succeeded"
    assert len(steps_of(attempt)) == steps
    ranks = [len(each) for name, each in adapter_of(attempt).items() if name.endswith("lora_E")]
    assert sum(ranks) == (4 if steps == 1 else 2) * len(ranks)  # one step scores nothing, so nothing is taken away
    assert len(set(ranks)) > 1 or steps == 1


def test_adalora_saves_the_ranks_of_its_parameters_as_they_stand(tmp_path):
    model, hooks = adalora(10)
    values = {name: each for name, each in model.base_model.model.named_parameters() if ".lora_E." in name}
    model.peft_config["default"].rank_pattern = {name: [True] * 4 for name in values}  # of the last step
    for each in values.values():
        each.data = torch.tensor([[1.0], [0.0], [2.0], [0.0]])  # of the best one, which is kept
    hooks.before_save()
    model.save_pretrained(tmp_path, save_embedding_layers=False)
    saved = load_file(tmp_path / "adapter_model.safetensors")
    assert {tuple(each.flatten().tolist()) for name, each in saved.items() if name.endswith("lora_E")} == {(1.0, 2.0)}


def test_adalora_stopped_in_the_middle_keeps_what_it_has(place):
    attempt = place.queue("r1", method=ADALORA, resolved={"epochs": 4.0})
    assert train_here(attempt, asking("stop", 4))["status"] == "stopped"
    assert adapter_of(attempt)


def test_what_is_saved_names_no_folder_of_this_machine(place):
    method = {"name": "prompt_tuning", "virtual_tokens": 3, "start_text": "ships"}
    attempt = place.queue("r1", method=method, training={"max_steps": 1})
    train_here(attempt)
    config = json.dumps(read_json(AdapterFolder(attempt.adapter).config))
    assert str(place.data.path) not in config
    assert "tokenizer.json" not in config
