"""The chat worker as a real process: its answers are those of the plain model and of PEFT, and its end is never the site's."""

import asyncio
import os
import signal
from contextlib import suppress

import pytest
from peft import PeftModel
from transformers import AutoModelForCausalLM

from jobs.workers.answering import MOST_ROWS, Answering
from jobs.workers.questions import Inbox, Question
from studio import chat
from studio.errors import BadInput, Unavailable
from studio.files import write_json
from studio.records import Adapter
from studio.settings import StudioSettings
from studio.studio import Studio
from studio.tokens import ChatTokenizer
from tests.coroutines import finished
from tests.workers.tiny_models import TEMPLATE, add_tiny_adapter, add_tiny_base, tiny_tokenizer

pytestmark = pytest.mark.training

HELLO = [{"role": "user", "content": "Tell me about your day!"}]
LONGER = [
    {"role": "user", "content": "Hi"},
    {"role": "assistant", "content": "Hello."},
    {"role": "user", "content": "Count the ships, please."},
]


@pytest.fixture(scope="module")
def studio(tmp_path_factory):
    opened = Studio.open(StudioSettings(data_folder=tmp_path_factory.mktemp("studio"), device="cpu"))
    yield opened
    chat.stop_worker(opened)
    opened.database.close()


@pytest.fixture(scope="module")
def base(studio):
    return add_tiny_base(studio)


@pytest.fixture(scope="module")
def adapter(studio, base):
    return add_tiny_adapter(studio, base)


def question(*columns, most=40, temperature=0.0, top_p=1.0, seed=0):
    drawn = {"max_new_tokens": most, "temperature": temperature, "top_p": top_p, "seed": seed}
    asked = [
        {"messages": messages, "adapter": adapter and {"id": adapter.id, "name": adapter.name}, **drawn}
        for messages, adapter in columns
    ]
    return {"do": "answer", "id": "any", "owner": "local", "columns": asked}


async def collect(studio, base, asked):
    folders = [studio.data.adapter(column["adapter"]["id"]) for column in asked["columns"] if column["adapter"]]
    return [event async for event in chat.answer(studio, base, asked, chat.trained_with(folders))]


def ask(studio, base, asked) -> tuple[list[str], list[dict], list[dict]]:
    """(texts, what each column said at its end, all events)"""
    events = finished(collect(studio, base, asked))
    columns = range(len(asked["columns"]))
    texts = ["".join(event.get("text", "") for event in events if event.get("column") == column) for column in columns]
    ends = [
        next(event for event in events if event.get("column") == column and event.get("done")) for column in columns
    ]
    return texts, ends, events


def plain_answer(studio, base, messages, most, adapter=None, words=None) -> str:
    """The greedy answer of transformers' own generate, with PEFT's own adapter, decoded at once."""
    folder = studio.data.base_model(base.id).model
    tokenizer, model = ChatTokenizer.load(folder), AutoModelForCausalLM.from_pretrained(folder)
    if adapter:
        model = PeftModel.from_pretrained(model, studio.data.adapter(adapter.id).path)
    import torch

    prompt = torch.tensor([(words or tokenizer).prompt(messages)])
    written = model.generate(
        input_ids=prompt,
        attention_mask=torch.ones_like(prompt),
        max_new_tokens=most,
        do_sample=False,
        eos_token_id=tokenizer.stop_ids,
        pad_token_id=0,
    )
    return tokenizer.decode(written[0, prompt.shape[1] :].tolist()).rstrip("�")


def test_base_and_adapter_answer_side_by_side_as_the_plain_model_and_peft_do(studio, base, adapter):
    texts, ends, events = ask(studio, base, question((HELLO, None), (HELLO, adapter), (LONGER, None)))
    assert texts[0] == plain_answer(studio, base, HELLO, 40)
    assert texts[1] == plain_answer(studio, base, HELLO, 40, adapter)
    assert texts[2] == plain_answer(studio, base, LONGER, 40)
    assert len(set(texts)) == 3
    assert ends[0]["proof"] == {
        "adapter": None,
        "name": None,
        "sha256": None,
        "layers_changed": 0,
        "self_check": "equal",
    }
    assert ends[1]["proof"] == {
        "adapter": adapter.id,
        "name": adapter.name,
        "sha256": adapter.sha256,
        "layers_changed": 14,
        "self_check": "equal",
    }
    assert ends[1]["tokens"] == 40
    order = [event["column"] for event in events if "text" in event]
    assert order != sorted(order), "the columns stream side by side"


