"""Extract: of a base and what was merged into it comes the adapter's own update again; what else differs is named, and kept if wanted."""

import math
import shutil
from hashlib import sha256

import numpy
import pytest
import torch

pytestmark = pytest.mark.training

from peft import PeftModel  # noqa: E402
from transformers import AutoModelForCausalLM  # noqa: E402

from jobs.workers import lab  # noqa: E402
from jobs.workers.extract import nearest  # noqa: E402
from jobs.workers.merge import merge_adapter  # noqa: E402
from studio import adapter_job_queue, adapter_jobs, adapters, base_models  # noqa: E402
from studio.errors import Invalid  # noqa: E402
from studio.files import read_json, write_json  # noqa: E402
from studio.lab_settings import ExtractSettings  # noqa: E402
from studio.records import BaseModel, JobState  # noqa: E402
from tests.workers.tiny_facts import facts_of  # noqa: E402
from tests.workers.tiny_models import add_tiny_adapter, add_tiny_base  # noqa: E402

ARCHITECTURES = {
    "llama": {},
    "gpt2": {"n_embd": 32, "n_layer": 2, "n_head": 4},
    "gpt_neox": {},
    "opt": {"ffn_dim": 64, "word_embed_proj_dim": 32},
    "phi3": {},
    "qwen2": {},
}
IDS = torch.arange(24)[None] * 7 % 300


def add_model(studio, id: str, source, change=None) -> BaseModel:
    """A model of the studio from this folder of weights, some of them changed."""
    folder = studio.data.base_model(id).create()
    shutil.copytree(source, folder.model)
    if change:
        model = AutoModelForCausalLM.from_pretrained(source)
        with torch.no_grad():
            change(model)
        model.save_pretrained(folder.model)
    content = (folder.model / "model.safetensors").read_bytes()
    facts = facts_of(folder.model).model_copy(
        update={"fingerprint": sha256(content).hexdigest(), "size_bytes": len(content)}
    )
    write_json(folder.facts, facts.model_dump())
    model = BaseModel(
        id=id, name=id, source="local", location=id, parameters=facts.parameters, fingerprint=facts.fingerprint, facts=facts.model_dump()
    )  # fmt: skip
    with studio.database.write() as session:
        session.add(model)
    return model


def extracted(studio, **settings):
    job = adapter_jobs.queue_job(studio, ExtractSettings(base_model="tinybase", tuned="tuned", **settings))
    adapter_job_queue.claim(studio)
    lab.main(studio.data.adapter_job(job.id))
    return adapter_job_queue.settle(studio, job)


def updates(studio, adapter_id) -> dict[str, torch.Tensor]:
    model = AutoModelForCausalLM.from_pretrained(studio.data.base_model("tinybase").model)
    adapted = PeftModel.from_pretrained(model, studio.data.adapter(adapter_id).path)
    return {
        name: module.get_delta_weight("default").double()
        for name, module in adapted.named_modules()
        if hasattr(module, "get_delta_weight")
    }


def distance(one, other) -> float:
    assert one.keys() == other.keys()
    apart = sum(float(((one[name] - other[name]) ** 2).sum()) for name in other)
    return math.sqrt(apart / sum(float((update**2).sum()) for update in other.values()))


def logits(model):
    with torch.no_grad():
        return model.eval()(input_ids=IDS).logits


@pytest.mark.parametrize("model_type", ARCHITECTURES)
def test_what_was_merged_is_extracted_again(studio, tmp_path, model_type):
    base = add_tiny_base(studio, model_type=model_type, **ARCHITECTURES[model_type])
    add_tiny_adapter(studio, base, "pirate", r=4, fan_in_fan_out=model_type == "gpt2")
    merge_adapter(studio.data.base_model(base.id).model, studio.data.adapter("pirate").path, tmp_path / "merged")
    add_model(studio, "tuned", tmp_path / "merged")
    job = extracted(studio, rank=4)
    assert (job.state, job.problem) == (JobState.DONE, None)
    assert distance(updates(studio, job.id), updates(studio, "pirate")) < 1e-5
    assert job.result["energy_lost"] < 1e-10
    assert (job.result["outside_count"], job.result["rank"]) == (0, 4)
    adapter = adapters.get_adapter(studio, job.id)
    assert (adapter.source, adapter.method, adapter.base_model) == ("extract", "lora", "tinybase")
    passport = read_json(studio.data.adapter(job.id).passport)
    assert passport["extracted_from"]["name"] == "tuned"


