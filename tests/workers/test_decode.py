"""Answers that grow together are the answers that each would get alone, from the plain model or from PEFT."""

import pytest
import torch

from jobs.workers import decode
from jobs.workers.adapters_in_memory import RowAdapters, load_adapter
from jobs.workers.decode import Answer, Batch, OneByOne, Sampling, choose, finish, written_alone
from jobs.workers.with_peft import with_peft
from tests.workers.tiny_models import save_adapter, tiny_model

pytestmark = pytest.mark.training

SHORT, LONG = [1, 17, 99, 23], [1, 5, 300, 42, 77, 8, 120, 250, 31, 9, 14, 201]
# What each architecture needs beside the common sizes. Windows shorter than the prompts, so that they matter.
ARCHITECTURES = {
    "llama": {},
    "qwen2": {},
    "qwen3": {"head_dim": 8},
    "mistral": {"sliding_window": 8},
    "gemma": {"head_dim": 8},
    "gemma2": {"head_dim": 8, "sliding_window": 8},
    "gemma3_text": {"head_dim": 8, "sliding_window": 8},
    "phi3": {"pad_token_id": 0, "bos_token_id": 1, "eos_token_id": 2},
    "gpt2": {"bos_token_id": 1, "eos_token_id": 2},
    "gpt_neox": {},
    "opt": {"word_embed_proj_dim": 32, "ffn_dim": 64},
}


def greedy(model, prompt, tokens=24, stop=()):
    ids = torch.tensor([prompt])
    written = model.generate(
        input_ids=ids,
        attention_mask=torch.ones_like(ids),
        max_new_tokens=tokens,
        do_sample=False,
        eos_token_id=list(stop) or None,
        pad_token_id=0,
    )
    return written[0, len(prompt) :].tolist()


def greedy_by_peft(model, adapter, prompt, tokens=24):
    with with_peft(model, adapter.folder) as adapted:
        return greedy(adapted, prompt, tokens)


def answer(prompt, adapter=None, tokens=24, stop=(), **sampling):
    return Answer(
        prompt=list(prompt),
        stop_ids=frozenset(stop),
        most_tokens=tokens,
        adapter=adapter,
        sampling=Sampling(**sampling),
    )


def ids_of(model, *answers):
    return [each.ids for each in finish(model, RowAdapters(model), list(answers))]


@pytest.fixture(scope="module")
def model():
    return tiny_model()


@pytest.fixture(scope="module")
def adapter(model, tmp_path_factory):
    return load_adapter(model, None, "first", save_adapter(tmp_path_factory.mktemp("adapter"), model))


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_rows_of_base_and_adapter_and_of_any_length_are_what_they_are_alone(architecture, tmp_path):
    model = tiny_model(architecture, **ARCHITECTURES[architecture])
    adapter = load_adapter(model, None, "any", save_adapter(tmp_path, model))
    found = ids_of(model, answer(SHORT), answer(LONG), answer(SHORT, adapter), answer(LONG, adapter))
    plain = [greedy(model, SHORT), greedy(model, LONG)]
    assert found == plain + [greedy_by_peft(model, adapter, SHORT), greedy_by_peft(model, adapter, LONG)]
    assert found[0] != found[2]


@pytest.mark.parametrize(
    ("architecture", "settings"),
    [
        ("llama", {"use_rslora": True, "r": 3}),
        ("llama", {"target_modules": ["q_proj", "down_proj"], "layers_to_transform": [1]}),
        ("llama", {"rank_pattern": {"q_proj": 2}, "alpha_pattern": {"down_proj": 32}}),
        ("qwen2", {"bias": "all"}),
        ("gpt2", {"bias": "all", "target_modules": ["c_attn"]}),
        ("gpt2", {"target_modules": ["c_attn", "c_proj"], "fan_in_fan_out": True}),
    ],
    ids=str,
)
def test_settings_of_lora_mean_what_they_mean_to_peft(architecture, settings, tmp_path):
    model = tiny_model(architecture, **ARCHITECTURES[architecture])
    before = {name: weights.clone() for name, weights in model.named_parameters()}
    adapter = load_adapter(model, None, "any", save_adapter(tmp_path, model, **settings))
    found = ids_of(model, answer(LONG), answer(LONG, adapter))
    assert found == [greedy(model, LONG), greedy_by_peft(model, adapter, LONG)]
    assert found[0] != found[1]
    assert all(torch.equal(before[name], weights) for name, weights in model.named_parameters()), (
        "the base is as it was"
    )


def test_two_adapters_and_the_base_share_a_batch_with_a_question_that_joins_later(model, adapter, tmp_path):
    second = load_adapter(model, None, "second", save_adapter(tmp_path, model, seed=7, r=2))
    batch = Batch(model, RowAdapters(model))
    early = [answer(LONG, second), answer(SHORT), answer(SHORT, adapter)]
    late = [answer(LONG, adapter), answer(SHORT, second, tokens=3)]
    batch.join(early)
    for _ in range(5):
        batch.step()
    batch.join(late)
    while batch.busy:
        batch.step()
    assert [row.ids for row in early] == [
        greedy_by_peft(model, second, LONG),
        greedy(model, SHORT),
        greedy_by_peft(model, adapter, SHORT),
    ]
    assert [row.ids for row in late] == [greedy_by_peft(model, adapter, LONG), greedy_by_peft(model, second, SHORT, 3)]