def test_questions_at_once_are_each_answered_as_alone(studio, base, adapter):
    async def at_once():
        return await asyncio.gather(
            *[
                collect(studio, base, question((messages, None), (HELLO, adapter)))
                for messages in (HELLO, LONGER, HELLO)
            ]
        )

    for events, messages in zip(finished(at_once()), (HELLO, LONGER, HELLO), strict=True):
        text = "".join(event.get("text", "") for event in events if event.get("column") == 0)
        assert text == plain_answer(studio, base, messages, 40)


def test_more_questions_than_fit_into_one_batch_are_each_answered_as_alone(studio, base, adapter):
    asked = question((HELLO, None), (HELLO, adapter), (LONGER, None), (LONGER, adapter), most=12)

    async def crowd():
        return await asyncio.gather(*[collect(studio, base, asked) for _ in range(6)])

    all_events = finished(crowd())
    texts = {
        tuple(
            "".join(event.get("text", "") for event in events if event.get("column") == column) for column in range(4)
        )
        for events in all_events
    }
    assert texts == {
        tuple(plain_answer(studio, base, messages, 12, who) for messages in (HELLO, LONGER) for who in (None, adapter))
    }


def test_a_question_that_does_not_fit_into_the_batch_says_so_and_waits(studio, base):
    """In this process, with all questions there before the first is begun: how fast the machine is decides nothing."""
    inbox = Inbox()
    answering = Answering(studio.data.base_model(base.id), "cpu", inbox)
    answering.load()
    columns = question(*[(HELLO, None)] * (MOST_ROWS // 2), most=3)["columns"]
    heard: list[list[dict]] = [[] for _ in range(3)]
    asked = [Question(columns, events.append) for events in heard]
    for each in asked:
        inbox.ask(each)
    while not all(each.ended.is_set() for each in asked):
        answering.turn()

    waits = [any("waits for its turn" in event.get("notice", "") for event in events) for events in heard]
    assert waits == [False, False, True]
    assert [len([event for event in events if event.get("done")]) for events in heard] == [MOST_ROWS // 2] * 3


def test_whoever_waits_for_an_answer_that_is_written_alone_has_a_place_in_the_line_and_comes_next(
    studio, base, adapter, monkeypatch
):
    """As with DoRA, whose answers cannot share a batch: they hold up the others for as long as they are, and no longer."""
    inbox = Inbox()
    answering = Answering(studio.data.base_model(base.id), "cpu", inbox)
    answering.load()
    found = answering.columns._adapter

    def written_alone(asked, in_use):
        made = found(asked, in_use)
        made.alone = True
        return made

    monkeypatch.setattr(answering.columns, "_adapter", written_alone)
    events: list[tuple[int, dict]] = []
    first, second, third = (
        Question(question((HELLO, who), most=most)["columns"], lambda event, asker=asker: events.append((asker, event)))
        for asker, (who, most) in enumerate(((adapter, 6), (None, 3), (adapter, 3)))
    )
    for each in (first, second, third):
        inbox.ask(each)
    while not all(each.ended.is_set() for each in (first, second, third)):
        answering.turn()
    places = [(asker, event["position"], event["waiting"]) for asker, event in events if "position" in event]
    assert places[:2] == [(1, 1, 2), (2, 2, 2)]
    ends = [asker for asker, event in events if event.get("done")]
    assert ends == [0, 1, 2]
    told = [event for asker, event in events if asker == 1]
    assert told.index(next(event for event in told if "position" in event)) < told.index(
        next(event for event in told if event.get("done"))
    )
    assert next(event for event in told if event.get("done"))["prompt_tokens"] > 0


def test_a_seed_draws_the_same_answer_again_and_another_seed_another(studio, base, adapter):
    drawn = {"temperature": 1.0, "top_p": 0.95}
    first, _, _ = ask(studio, base, question((HELLO, None), (HELLO, adapter), **drawn, seed=4))
    again, _, _ = ask(studio, base, question((HELLO, None), **drawn, seed=4))
    other, _, _ = ask(studio, base, question((HELLO, None), **drawn, seed=5))
    assert again[0] == first[0]
    assert other[0] != first[0]


def test_a_closed_stream_frees_its_rows_while_others_go_on(studio, base):
    async def close_one():
        other = asyncio.create_task(collect(studio, base, question((LONGER, None), most=120)))
        events = chat.answer(studio, base, question((HELLO, None), most=200))
        async for event in events:
            if event.get("text"):
                break
        await events.aclose()
        return await other

    text = "".join(event.get("text", "") for event in finished(close_one()))
    assert text == plain_answer(studio, base, LONGER, 120)
    assert chat.worker_state(studio)["state"] == "ready", "nothing is being written any more"


def test_a_long_conversation_loses_its_oldest_turns_with_a_notice(studio, base):
    turns = [
        {"role": role, "content": f"{role} says {number} " * 6} for number in range(8) for role in ("user", "assistant")
    ]
    messages = [{"role": "system", "content": "Be brief."}, *turns, {"role": "user", "content": "Now?"}]
    texts, _, events = ask(studio, base, question((messages, None), most=10))
    notice = next(event["notice"] for event in events if "notice" in event)
    left_out = int(notice.split("its first ")[1].split()[0])
    assert "context of 256 tokens" in notice
    assert left_out % 2 == 0
    assert texts[0] == plain_answer(studio, base, [messages[0], *messages[1 + left_out :]], 10)


def test_an_answer_ends_where_the_context_is_full(studio, base):
    _, ends, events = ask(studio, base, question((HELLO, None), most=5000))
    assert ends[0]["stopped_by"] in ("length", "end")
    assert ends[0]["stopped_by"] == "end" or any(
        "context of 256 tokens is full" in event.get("notice", "") for event in events
    )
    assert ends[0]["tokens"] < 256


def test_a_message_longer_than_the_context_is_refused_with_both_numbers(studio, base):
    with pytest.raises(BadInput, match=r"makes \d{4} tokens, and this model reads 256 at most"):
        ask(studio, base, question(([{"role": "user", "content": "ship " * 900}], None)))


def test_an_adapter_that_is_gone_broken_or_of_another_base_is_refused_and_the_worker_lives_on(studio, base, adapter):
    missing = Adapter(id="missing", name="Missing")
    with pytest.raises(BadInput, match="no adapter with the id 'missing'"):
        ask(studio, base, question((HELLO, missing)))
    broken = add_tiny_adapter(studio, base, "broken")
    studio.data.adapter("broken").weights.write_bytes(b"not safetensors")
    with pytest.raises(BadInput, match="no safetensors file"):
        ask(studio, base, question((HELLO, None), (HELLO, broken)))
    foreign = add_tiny_adapter(studio, base, "foreign")
    write_json(studio.data.adapter("foreign").passport, {"base_model": {"fingerprint": "of something else"}})
    with pytest.raises(BadInput, match="other weights than this one"):
        ask(studio, base, question((HELLO, foreign)))
    assert ask(studio, base, question((HELLO, adapter)))[0][0] == plain_answer(studio, base, HELLO, 40, adapter)


def test_a_killed_worker_is_a_message_and_the_next_question_is_answered_by_a_new_one(studio, base):
    pid = chat.ready_worker(studio, base)

    async def kill_in_mid_answer():
        async for event in chat.answer(studio, base, question((HELLO, None), most=230)):
            if event.get("text"):
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)

    with pytest.raises(Unavailable, match="in the middle of the answer"):
        finished(kill_in_mid_answer())
    assert ask(studio, base, question((HELLO, None)))[0][0] == plain_answer(studio, base, HELLO, 40)
    assert chat.worker_state(studio)["pid"] != pid


@pytest.mark.parametrize(
    "settings",
    [
        {"use_dora": True},
        {"modules_to_save": ["lm_head", "norm"]},
        {"trainable_token_indices": {"embed_tokens": [5, 9], "lm_head": [5, 9]}},
    ],
    ids=["DoRA", "modules in full", "trained tokens"],
)
def test_adapters_that_only_peft_can_put_on_answer_as_in_peft_and_leave_the_base_as_it_was(studio, base, settings):
    whole = add_tiny_adapter(studio, base, id=f"whole{len(str(settings))}", **settings)
    before = ask(studio, base, question((HELLO, None)))[0]
    texts, ends, _ = ask(studio, base, question((HELLO, None), (HELLO, whole)))
    assert texts == [before[0], plain_answer(studio, base, HELLO, 40, whole)]
    assert texts[0] != texts[1]
    assert ends[1]["proof"]["self_check"] == "computed by PEFT itself"
    assert ask(studio, base, question((HELLO, None)))[0] == before


def test_an_adapter_trained_in_4_bits_answers_on_its_base_in_4_bits_and_the_base_says_so(studio, base, adapter):
    small = add_tiny_adapter(studio, base, id="small", seed=5)
    passport = {"base_model": {"id": base.id, "fingerprint": base.fingerprint}, "training": {"quantization": "nf4"}}
    write_json(studio.data.adapter(small.id).passport, passport)
    in_full = ask(studio, base, question((HELLO, None)))[0][0]

    texts, ends, events = ask(studio, base, question((HELLO, None), (HELLO, small)))
    notices = [(event.get("column"), event["notice"]) for event in events if "column" in event and "notice" in event]
    assert notices == [(0, "The base answers in nf4, as the adapter beside it was trained on it.")]
    assert [end["proof"]["self_check"] in ("equal", "equal up to rounding") for end in ends] == [True, True]
    assert texts[0] != in_full  # random weights lose much in 4 bits
    pid = chat.worker_state(studio)["pid"]
    assert ask(studio, base, question((HELLO, None)))[0][0] == texts[0]  # the base alone is asked as it stands there
    assert chat.worker_state(studio)["pid"] == pid

    _, _, events = ask(studio, base, question((HELLO, adapter), (HELLO, small)))
    assert [event["notice"] for event in events if event.get("column") == 1 and "notice" in event] == [
        "This adapter was trained on the base in nf4 and answers on it in full here: a little otherwise."
    ]
    assert chat.worker_state(studio)["pid"] != pid


def test_the_weights_of_a_mix_change_while_the_worker_writes_and_the_proof_says_when(studio, base, adapter):
    second = add_tiny_adapter(studio, base, id="second", seed=9)
    asked = question((HELLO, None), (HELLO, None), most=200)
    parts = [{"id": each.id, "name": each.name, "weight": 1.0} for each in (adapter, second)]
    del asked["columns"][1]["adapter"]
    asked["columns"][1] |= {"mix": parts}

    async def listen():
        events, changed = [], False
        async for event in chat.answer(studio, base, asked, "none"):
            events.append(event)
            if event.get("column") == 1 and "text" in event and not changed:
                changed = True
                change = {"do": "weights", "id": "any", "owner": "local", "column": 1, "weights": [0.5, -1.0]}
                await asyncio.to_thread(chat.tell, studio, change)
        return events

    events = finished(listen())
    said = next(event for event in events if "weights" in event)
    proof = next(event["proof"] for event in events if event.get("column") == 1 and event.get("done"))
    assert said == {"column": 1, "weights": [0.5, -1.0], "at_token": said["at_token"]}
    assert proof["weights_changed"] == [{"at_token": said["at_token"], "weights": [0.5, -1.0]}]
    assert 0 < said["at_token"] < 200
    assert [(part["adapter"], part["weight"]) for part in proof["mix"]] == [(adapter.id, 0.5), ("second", -1.0)]
    assert [part["sha256"] for part in proof["mix"]] == [adapter.sha256, second.sha256]
    assert (proof["self_check"], proof["layers_changed"]) == ("equal", 14)


def test_an_adapter_that_learned_in_another_template_is_asked_in_that_one(studio, base):
    own = add_tiny_adapter(studio, base, id="own", seed=4)
    folder = studio.data.adapter(own.id).path
    tokenizer = tiny_tokenizer()
    tokenizer.chat_template = TEMPLATE.replace("<|assistant|>", "<|assistant|>Well, ")
    tokenizer.save_pretrained(folder)
    texts, _, _ = ask(studio, base, question((HELLO, None), (HELLO, own)))
    assert texts[0] == plain_answer(studio, base, HELLO, 40)
    assert texts[1] == plain_answer(studio, base, HELLO, 40, own, ChatTokenizer.load(folder))
    assert texts[1] != plain_answer(studio, base, HELLO, 40, own)
