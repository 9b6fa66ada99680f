"""Rows that share a sequence do not see each other, and give the losses and gradients that they give alone, for every architecture."""

import numpy as np
import pytest
import torch
from torch.nn.functional import cross_entropy

from jobs.workers import attention
from jobs.workers.engine import Engine
from jobs.workers.packing import Example, packed, padded, split_for_packing, split_for_padding
from jobs.workers.trying import choose_attention
from tests.workers.tiny_models import tiny_model

pytestmark = pytest.mark.training
CPU = torch.device("cpu")
ARCHITECTURES = {
    "llama": {},
    "qwen2": {},
    "qwen3": {"head_dim": 8},
    "mistral": {"sliding_window": None},
    "gemma": {"head_dim": 8},
    "phi3": {"pad_token_id": 0},
    "gpt2": {"n_embd": 32, "n_layer": 2, "n_head": 4, "resid_pdrop": 0.0, "embd_pdrop": 0.0, "attn_pdrop": 0.0},
    "gpt_neox": {},
    "opt": {"ffn_dim": 64, "word_embed_proj_dim": 32, "dropout": 0.0},
}


def example(length: int, seed: int = 0, from_token: int | None = None) -> Example:
    """A row of random tokens, learned from at about half of them, or from one token on."""
    random = np.random.default_rng(seed)
    trained = np.arange(length) >= from_token if from_token is not None else random.random(length) < 0.5
    return Example(seed, random.integers(3, 390, length, dtype=np.int32), trained)


def architecture(name: str):
    return tiny_model(name, **ARCHITECTURES[name])


def engine_of(model, packing: bool = True, most_rows: int = 16, most_tokens: int = 512) -> Engine:
    engine = Engine(model, CPU, most_rows, most_tokens)
    engine.said = engine.choose(packing)
    return engine


def gradients(model) -> dict[str, torch.Tensor]:
    return {name: parameter.grad.clone() for name, parameter in model.named_parameters() if parameter.grad is not None}


def plainly(model, examples: list[Example]) -> tuple[float, dict[str, torch.Tensor]]:
    """Sum of losses and its gradients as transformers gives them, one row at a time, with its own attention."""
    model.zero_grad()
    total = 0.0
    for each in examples:
        ids = torch.from_numpy(each.ids.astype(np.int64))
        logits = model(input_ids=ids[None]).logits[0, :-1].float()
        labels = ids[1:].masked_fill(~torch.from_numpy(each.trained[1:]), -100)
        loss = cross_entropy(logits, labels, ignore_index=-100, reduction="sum")
        loss.backward()
        total += loss.item()
    return total, gradients(model)


@pytest.mark.parametrize("name", ARCHITECTURES)
@pytest.mark.parametrize("packing", [True, False], ids=["packed", "padded"])
def test_loss_and_gradients_are_those_of_plain_transformers(name, packing):
    examples = [example(length, seed) for seed, length in enumerate((9, 25, 14, 40, 3, 17))]
    expected, expected_gradients = plainly(architecture(name), examples)
    model = architecture(name)
    engine = engine_of(model, packing)
    model.zero_grad()
    found = engine.accumulate(engine.micro_batches(examples), 1.0)
    assert engine.packs == packing, engine.said
    assert found == pytest.approx(expected, rel=2e-6)
    found_gradients = gradients(model)
    assert found_gradients.keys() == expected_gradients.keys()
    for parameter, gradient in expected_gradients.items():
        assert (found_gradients[parameter] - gradient).abs().max() <= 2e-6 * max(1.0, gradient.abs().max().item()), (
            parameter
        )