@pytest.mark.parametrize("architecture", ["llama", "mistral", "gemma3_text", "gpt2", "opt"])
def test_a_long_prompt_is_read_in_pieces_while_others_go_on_and_changes_nothing(architecture, monkeypatch):
    monkeypatch.setattr(decode, "READ_AT_ONCE", 5)  # the prompt has 12 tokens
    model = tiny_model(architecture, **ARCHITECTURES[architecture])
    batch = Batch(model, RowAdapters(model))
    writing, joining, gone = answer(SHORT), answer(LONG), answer(LONG)
    batch.join([writing])
    batch.step()
    batch.join([joining])
    written = [len(writing.ids)]
    while not joining.ids:
        batch.step()
        written.append(len(writing.ids))
    assert written == [1, 2, 3, 4], "one token beside each piece"
    batch.join([gone])
    batch.step()
    gone.cancel()
    while batch.busy:
        batch.step()
    assert (writing.ids, joining.ids, gone.ids) == (greedy(model, SHORT), greedy(model, LONG), [])


def test_each_row_stops_at_its_own_stop_token_or_length(model):
    plain = greedy(model, SHORT)
    stop = plain[6]
    stopped, short, full = answer(SHORT, stop=[stop]), answer(SHORT, tokens=4), answer(SHORT)
    finish(model, RowAdapters(model), [stopped, short, full])
    assert (stopped.ids, stopped.stopped_by) == (greedy(model, SHORT, stop=[stop]), "end")
    assert stopped.ids[-1] == stop
    assert (short.ids, short.stopped_by) == (plain[:4], "length")
    assert full.ids == plain


def test_a_cancelled_row_leaves_at_once_and_the_others_go_on(model):
    batch = Batch(model, RowAdapters(model))
    cancelled, other = answer(LONG), answer(SHORT)
    batch.join([cancelled, other])
    batch.step()
    cancelled.cancel()
    while batch.busy:
        batch.step()
    assert (len(cancelled.ids), cancelled.stopped_by) == (1, "cancel")
    assert other.ids == greedy(model, SHORT)
    assert batch.answers == []


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_a_seed_draws_the_same_answer_alone_and_in_company(architecture, tmp_path):
    model = tiny_model(architecture, **ARCHITECTURES[architecture])
    adapter = load_adapter(model, None, "any", save_adapter(tmp_path, model))
    drawn = {"temperature": 0.9, "top_p": 0.9, "seed": 11}
    alone = [ids_of(model, answer(SHORT, who, **drawn))[0] for who in (None, adapter)]
    company = ids_of(model, answer(LONG, **drawn), answer(SHORT, adapter, **drawn), answer(SHORT, **drawn))
    assert [company[2], company[1]] == alone
    assert ids_of(model, answer(SHORT, **{**drawn, "seed": 12}))[0] != alone[0]


def test_only_the_likeliest_tokens_within_top_p_are_drawn():
    logits = torch.tensor([0.5, 0.25, 0.15, 0.1]).log()
    dice = torch.Generator().manual_seed(0)
    drawn = {choose(logits, Sampling(temperature=1.0, top_p=0.7), dice) for _ in range(200)}
    assert drawn == {0, 1}
    assert {choose(logits, Sampling(temperature=1.0, top_p=1e-9), dice) for _ in range(20)} == {0}
    assert {choose(logits, Sampling(temperature=1.0), dice) for _ in range(300)} == {0, 1, 2, 3}


def test_answers_one_by_one_are_the_same(model, adapter):
    one_by_one = OneByOne(model, RowAdapters(model))
    rows = [answer(LONG), answer(SHORT, adapter)]
    one_by_one.join(rows)
    while one_by_one.busy:
        one_by_one.step()
    assert [row.ids for row in rows] == [greedy(model, LONG), greedy_by_peft(model, adapter, SHORT)]
    assert one_by_one.answers == []


def test_an_adapter_that_cannot_share_a_batch_answers_through_peft_and_leaves_no_trace(model, tmp_path):
    adapter = load_adapter(model, None, "alone", save_adapter(tmp_path, model, seed=5))
    adapter.alone = True
    row = answer(LONG, adapter)
    pieces = [token for written in written_alone(model, RowAdapters(model), row) for _, token in written]
    assert pieces == row.ids == greedy_by_peft(model, adapter, LONG)
    assert ids_of(model, answer(LONG)) == [greedy(model, LONG)]


def test_a_cache_that_outgrows_its_room_keeps_everything(model):
    assert ids_of(model, answer(SHORT, tokens=200), answer(LONG, tokens=150)) == [
        greedy(model, SHORT, 200),
        greedy(model, LONG, 150),
    ]
