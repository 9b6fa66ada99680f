"""What the Data page colours is what a real batch learns from: ids and labels, token for token, by several templates."""

import numpy as np
import pytest
import torch

from jobs.workers.examples import encode
from jobs.workers.packing import Example, packed, padded
from studio.learning import Learning, sequences
from studio.token_view import tokens_in
from tests.test_tokens import CHATML, GEMMA, LLAMA_2, MARKED, THINKING, TWO_TURNS, chat_tokenizer, offered

pytestmark = pytest.mark.training
TEMPLATES = [CHATML, THINKING, GEMMA, LLAMA_2, MARKED, offered("plain", "</s>")]
ROWS = [
    {"row": number, "messages": messages}
    for number, messages in enumerate([TWO_TURNS, TWO_TURNS[:2], [{**TWO_TURNS[0], "content": "A <|im_end|> b </s>?"}, TWO_TURNS[3]]], 1)
]  # fmt: skip


@pytest.mark.parametrize("write", [packed, padded], ids=["packed", "padded"])
@pytest.mark.parametrize("template", TEMPLATES, ids=["chatml", "thinking", "gemma", "llama2", "marked", "plain"])
def test_the_labels_of_a_batch_are_the_tokens_that_were_coloured(template, write):
    tokenizer = chat_tokenizer(template)
    examples, coloured = [], []
    for row in ROWS:
        ((ids, trained),) = encode(row, tokenizer, Learning()).sequences
        examples.append(Example(row["row"], np.array(ids, np.int32), np.array(trained, bool)))
        (encoded,) = sequences(tokenizer, row, Learning())
        shown = tokens_in(tokenizer, encoded, [message["content"] for message in row["messages"]])
        assert [token.id for token in shown] == list(ids)
        coloured += [token.id for token in shown[1:] if token.trained]
    batch = write(examples, torch.device("cpu"))
    assert batch.targets.tolist() == coloured
