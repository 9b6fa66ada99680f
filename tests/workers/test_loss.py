"""The loss computed in chunks, without keeping logits, is cross-entropy; so are its gradients."""

import pytest
import torch
from torch.nn import functional
from torch.nn.functional import cross_entropy, linear

from jobs.workers import loss as loss_module
from jobs.workers.engine import Engine
from jobs.workers.loss import frozen_head_losses, plain_losses
from tests.workers.test_packing import engine_of, example
from tests.workers.tiny_models import tiny_model

pytestmark = pytest.mark.training


@pytest.mark.parametrize(
    ("rows", "columns"), [(1, 7), (3, 2), (10, 16), (2048, 1024)], ids=["a row at a time", "tokens in pairs", "blocks", "all at once"]
)  # fmt: skip
@pytest.mark.parametrize("bias", [False, True], ids=["plain head", "head with bias"])
def test_loss_and_gradient_in_blocks_are_those_of_cross_entropy(monkeypatch, rows, columns, bias):
    monkeypatch.setattr(loss_module, "BLOCK_BYTES", {"cpu": 1})
    monkeypatch.setattr(loss_module, "MOST_ROWS", rows)
    monkeypatch.setattr(loss_module, "LEAST_COLUMNS", columns)
    torch.manual_seed(0)
    head = torch.nn.Linear(12, 50, bias=bias).requires_grad_(False)
    hidden, targets = torch.randn(10, 12, requires_grad=True), torch.randint(0, 50, (10,))
    expected = cross_entropy(linear(hidden, head.weight, head.bias), targets, reduction="none")
    upstream = torch.linspace(-1, 1, 10)  # as a loss of preferences has it: another weight for each token
    [expected_gradient] = torch.autograd.grad(expected, hidden, upstream)
    found = frozen_head_losses(hidden, head, targets)
    [gradient] = torch.autograd.grad(found, hidden, upstream)
    assert (found - expected).abs().max() <= 2e-6
    assert (gradient - expected_gradient).abs().max() <= 2e-6


def test_very_large_logits_stay_finite():
    head = torch.nn.Linear(4, 30, bias=False).requires_grad_(False)
    hidden = torch.full((3, 4), 1e4, requires_grad=True)
    found = frozen_head_losses(hidden, head, torch.tensor([1, 2, 29]))
    found.sum().backward()
    assert found.isfinite().all()
    assert hidden.grad.isfinite().all()


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=str)
def test_an_answer_that_is_nearly_sure_still_has_its_gradient(dtype):
    """The wanted token's probability rounds to 1 in bf16; what is left to learn is the others' share."""
    torch.manual_seed(0)
    head = torch.nn.Linear(16, 30, bias=False).requires_grad_(False).to(dtype)
    targets = torch.arange(6)
    hidden = (30 * functional.normalize(head.weight.float()[targets])).to(dtype).requires_grad_()
    exact = hidden.detach().double().requires_grad_()
    expected = cross_entropy(exact @ head.weight.double().t(), targets, reduction="none")
    assert expected.max() < 0.05
    expected.sum().backward()
    frozen_head_losses(hidden, head, targets).sum().backward()
    apart = (hidden.grad.double() - exact.grad).norm() / exact.grad.norm()
    assert apart < (1e-5 if dtype == torch.float32 else 0.15)


def test_without_a_gradient_nothing_is_kept():
    head = torch.nn.Linear(4, 30, bias=False).requires_grad_(False)
    with torch.no_grad():
        assert frozen_head_losses(torch.randn(3, 4), head, torch.tensor([1, 2, 3])).grad_fn is None


def test_no_supervised_token_costs_nothing():
    head = torch.nn.Linear(4, 30, bias=False).requires_grad_(False)
    assert frozen_head_losses(torch.randn(0, 4), head, torch.empty(0, dtype=torch.long)).shape == (0,)


def test_bf16_logits_are_summed_in_fp32():
    logits = torch.randn(5, 20).bfloat16()
    assert plain_losses(logits, torch.zeros(5, dtype=torch.long)).dtype == torch.float32


@pytest.mark.parametrize(
    ("name", "changes", "head"),
    [("llama", {}, "frozen"), ("gpt2", {"n_embd": 32, "n_layer": 2, "n_head": 4}, "frozen"), ("gemma2", {"head_dim": 8}, "whole"), ("granite", {"logits_scaling": 8.0}, "whole"), ("cohere", {"logit_scale": 0.06}, "whole")],
)  # fmt: skip
def test_logits_that_are_more_than_the_output_layer_are_left_to_the_model(name, changes, head):
    model = tiny_model(name, **changes).requires_grad_(False)
    assert engine_of(model).head == head


def test_a_trained_output_layer_gets_its_gradient():
    model = tiny_model("llama", tie_word_embeddings=False)
    engine = engine_of(model)
    assert engine.head == "trained"
    engine.accumulate(engine.micro_batches([example(12, 1)]), 1.0)
    assert model.get_output_embeddings().weight.grad.any()


def test_splitting_a_batch_into_micro_batches_changes_nothing():
    found = []
    for most_rows, most_tokens in ((16, 512), (2, 512), (1, 8)):
        model = tiny_model("llama")
        engine = Engine(model, torch.device("cpu"), most_rows, most_tokens)
        engine.choose()
        loss = engine.accumulate(engine.micro_batches([example(length, length) for length in (30, 12, 7, 21)]), 1 / 35)
        found.append((loss, model.get_input_embeddings().weight.grad.clone()))
    for loss, gradient in found[1:]:
        assert loss == pytest.approx(found[0][0], rel=2e-6)
        assert (gradient - found[0][1]).abs().max() <= 2e-6
