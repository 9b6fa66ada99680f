"""Learning raw text, from the pieces that are read to the adapter: nothing is lost, and it is stopped and resumed like any training."""

import numpy as np
import pytest

from studio.files import read_json, write_json
from studio.learning import Learning, sequences
from studio.tokens import ChatTokenizer
from tests.workers.training_place import (
    TrainingPlace,
    adapter_of,
    asking,
    equal,
    evaluations_of,
    lines,
    steps_of,
    train_here,
)

pytestmark = pytest.mark.training

TEXT = {"resolved": {"objective": "text", "sequence_length": 40, "heldout_rows": 3, "evaluate_every": 5}}


def documents(count: int = 20) -> list[dict]:
    verse = "The keeper counts the ships that pass the lighthouse, one, two, three, and writes them down. "
    return [
        {"row": row, "line": row, "text": f"Night {row}. " + verse * (1 + row % 4), "heldout": False}
        for row in range(1, count + 1)
    ]


@pytest.fixture
def texts(place: TrainingPlace) -> TrainingPlace:
    place.write_rows("small", documents())
    return place


def test_learning_texts_lowers_the_loss_on_documents_it_has_not_seen(texts: TrainingPlace):
    attempt = texts.queue("r1", **TEXT)
    result = train_here(attempt)
    assert (result["exit"], result["cut_rows"], result["unlearnable_rows"], result["heldout_rows"] > 0) == (
        0,
        0,
        0,
        True,
    )
    assert result["heldout_loss"] < result["base_heldout_loss"] - 0.1
    samples = lines(attempt.samples)
    assert len({sample["prompt"] for sample in samples}) == 3
    assert all(any(row["text"].startswith(sample["prompt"]) for row in documents()) for sample in samples)


def test_every_token_of_every_document_is_learned_or_measured_once(texts: TrainingPlace):
    from jobs.workers.examples import read_examples
    from studio.resolved_plan import ResolvedPlan

    attempt = texts.queue("r1", **TEXT)
    resolved = ResolvedPlan.model_validate(read_json(attempt.run.resolved))
    base = texts.data.base_model("tiny").model
    tokenizer = ChatTokenizer.load(base)
    data = read_examples(texts.data.dataset("small"), base, tokenizer, resolved, 0, lambda said: None)
    wanted, pieces = [], []
    for row in documents():
        (whole,) = sequences(tokenizer, row, Learning("text"))
        wanted += whole.ids[1:]
        cut = sequences(tokenizer, row, Learning("text"), 40)
        pieces += [(each.ids, each.trained[1:]) for each in cut]
    read = [*data.train, *data.heldout]
    assert max(map(len, read)) == 40
    assert sorted(np.concatenate([each.ids[1:] for each in read]).tolist()) == sorted(wanted)
    assert sorted((each.ids.tolist(), each.trained[1:].tolist()) for each in read) == sorted(
        pieces
    )  # as the preview cuts
    assert (data.train_tokens, data.cut_rows) == (sum(map(len, data.train)), 0)
    assert data.heldout_tokens == sum(each.trained_tokens for each in data.heldout)
    assert not {each.row for each in data.train} & {each.row for each in data.heldout}  # held out by documents


def test_a_held_out_book_is_measured_in_places_from_all_over_it(texts: TrainingPlace):
    book = {"row": 21, "line": 21, "text": "The ships pass, one, two, three. " * 400, "heldout": True}
    texts.write_rows("small", [*documents(), book])
    few_tokens = {"objective": "text", "sequence_length": 16, "heldout_rows": 1, "evaluate_every": 50}
    attempt = texts.queue("r1", training={"max_steps": 1}, resolved=few_tokens)
    result = train_here(attempt)
    assert (result["exit"], result["heldout_rows"]) == (0, 1)  # documents, as the plan counts them
    assert evaluations_of(attempt)[0]["heldout_tokens"] == pytest.approx(200 * 15, abs=15)


def test_a_text_training_stopped_and_resumed_is_the_straight_one_bit_for_bit(texts: TrainingPlace):
    plan = {**TEXT, "method": {"dropout": 0.2}}
    straight = texts.queue("straight", **plan)
    assert train_here(straight)["exit"] == 0
    first = texts.queue("stopped", **plan)
    assert train_here(first, asking("pause", 4))["exit"] == 75
    second = first.run.attempt(2).create()
    assert train_here(second)["exit"] == 0
    assert equal(adapter_of(straight), adapter_of(second))
    losses = [[line["loss"] for line in steps_of(each)] for each in (first, second, straight)]
    assert losses[0] + losses[1] == losses[2]
    assert evaluations_of(second)[-1]["heldout_loss"] == evaluations_of(straight)[-1]["heldout_loss"]


def test_a_base_without_a_chat_template_learns_texts_and_goes_on_with_pinned_words(texts: TrainingPlace, tmp_path):
    base = texts.data.base_model("tiny")
    plain = tmp_path / "plain"
    plain.mkdir()
    for file in base.model.resolve().iterdir():
        if file.name != "chat_template.jinja":
            (plain / file.name).symlink_to(file)
    config = read_json(plain / "tokenizer_config.json")
    (plain / "tokenizer_config.json").unlink()
    write_json(
        plain / "tokenizer_config.json", {name: value for name, value in config.items() if name != "chat_template"}
    )
    base.model.unlink()
    base.model.symlink_to(plain)
    assert not ChatTokenizer.load(base.model).has_template
    attempt = texts.queue(
        "r1", resolved={**TEXT["resolved"], "epochs": 0.5}, training={"sample_prompts": ["The keeper"]}
    )
    result = train_here(attempt)
    assert (result["exit"], result["problem"]) == (0, None)
    assert {sample["prompt"] for sample in lines(attempt.samples)} == {"The keeper"}
