"""What makes encoding fast changes nothing: every token and mark against the plain way, on real conversations and tokenizers."""

import json

import pytest

from studio.answer_spans import AnswerSpans
from studio.chat_template import TEMPLATES, offered
from studio.tokens import ChatTokenizer
from tests.small_tokenizer import CHATML
from tests.test_tokens import GEMMA, LLAMA_2, MARKED, THINKING

ROWS = 60
NAMES = ("gpt2", "llama3", "minimind-6400", "mistral-v1")  # those with a tokenizer.json


def plain_overlapping(spans, answers):
    trained, at = [], 0
    for start, end in spans:
        while at < len(answers) and answers[at][1] <= start:
            at += 1
        trained.append(at < len(answers) and max(end, start + 1) > answers[at][0])
    return trained


@pytest.fixture(scope="module")
def conversations(shared_data) -> list[list[dict]]:
    folder = shared_data / "instruct" / "llamafactory"
    found = [
        [{"role": "user", "content": f"{row['instruction']}\n{row.get('input', '')}"}, {"role": "assistant", "content": row["output"]}]
        for row in json.loads((folder / "alpaca_en_demo.json").read_text())[:ROWS]
    ]  # fmt: skip
    longer = [[*first, *second, *third] for first, second, third in zip(found, found[1:], found[2:], strict=False)]
    odd = ["", " ", "\n\n", "<|im_end|>", "a<think>b</think>\n\nc", "🙂🙂 é ﬁ", "  spaces around  "]
    asked = [[{"role": "user", "content": text}, {"role": "assistant", "content": text}] for text in odd]
    return [*found, *longer[::4], *asked, *([{"role": "system", "content": "Be brief."}, *each] for each in found[:20])]


def templates_of(folder) -> list[str]:
    own = ChatTokenizer.load(folder).template
    return [*([own] if own else []), CHATML, THINKING, GEMMA, LLAMA_2, MARKED, offered(next(iter(TEMPLATES)), "</s>")]


@pytest.mark.parametrize("name", NAMES)
def test_tokens_and_marks_are_those_of_the_plain_way(shared_data, conversations, name, monkeypatch):
    folder = shared_data / "tokenizers" / name
    for template in templates_of(folder):
        loaded = ChatTokenizer.load(folder)
        tokenizer = ChatTokenizer(loaded.tokenizer, loaded.named, template, loaded.ends)
        fast = [encoded(tokenizer, each) for each in conversations]
        with monkeypatch.context() as plain:
            plain.setattr("studio.tokens._overlapping", plain_overlapping)
            plain.setattr(AnswerSpans, "_begins_at", lambda *_: False)
            assert fast == [encoded(tokenizer, each) for each in conversations]


def encoded(tokenizer: ChatTokenizer, messages: list[dict]):
    try:
        found = tokenizer.encode(messages)
    except Exception as error:
        return str(error)
    return found.ids, found.trained, found.text
