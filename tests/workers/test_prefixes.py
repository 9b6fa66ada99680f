"""What rows have in common at their beginning is computed once, and every row keeps its losses and gradients."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from jobs.workers import attention
from jobs.workers.engine import Engine
from jobs.workers.neftune import add_noise_to_embeddings
from jobs.workers.packing import Example
from jobs.workers.prefixes import LEAST_SAVED, layout_of, needed, shared, split_for_sharing
from tests.workers.test_fused_lora import adapted
from tests.workers.test_packing import ARCHITECTURES, CPU, architecture, engine_of, gradients, plainly
from tests.workers.tiny_models import tiny_model

pytestmark = pytest.mark.training


def tokens(count: int, seed: int) -> np.ndarray:
    return np.random.default_rng(seed).integers(3, 390, count, dtype=np.int32)


def row(*parts: np.ndarray, learned_from: int) -> Example:
    ids = np.concatenate(parts).astype(np.int32)
    return Example(0, ids, np.arange(len(ids)) >= learned_from)


def two_levels() -> list[Example]:
    """A system prompt, under it two questions with two answers each, and rows that are hard to tell apart."""
    system, question, other = tokens(26, 1), tokens(25, 2), tokens(30, 3)
    learned_within = row(system, question, tokens(9, 4), learned_from=10)  # its loss begins in what it shares
    return [
        row(system, question, tokens(12, 5), learned_from=51),
        row(system, question, tokens(7, 6), learned_from=51),
        row(system, other, tokens(8, 7), learned_from=56),
        row(system, other, tokens(8, 8), learned_from=58),
        learned_within,
        learned_within,  # a whole row twice
        row(system, question, learned_from=30),  # all of it is another row's beginning
        row(tokens(17, 9), learned_from=4),  # has nothing in common with any
    ]


def assert_as_plain(make, rows: list[Example], prepare=lambda model: None) -> Engine:
    """Loss and gradients of the rows' mean. Returns the engine."""
    expected, expected_gradients = plainly(make(), rows)
    model = make()
    prepare(model)
    engine = engine_of(model, most_tokens=1024)
    model.zero_grad()
    count = sum(each.trained_tokens for each in rows)
    assert engine.accumulate(engine.micro_batches(rows), 1 / count) == pytest.approx(expected, rel=2e-6)
    for name, gradient in gradients(model).items():
        assert (gradient - expected_gradients[name] / count).abs().max() <= 2e-6, name
    return engine


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_loss_and_gradients_are_those_of_every_row_alone(name):
    rows = two_levels()
    engine = assert_as_plain(lambda: adapted(architecture(name)), rows)
    [batch] = engine.micro_batches(rows)
    assert engine.shares
    assert batch.tokens < 0.5 * sum(map(len, rows))
    assert max(map(len, batch.before)) == 2  # a beginning of a beginning


def test_a_window_is_kept_over_what_is_shared():
    engine = assert_as_plain(lambda: adapted(tiny_model("mistral", sliding_window=6)), two_levels())
    assert engine.shares


def test_recomputed_layers_see_the_same_beginnings():
    engine = assert_as_plain(
        lambda: adapted(architecture("qwen2")),
        two_levels(),
        prepare=lambda model: model.get_base_model().activation_checkpointing_enable(),
    )
    assert engine.shares


def test_a_changed_row_moves_nothing_of_one_that_begins_like_it():
    beginning, end = tokens(30, 1), tokens(9, 2)
    engine = engine_of(architecture("llama"))

    def losses_of_first(other: np.ndarray) -> torch.Tensor:
        batch = shared([row(beginning, end, learned_from=20), row(beginning, other, learned_from=20)], CPU)
        assert batch.before == [(), (0,), (0,)]
        with torch.no_grad(), attention.DOCUMENTS.of(batch):
            return engine.token_losses(batch)[batch.documents == 0]

    assert torch.equal(losses_of_first(tokens(9, 3)), losses_of_first(tokens(9, 4)))


def test_what_follows_the_last_learned_token_is_not_computed():
    plain = Example(0, tokens(30, 1), np.isin(np.arange(30), range(4, 14)))
    batch = shared([plain], CPU)
    assert needed(plain) == batch.tokens == 13  # the last learned token is predicted from the one before it
    assert batch.targets.tolist() == plain.ids[4:14].tolist()
    nothing = Example(0, tokens(5, 2), np.arange(5) == 0)  # a first token has nothing to be predicted from
    assert shared([nothing], CPU).tokens == 0
    engine = assert_as_plain(lambda: adapted(architecture("llama")), [plain, nothing])
    assert engine.measure([nothing]).tolist() == [0.0]