@pytest.mark.parametrize("name", ARCHITECTURES)
@pytest.mark.parametrize("recompute", [False, True], ids=["kept", "recomputed"])
def test_a_changed_row_moves_nothing_of_its_neighbour(name, recompute):
    def second_row(first_seed: int) -> tuple[torch.Tensor, float]:
        model = architecture(name).train()
        if recompute:
            model.activation_checkpointing_enable()
        engine = engine_of(model)
        assert engine.packs
        batch = packed([example(11, first_seed, from_token=99), example(13, 7, from_token=4)], CPU)
        embedded = model.get_input_embeddings()
        caught = {}
        hook = embedded.register_forward_hook(
            lambda _module, _inputs, output: caught.update(output=output.requires_grad_(), kept=output.retain_grad())
        )
        with attention.DOCUMENTS.of(batch):
            loss = engine.loss_sum(batch)
            loss.backward()
        hook.remove()
        gradient = caught["output"].grad
        assert not gradient.flatten(0, -2)[:11].any()  # nothing of the second row's loss reaches the first row
        return gradient.flatten(0, -2)[11:], loss.item()

    gradient, loss = second_row(1)
    other_gradient, other_loss = second_row(2)
    assert loss == other_loss
    assert torch.equal(gradient, other_gradient)


def test_a_sliding_window_is_kept_within_each_row():
    windowed = {"sliding_window": 6}
    examples = [example(30, 1), example(21, 2)]
    expected, expected_gradients = plainly(tiny_model("mistral", **windowed), examples)
    model = tiny_model("mistral", **windowed)
    engine = engine_of(model)
    assert engine.packs
    assert engine.accumulate(engine.micro_batches(examples), 1.0) == pytest.approx(expected, rel=2e-6)
    for parameter, gradient in expected_gradients.items():
        assert torch.allclose(gradients(model)[parameter], gradient, atol=1e-5, rtol=1e-5)


def as_documented(query, key, value, cu_seq_q, cu_seq_k, max_q, max_k, *, scale, window_size, enable_gqa=False):
    """torch's varlen_attn in plain words, for a machine without CUDA: [tokens, heads, size] each."""
    assert (max_q, max_k) == (cu_seq_q.diff().max(), cu_seq_k.diff().max())
    behind, ahead = window_size
    groups = query.shape[1] // key.shape[1]
    assert enable_gqa or groups == 1
    key, value = key.repeat_interleave(groups, 1), value.repeat_interleave(groups, 1)
    number = torch.arange(len(cu_seq_q) - 1)
    of_query, of_key = (torch.repeat_interleave(number, ends.diff()) for ends in (cu_seq_q, cu_seq_k))
    aligned = (cu_seq_k[1:] - cu_seq_q[1:])[of_query]  # a document's last query sees its last key
    distance = (torch.arange(len(query)) + aligned)[:, None] - torch.arange(len(key))[None]
    seen = (of_query[:, None] == of_key[None]) & (distance >= -ahead) & ((behind < 0) | (distance <= behind))
    scores = torch.einsum("qhd,khd->hqk", query, key) * scale
    return torch.einsum("hqk,khd->qhd", scores.masked_fill(~seen, -torch.inf).softmax(-1), value)


@pytest.mark.parametrize("window", [None, 6])
def test_one_call_for_all_rows_is_asked_for_what_one_call_each_computes(monkeypatch, window):
    monkeypatch.setattr(attention, "varlen_attn", as_documented)
    monkeypatch.setattr(attention, "can_be_at_once", lambda query: True)
    one = example(30, 1)
    alike = Example(9, np.append(one.ids[:26], example(5, 9).ids), np.arange(31) >= 24)
    examples = [one, example(21, 2), example(4, 3), alike]
    expected, expected_gradients = plainly(tiny_model("mistral", sliding_window=window), examples)
    model = tiny_model("mistral", sliding_window=window)
    engine = engine_of(model)
    monkeypatch.setattr(attention.DOCUMENTS, "at_once", False)  # and again after the test
    assert choose_attention(engine) == "Attention takes all rows of a sequence in one call."
    model.zero_grad()
    assert engine.accumulate(engine.micro_batches(examples), 1.0) == pytest.approx(expected, rel=2e-6)
    for parameter, gradient in gradients(model).items():
        expected = expected_gradients[parameter]
        assert (gradient - expected).norm() <= 1e-5 * expected.norm().clamp_min(1e-2), parameter


def test_a_kernel_that_fails_or_sees_another_row_is_not_used(monkeypatch):
    engine = engine_of(tiny_model("llama"))
    monkeypatch.setattr(attention, "can_be_at_once", lambda query: True)
    for kernel in (lambda *_args, **_given: 1 / 0, lambda query, *_args, **_given: query * 1.5):
        monkeypatch.setattr(attention, "varlen_attn", kernel)
        assert choose_attention(engine) == "Attention takes one row of a sequence at a time."
        assert not attention.DOCUMENTS.at_once


