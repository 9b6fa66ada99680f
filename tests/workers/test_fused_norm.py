"""RMSNorm as one function gives the model's own results and gradients, and is used for frozen norms of Llama's code alone."""

import pytest
import torch
from transformers.models.llama.modeling_llama import LlamaRMSNorm

from jobs.workers.fused_norm import FrozenRmsNorm
from tests.workers.test_fused_lora import EXAMPLES, adapted, assert_as_plain, engine_of
from tests.workers.test_packing import ARCHITECTURES, architecture, plainly
from tests.workers.tiny_models import tiny_model

pytestmark = pytest.mark.training
KNOWN = {"llama", "qwen2", "qwen3", "mistral", "phi3"}


def fused_norms(engine) -> int:
    [said] = [line for line in engine.said if "normalisations" in line]
    return int(said.split()[0]) if "fused" in said else 0


@pytest.mark.parametrize("size", [(3, 7, 16), (1, 5, 2, 8)], ids=str)
@pytest.mark.parametrize("large", [1e-4, 1.0, 1e4])
def test_result_and_gradient_are_those_of_the_models_own_norm(size, large):
    torch.manual_seed(0)
    norm = LlamaRMSNorm(size[-1]).requires_grad_(False)
    norm.weight.normal_()
    x = (large * torch.randn(size)).transpose(0, 1).requires_grad_()
    expected, found = norm(x), FrozenRmsNorm.apply(x, norm.weight, norm.variance_epsilon)
    upstream = torch.randn_like(expected)
    [wanted] = torch.autograd.grad(expected, x, upstream)
    [gradient] = torch.autograd.grad(found, x, upstream)
    assert torch.equal(found, expected)
    assert (gradient - wanted).abs().max() <= 2e-6 * wanted.abs().max()


def test_a_row_of_zeros_gives_zeros_and_a_finite_gradient():
    x = torch.zeros(2, 8, requires_grad=True)
    found = FrozenRmsNorm.apply(x, torch.ones(8), 1e-6)
    found.sum().backward()
    assert not found.any()
    assert x.grad.isfinite().all()


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_it_is_used_for_frozen_norms_of_llamas_code_and_only_for_them(name):
    assert (fused_norms(engine_of(adapted(architecture(name)))) > 0) == (name in KNOWN)


def test_a_trained_norm_keeps_its_own_code_and_gets_its_gradient():
    def made():
        model = adapted(tiny_model("llama"))
        model.get_base_model().model.norm.weight.requires_grad_(True)
        return model

    expected = plainly(made(), EXAMPLES)
    assert fused_norms(assert_as_plain(made(), *expected)) == 4


def test_one_that_computes_something_else_is_not_kept(monkeypatch):
    expected = plainly(adapted(architecture("llama")), EXAMPLES)
    monkeypatch.setattr(FrozenRmsNorm, "backward", staticmethod(lambda ctx, upstream: (upstream, None, None)))
    assert fused_norms(assert_as_plain(adapted(architecture("llama")), *expected)) == 0