@settings(max_examples=100, deadline=None)
@given(st.data())
def test_no_learned_token_is_lost_and_each_stands_behind_its_own_rows_tokens(data):
    """Whatever rows begin alike: of two words only, so that they do at every length."""
    rows = []
    for _ in range(data.draw(st.integers(1, 9))):
        copied = data.draw(st.sampled_from([np.empty(0, np.int32), *(each.ids for each in rows)]))
        ids = np.append(
            copied[: data.draw(st.integers(0, 80))], data.draw(st.lists(st.integers(1, 2), min_size=1, max_size=50))
        )
        trained = data.draw(st.lists(st.booleans(), min_size=len(ids), max_size=len(ids)))
        rows.append(Example(0, ids.astype(np.int32), np.array(trained)))
    layout = layout_of([each.ids for each in rows])
    for each, chain in zip(rows, layout.of_rows, strict=True):
        parts = [layout.segments[number] for number in chain]
        laid = [rows[part.row].ids[part.start : part.end] for part in parts]
        assert np.array_equal(np.concatenate(laid), each.ids)
        assert [part.before for part in parts] == [chain[:index] for index in range(len(chain))]
    assert layout.tokens <= sum(map(len, rows))
    batch = shared(rows, CPU)
    wanted = [each.ids[1:][each.trained[1:]].tolist() for each in rows]
    assert [batch.targets[batch.documents == number].tolist() for number in range(len(rows))] == wanted
    positions = batch.position_ids.flatten()[batch.supervised]
    assert positions.tolist() == [place for each in rows for place in np.flatnonzero(each.trained[1:]).tolist()]


def test_a_short_beginning_is_not_worth_sharing():
    def pair(in_common: int) -> list[np.ndarray]:
        return [np.append(tokens(in_common, 1), tokens(9, seed)) for seed in (2, 3)]

    assert layout_of(pair(LEAST_SAVED)).tokens == LEAST_SAVED + 18
    assert layout_of(pair(LEAST_SAVED - 1)).tokens == 2 * (LEAST_SAVED + 8)


def test_rows_that_begin_alike_come_into_one_group_where_that_computes_less():
    rows = [
        row(tokens(300, kind), tokens(4 + 7 * number, 10 + 2 * number + kind), learned_from=300)
        for number in range(4)
        for kind in (0, 1)
    ]
    groups = split_for_sharing(rows, most_rows=8, most_tokens=620)
    assert sorted(id(each) for group in groups for each in group) == sorted(map(id, rows))
    assert [len({each.ids[0] for each in group}) for group in groups] == [1, 1]
    assert max(map(len, split_for_sharing(rows, most_rows=3, most_tokens=620))) == 3


@settings(max_examples=40, deadline=None)
@given(
    st.lists(st.tuples(st.integers(0, 2), st.integers(0, 60), st.integers(1, 60)), min_size=1, max_size=20),
    st.integers(1, 8),
)
def test_groups_hold_every_row_once_within_the_limits(kinds, most_rows):
    rows = [
        row(tokens(60, kind)[:alike], tokens(own, 9 + number), learned_from=0)
        for number, (kind, alike, own) in enumerate(kinds)
    ]
    groups = split_for_sharing(rows, most_rows, most_tokens=150)
    assert sorted(id(each) for group in groups for each in group) == sorted(map(id, rows))
    assert all(len(group) <= most_rows for group in groups)
    assert all(shared(group, CPU).tokens <= 150 for group in groups)


def test_an_architecture_that_computes_it_differently_computes_every_row_whole(monkeypatch):
    monkeypatch.setattr(
        attention, "banded", lambda length, keys, *rest: torch.zeros(length, keys)
    )  # sees what comes after
    engine = assert_as_plain(lambda: adapted(architecture("llama")), two_levels())
    assert not engine.shares
    assert any("for each of them" in line for line in engine.said)


def test_noise_that_is_each_rows_own_is_not_shared():
    engine = engine_of(architecture("llama"))
    assert engine.shares
    add_noise_to_embeddings(engine, 5.0)
    rows = two_levels()
    assert sum(batch.tokens for batch in engine.micro_batches(rows)) == sum(map(len, rows))


def test_with_dropout_each_row_has_the_same_losses_in_the_mean():
    """A beginning has one mask for all its rows: as probable as any, so mean loss and mean gradient stay what they are."""
    rows, draws = two_levels()[:4], 80

    def drawn(shares: bool) -> tuple[torch.Tensor, torch.Tensor]:
        model = adapted(architecture("qwen2"), lora_dropout=0.3)
        engine = engine_of(model)
        engine.shares = shares
        losses = []
        for seed in range(draws):
            torch.manual_seed(seed)
            losses.append(engine.accumulate(engine.micro_batches(rows), 1 / draws))
        return torch.tensor(losses), torch.cat([each.flatten() for each in gradients(model).values()])

    (found, gradient), (expected, whole) = drawn(True), drawn(False)
    assert abs(found.mean() - expected.mean()) < 4 * ((found.var() + expected.var()) / draws) ** 0.5
    assert torch.nn.functional.cosine_similarity(gradient, whole, dim=0) > 0.95
