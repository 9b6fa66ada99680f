"""The audit of a sequence length: what it cuts and learns, the steps that follow, and the length that is advised instead."""

import pytest

from studio import datasets
from studio.length_audit import advice, audit, fills
from studio.token_view import tokens_in
from studio.tokens import ChatTokenizer
from tests.dataset_files import add_rows, conversation
from tests.finished_runs import what_comes_with_it

WORD = "harbour "
ROWS = [conversation(f"Please count aloud up to number {at}.", WORD * (10 + at)) for at in range(40)]


@pytest.fixture
def measured(studio, tmp_path):
    what_comes_with_it(studio)
    dataset = add_rows(studio, tmp_path, ROWS)
    return dataset, datasets.token_stats(studio, dataset.id, "builtin")


def test_rows_that_lose_their_end_are_counted_and_a_length_that_saves_them_is_advised(studio, measured):
    dataset, stats = measured
    found = audit(studio, dataset.id, "builtin", stats.median)
    over = [tokens for tokens in stats.lengths if tokens > stats.median]
    assert (found.cut_rows, found.cut_tokens) == (len(over), sum(over) - stats.median * len(over))
    assert stats.median < found.advised_length
    assert found.advised_saves == sum(tokens <= found.advised_length for tokens in over)
    better = audit(studio, dataset.id, "builtin", found.advised_length)
    assert better.cut_rows == found.cut_rows - found.advised_saves
    assert found.steps >= 1
    assert found.problem is None


def test_a_length_at_which_nothing_would_be_learned_is_refused_before_a_run(studio, measured):
    dataset, _ = measured
    found = audit(studio, dataset.id, "builtin", 8)
    assert found.rows_without_learning == len(ROWS) or found.problem
    assert found.steps is None
    assert "nothing to learn" in found.problem


def test_batches_are_as_full_as_their_rows_make_them():
    assert fills([4, 4, 4, 4], 8, 2) == (1.0, 1.0)
    assert fills([8, 2], 8, 2) == (1.0, 10 / 16)
    assert advice(type("Stats", (), {"objective": "text"}), 8, 100) == (None, 0)


def test_tokens_join_to_the_text_and_what_the_template_wrote_is_told_apart(studio, measured):
    tokenizer = ChatTokenizer.load(studio.data.base_model("builtin").model)
    messages = [
        {"role": "user", "content": "Where is the port?"},
        {"role": "assistant", "content": "Behind <|im_end|> you."},
    ]
    encoded = tokenizer.encode(messages)
    found = tokens_in(tokenizer, encoded, [message["content"] for message in messages])
    assert [token.id for token in found] == encoded.ids
    assert [token.trained for token in found] == encoded.trained
    assert "".join(token.text for token in found) == encoded.text
    written = "".join(token.text for token in found if not token.template)
    assert written.replace(" ", "") == "".join(message["content"] for message in messages).replace(" ", "")
