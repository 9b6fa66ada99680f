"""The self-check says "equal" only when it is so, and answers stay right where it is not."""

import threading
from types import SimpleNamespace

import pytest
import torch

from jobs.workers.adapters_in_memory import RowAdapters, load_adapter
from jobs.workers.answering import Answering
from jobs.workers.decode import Answer, OneByOne, finish
from jobs.workers.questions import Inbox, Question
from jobs.workers.self_check import EQUAL, EQUAL_BUT_ROUNDING, GOOD, TOKENS, check_adapter, check_base, compared
from studio.errors import BadInput
from studio.files import write_json
from studio.folders import BaseModelFolder
from studio.tokens import ChatTokenizer
from tests.workers.tiny_models import add_tiny_adapter, add_tiny_base, save_adapter, tiny_model, tiny_tokenizer

pytestmark = pytest.mark.training

HELLO = [{"role": "user", "content": "Tell me about your day!"}]
LONGER = [{"role": "user", "content": "Count the ships, one, two, three, and the keeper's cats too, please."}]


@pytest.fixture(scope="module")
def tokenizer(tmp_path_factory) -> ChatTokenizer:
    folder = tmp_path_factory.mktemp("tokenizer")
    tiny_tokenizer().save_pretrained(folder)
    return ChatTokenizer.load(folder)


@pytest.fixture
def model():
    return tiny_model(vocabulary=len(tiny_tokenizer()))


@pytest.fixture
def adapter(model, tmp_path):
    return load_adapter(model, None, "any", save_adapter(tmp_path, model))


def without_positions(model):
    """Make the model ignore which position a token has, as an architecture would that knows no position_ids."""
    forward = model.forward

    def forgetful(
        input_ids=None,
        attention_mask=None,
        position_ids=None,
        past_key_values=None,
        use_cache=None,
        logits_to_keep=0,
        **more,
    ):
        given = {
            "input_ids": input_ids,
            "past_key_values": past_key_values,
            "use_cache": use_cache,
            "logits_to_keep": logits_to_keep,
        }
        return forward(**given, **more)

    model.forward = forgetful
    return model


def test_base_and_adapter_of_a_usual_model_are_equal(model, adapter, tokenizer):
    assert check_base(model, RowAdapters(model), tokenizer) == EQUAL
    assert check_adapter(model, RowAdapters(model), tokenizer, adapter) == EQUAL


def test_a_model_that_pads_differently_is_found(model, tokenizer):
    assert check_base(without_positions(model), RowAdapters(model), tokenizer).startswith("not equal: at token")


def test_an_update_that_is_not_pefts_is_found(model, adapter, tokenizer):
    update = next(iter(adapter.updates.values()))
    update.up.mul_(3)
    said = check_adapter(model, RowAdapters(model), tokenizer, adapter)
    assert said not in GOOD
    assert "PEFT with this adapter alone writes something else" in said


def test_tokens_that_are_as_likely_are_told_from_a_mistake(model, tokenizer):
    half = model.config.vocab_size // 2
    for weights in (model.get_input_embeddings().weight, model.get_output_embeddings().weight):
        weights.data[half : 2 * half] = weights.data[:half]  # every token has a twin
    ours = Answer(tokenizer.prompt(HELLO), frozenset(), TOKENS)
    finish(model, RowAdapters(model), [ours])
    assert compared(model, [ours], "the plain model") == EQUAL
    ours.ids[5] = (ours.ids[5] + half) % (2 * half)
    assert compared(model, [ours], "the plain model") == EQUAL_BUT_ROUNDING
    ours.ids[5] = (ours.ids[5] + 1) % half
    assert (
        compared(model, [ours], "the plain model")
        == "not equal: at token 6 of test answer 1, the plain model writes something else"
    )


def question(events, *columns, most=20):
    drawn = {"max_new_tokens": most, "temperature": 0.0, "top_p": 1.0, "seed": 0}
    asked = [
        {"messages": messages, "adapter": adapter and {"id": adapter.id, "name": adapter.name}, **drawn}
        for messages, adapter in columns
    ]
    return Question(asked, tell=events.append)


def answers(answering, *columns):
    """(texts, proofs) of one question, in this thread."""
    events = []
    asked = question(events, *columns)
    answering.inbox.ask(asked)
    while not asked.ended.is_set():
        answering.turn()
    texts = [
        "".join(event.get("text", "") for event in events if event.get("column") == column)
        for column in range(len(columns))
    ]
    return texts, [
        next(event["proof"] for event in events if event.get("column") == column and "proof" in event)
        for column in range(len(columns))
    ]


@pytest.fixture
def answering(studio):
    base = add_tiny_base(studio)
    add_tiny_adapter(studio, base)
    made = Answering(BaseModelFolder(studio.data.base_model(base.id).path), "cpu", Inbox())
    made.load()
    return made


def test_a_base_model_that_transformers_does_not_know_is_refused(studio):
    folder = BaseModelFolder(studio.data.base_model(add_tiny_base(studio).id).path)
    write_json(folder.model / "config.json", {"model_type": "abacus"})
    with pytest.raises(BadInput, match="cannot load this base model"):
        Answering(folder, "cpu", Inbox()).load()


def test_what_cannot_share_a_batch_is_answered_in_turn_with_the_same_words(answering, studio):
    adapter = SimpleNamespace(id="tinyadapter", name="tiny")
    together, proofs = answers(answering, (HELLO, None), (LONGER, adapter), (HELLO, adapter))
    assert [proof["self_check"] for proof in proofs] == [EQUAL] * 3
    answering.base_check = "not equal"
    answering.batch = answering._empty_batch()
    assert isinstance(answering.batch, OneByOne)
    assert answers(answering, (HELLO, None), (LONGER, adapter), (HELLO, adapter))[0] == together
    loaded = answering.columns.adapters.get(adapter.id, studio.data.adapter(adapter.id).path)
    loaded.alone = True
    assert answers(answering, (HELLO, adapter), (HELLO, None), (LONGER, adapter))[0] == [
        together[2],
        together[0],
        together[1],
    ]


def test_a_device_without_memory_fails_the_question_and_not_the_worker(answering):
    events = []

    def full():
        raise torch.OutOfMemoryError("out of memory")

    asked = question(events, (HELLO, None))
    answering.inbox.ask(asked)
    answering.batch.step = full
    threading.Thread(target=answering.run, daemon=True).start()
    assert asked.ended.wait(30)
    assert "not enough memory" in events[-1]["error"]["problem"]
    again = question([], (HELLO, None))
    answering.inbox.ask(again)
    assert again.ended.wait(30)


def test_an_adapter_for_which_there_is_no_memory_fails_its_question_and_not_the_next(answering, monkeypatch):
    def full(*_):
        raise torch.OutOfMemoryError("out of memory")

    events = []
    asked = question(events, (HELLO, None))
    answering.inbox.ask(asked)
    with monkeypatch.context() as patch:
        patch.setattr(answering.columns, "made", full)
        assert not answering.go_on()
    assert asked.ended.is_set()
    assert "not enough memory" in events[-1]["error"]["problem"]
    assert answers(answering, (HELLO, None))[0][0]