@pytest.mark.parametrize("name", ["gemma2", "bloom", "mamba"])
def test_attention_that_is_not_known_is_padded_and_still_right(name):
    changes = {
        "gemma2": {"head_dim": 8},
        "bloom": {"n_head": 4, "n_layer": 2, "hidden_dropout": 0.0, "attention_dropout": 0.0},
        "mamba": {"state_size": 4, "num_hidden_layers": 2},
    }[name]
    examples = [example(length, seed) for seed, length in enumerate((9, 14, 14))]
    expected, expected_gradients = plainly(tiny_model(name, **changes), examples)
    model = tiny_model(name, **changes)
    engine = engine_of(model)
    assert not engine.packs
    assert "padded" in engine.said[0]
    assert engine.accumulate(engine.micro_batches(examples), 1.0) == pytest.approx(expected, rel=1e-5)
    for parameter, gradient in expected_gradients.items():
        assert torch.allclose(gradients(model)[parameter], gradient, atol=1e-3, rtol=1e-3), parameter


def test_packing_computes_nothing_for_nothing_and_padding_says_what_it_computes():
    examples = [example(length, seed) for seed, length in enumerate((5, 9, 2))]
    assert packed(examples, CPU).padding == 0
    beside = padded(examples, CPU)
    assert (beside.tokens, beside.padding) == (16, 11)
    assert beside.attention_mask.sum() == 16


def test_supervised_positions_predict_the_next_token_of_their_own_row():
    first, second = (
        Example(1, np.array([5, 6, 7], np.int32), np.array([True, False, True])),
        Example(2, np.array([8, 9], np.int32), np.array([True, True])),
    )
    together = packed([first, second], CPU)
    assert together.supervised.tolist() == [1, 3]
    assert together.targets.tolist() == [7, 9]
    assert together.position_ids.tolist() == [[0, 1, 2, 0, 1]]
    assert together.documents.tolist() == [0, 1]
    beside = padded([first, second], CPU)
    assert (beside.supervised.tolist(), beside.targets.tolist()) == ([1, 3], [7, 9])
    assert beside.documents.tolist() == [0, 1]


@pytest.mark.parametrize("packing", [True, False], ids=["packed", "padded"])
@pytest.mark.parametrize("name", ["llama", "gemma2"])  # by the frozen output layer, and by the model itself
def test_each_documents_loss_is_the_sum_over_its_own_tokens(name, packing):
    model = architecture(name).requires_grad_(False) if name in ARCHITECTURES else tiny_model(name, head_dim=8)
    engine = engine_of(model, packing)
    examples = [example(length, seed) for seed, length in enumerate((9, 25, 14))]
    [batch] = engine.micro_batches(examples)
    with torch.no_grad(), attention.DOCUMENTS.of(batch):
        sums = torch.zeros(3).index_add(0, batch.documents, engine.token_losses(batch))
    in_order = sorted(examples, key=len, reverse=True)  # as micro_batches sorts them
    for found, each in zip(sums, in_order, strict=True):
        assert found.item() == pytest.approx(engine.measure([each])[0], rel=1e-5)


@pytest.mark.parametrize("split", [split_for_packing, split_for_padding])
def test_every_row_is_in_exactly_one_group_within_the_limits(split):
    examples = [example(length, seed) for seed, length in enumerate(np.random.default_rng(3).integers(1, 60, 50))]
    groups = split(examples, most_rows=6, most_tokens=64)
    assert sorted(each.row for group in groups for each in group) == list(range(50))
    assert all(len(group) <= 6 for group in groups)
    for group in groups:
        slots = sum(map(len, group)) if split is split_for_packing else max(map(len, group)) * len(group)
        assert slots <= 64
    assert split(examples, 6, 64) == groups


def test_a_row_longer_than_the_budget_goes_alone():
    groups = split_for_packing([example(100, 1), example(10, 2), example(12, 3)], most_rows=4, most_tokens=32)
    assert [[len(each) for each in group] for group in groups] == [[100], [12, 10]]
