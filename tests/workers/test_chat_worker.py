"""The chat worker as a real process: its answers are those of the plain model and of PEFT, and its end is never the site's."""

import asyncio
import os
import signal

import pytest
from peft import PeftModel
from transformers import AutoModelForCausalLM

from studio import chat
from studio.errors import BadInput, NotFound, Unavailable
from studio.settings import StudioSettings
from studio.studio import Studio
from studio.tokens import ChatTokenizer
from tests.workers.tiny_models import add_tiny_adapter, add_tiny_base

pytestmark = pytest.mark.training

HELLO = [{"role": "user", "content": "Tell me about your day!"}]
LONGER = [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Hello."}, {"role": "user", "content": "Count the ships, please."}]


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
    asked = [{"messages": messages, "adapter": adapter and {"id": adapter.id, "name": adapter.name}} for messages, adapter in columns]
    return {"do": "answer", "columns": asked, "max_new_tokens": most, "temperature": temperature, "top_p": top_p, "seed": seed}


async def collect(studio, base, asked):
    return [event async for event in chat.answer(studio, base, asked)]


def ask(studio, base, asked) -> tuple[list[str], list[dict], list[dict]]:
    """(texts, what each column said at its end, all events)"""
    events = asyncio.run(collect(studio, base, asked))
    columns = range(len(asked["columns"]))
    texts = ["".join(event.get("text", "") for event in events if event.get("column") == column) for column in columns]
    ends = [next(event for event in events if event.get("column") == column and event.get("done")) for column in columns]
    return texts, ends, events


def plain_answer(studio, base, messages, most, adapter=None) -> str:
    """The greedy answer of transformers' own generate, with PEFT's own adapter, decoded at once."""
    folder = studio.data.base_model(base.id).model
    tokenizer, model = ChatTokenizer.load(folder), AutoModelForCausalLM.from_pretrained(folder)
    if adapter:
        model = PeftModel.from_pretrained(model, studio.data.adapter(adapter.id).path)
    import torch

    prompt = torch.tensor([tokenizer.prompt(messages)])
    written = model.generate(
        input_ids=prompt, attention_mask=torch.ones_like(prompt), max_new_tokens=most, do_sample=False, eos_token_id=tokenizer.stop_ids, pad_token_id=0
    )
    return tokenizer.decode(written[0, prompt.shape[1] :].tolist()).rstrip("�")


def test_base_and_adapter_answer_side_by_side_as_the_plain_model_and_peft_do(studio, base, adapter):
    texts, ends, events = ask(studio, base, question((HELLO, None), (HELLO, adapter), (LONGER, None)))
    assert texts[0] == plain_answer(studio, base, HELLO, 40)
    assert texts[1] == plain_answer(studio, base, HELLO, 40, adapter)
    assert texts[2] == plain_answer(studio, base, LONGER, 40)
    assert len(set(texts)) == 3
    assert ends[0]["proof"] == {"adapter": None, "name": None, "sha256": None, "layers_changed": 0, "self_check": "equal"}
    assert ends[1]["proof"] == {"adapter": adapter.id, "name": adapter.name, "sha256": adapter.sha256, "layers_changed": 14, "self_check": "equal"}
    assert ends[1]["tokens"] == 40
    order = [event["column"] for event in events if "text" in event]
    assert order != sorted(order), "the columns stream side by side"