def trained_everywhere(model):
    for number, (name, weights) in enumerate(model.named_parameters()):
        if "layers.1" in name or "embed" in name or "norm" in name or name.startswith("lm_head"):
            weights.add_(torch.randn(weights.shape, generator=torch.Generator().manual_seed(number)) * 0.05)


@pytest.mark.parametrize("options", [{}, {"tie_word_embeddings": True}, {"attention_bias": True}], ids=str)
def test_what_else_was_trained_is_named_and_kept_when_wanted(studio, options):
    base = add_tiny_base(studio, **options)
    add_model(studio, "tuned", studio.data.base_model(base.id).model, trained_everywhere)
    bare, whole = extracted(studio, rank=32), extracted(studio, rank=32, keep_others=True)
    assert whole.problem is None
    assert {"model.norm.weight", "model.embed_tokens.weight"} <= {each["name"] for each in bare.result["outside"]}
    assert len(bare.result["modules"]) == 7  # of layer 1 alone: the layers of layer 0 are what they were
    wanted = logits(AutoModelForCausalLM.from_pretrained(studio.data.base_model("tuned").model))
    model = AutoModelForCausalLM.from_pretrained(studio.data.base_model("tinybase").model)
    given = logits(PeftModel.from_pretrained(model, studio.data.adapter(whole.id).path))
    assert torch.allclose(given, wanted, atol=1e-4 * float(wanted.abs().max()))
    left = logits(
        PeftModel.from_pretrained(
            AutoModelForCausalLM.from_pretrained(studio.data.base_model("tinybase").model),
            studio.data.adapter(bare.id).path,
        )
    )
    assert not torch.allclose(left, wanted, atol=1e-2 * float(wanted.abs().max()))


def test_each_layer_gets_the_rank_that_keeps_the_energy_and_says_what_it_lost(studio):
    base = add_tiny_base(studio)
    add_model(studio, "tuned", studio.data.base_model(base.id).model, trained_everywhere)
    job = extracted(studio, rank=32, energy=0.9)
    for each in job.result["modules"]:
        assert each["energy_lost"] <= 0.1 + 1e-6
        assert 1 <= each["rank"] < 32
    fewer = extracted(studio, rank=2, targets=["q_proj"])
    assert [each["name"] for each in fewer.result["modules"]] == ["model.layers.1.self_attn.q_proj"]
    before, after = (
        AutoModelForCausalLM.from_pretrained(studio.data.base_model(id).model)
        .get_submodule("model.layers.1.self_attn.q_proj")
        .weight
        for id in ("tinybase", "tuned")
    )
    values = torch.linalg.svdvals((after - before).double())
    best = float((values[2:] ** 2).sum() / (values**2).sum())
    assert fewer.result["energy_lost"] == pytest.approx(best, rel=1e-4)


def test_a_wide_layer_is_decomposed_nearly_as_well_from_a_random_projection():
    draw = numpy.random.default_rng(3)
    strong = draw.normal(size=(1100, 8)) @ draw.normal(size=(8, 1200)) + 0.3 * draw.normal(size=(1100, 1200))
    found, values = nearest(strong, 8), numpy.linalg.svd(strong, compute_uv=False)
    assert found.values[:8] == pytest.approx(values[:8], rel=1e-6)
    up, down = found.cut(8)
    assert numpy.sum((strong - up @ down) ** 2) == pytest.approx(numpy.sum(values[8:] ** 2), rel=1e-6)


def test_models_of_other_shapes_and_equal_ones_are_refused_with_what_differs(studio):
    base = add_tiny_base(studio)
    same = studio.data.base_model(base.id).model
    add_model(studio, "tuned", same)
    with pytest.raises(Invalid, match="tuned has the same weights"):
        extracted(studio)
    base_models.delete_model(studio, "tuned")
    add_tiny_base(studio, "tuned", intermediate_size=96)
    with pytest.raises(
        Invalid, match=r"no fine-tune of tiny tinybase: 'model.layers.0.mlp.gate_proj' has 32 inputs and 64"
    ):
        extracted(studio)
    base_models.delete_model(studio, "tuned")
    add_model(studio, "tuned", same, trained_everywhere)
    with pytest.raises(Invalid, match="'k_prj' is no linear layer"):
        extracted(studio, targets=["k_prj"])
    assert extracted(studio, targets=["q_proj"]).state is JobState.DONE
