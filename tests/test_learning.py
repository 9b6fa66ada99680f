"""What is learned of a row, token for token: which answers of a conversation, a text from end to end, one answer of each pair."""

import pytest

from studio.errors import BadInput, Invalid
from studio.learning import Learning, learning_from, sequences
from studio.tokens import ChatTokenizer, pieces
from studio.training_settings import TrainingSettings
from tests.small_tokenizer import CHATML, small_tokenizer
from tests.test_tokens import GEMMA, LLAMA_2, MARKED, THINKING, trained_texts

TEMPLATES = {"chatml": CHATML, "gemma": GEMMA, "llama-2": LLAMA_2, "marked": MARKED, "thinking": THINKING}
REAL = ("llama3", "minimind-6400", "mistral-v1", "qwen2.5-instruct")


def three_turns(*marks: bool | None) -> list[dict]:
    turns = []
    for number, mark in enumerate(marks or (None, None, None), 1):
        turns.append({"role": "user", "content": f"Question {number}?"})
        turns.append({"role": "assistant", "content": f"Answer {number}."} | ({} if mark is None else {"learn": mark}))
    return turns


def chat_tokenizer(template: str | None = CHATML, **config) -> ChatTokenizer:
    return ChatTokenizer(small_tokenizer(), {"bos_token": "<s>", "eos_token": "</s>", **config}, template)


def real_tokenizer(shared_data, name: str) -> ChatTokenizer:
    if name != "qwen2.5-instruct":
        return ChatTokenizer.load(shared_data / "tokenizers" / name)
    # comes as vocab.json and merges.txt, without a tokenizer.json
    from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers

    from studio.files import read_json

    folder = shared_data / "tokenizers" / name
    config = read_json(folder / "tokenizer_config.json")
    tokenizer = Tokenizer(models.BPE.from_file(str(folder / "vocab.json"), str(folder / "merges.txt")))
    tokenizer.pre_tokenizer, tokenizer.decoder = pre_tokenizers.ByteLevel(add_prefix_space=False), decoders.ByteLevel()
    added = [
        AddedToken(token["content"], special=token["special"]) for token in config["added_tokens_decoder"].values()
    ]
    tokenizer.add_tokens(added)
    return ChatTokenizer(tokenizer, config, config["chat_template"])


def learned(tokenizer: ChatTokenizer, messages: list[dict], choice: str) -> list[str]:
    return trained_texts(tokenizer, tokenizer.encode(messages, answers=choice))


def check_choices(tokenizer: ChatTokenizer) -> None:
    """Each choice trains exactly its answers, with the token that ends them, and what "all" trains there."""
    every = learned(tokenizer, three_turns(), "all")
    assert len(every) == 3
    for number, text in enumerate(every, 1):
        assert f"Answer {number}." in text
        assert any(text.rstrip().endswith(end) for end in tokenizer.closers)
    assert learned(tokenizer, three_turns(), "last") == every[2:]
    assert learned(tokenizer, three_turns(None, True, None), "marked") == every[1:2]
    assert learned(tokenizer, three_turns(True, False, True), "marked") == [every[0], every[2]]
    assert learned(tokenizer, three_turns(None, False, None), "marked") == [every[0], every[2]]
    assert learned(tokenizer, three_turns(False, False, False), "marked") == []
    ids = {
        tuple(tokenizer.encode(three_turns(None, True, None), answers=choice).ids)
        for choice in ("all", "last", "marked")
    }
    assert len(ids) == 1  # the choice moves the mask, never the tokens


def check_no_leak(tokenizer: ChatTokenizer) -> None:
    """Up to the end of a learned answer nothing depends on what comes after it, whatever is chosen."""
    for choice, turns in (("all", three_turns()), ("marked", three_turns(None, True, None))):
        other = [*turns[:4], {"role": "user", "content": "Something else"}, {"role": "assistant", "content": "No."}]
        first, second = (tokenizer.encode(each, answers=choice) for each in (turns, other))
        end = max(
            place
            for place, (trained, span) in enumerate(zip(first.trained, first.spans, strict=True))
            if trained and span[1] <= first.text.index("Question 3")
        )
        assert first.ids[: end + 1] == second.ids[: end + 1]
        assert first.trained[: end + 1] == second.trained[: end + 1]


@pytest.mark.parametrize("template", TEMPLATES.values(), ids=TEMPLATES)
def test_every_choice_of_answers_trains_them_and_their_ends_and_nothing_else(template):
    check_choices(chat_tokenizer(template))


@pytest.mark.parametrize("name", REAL)
def test_real_templates_train_the_chosen_answers_and_no_later_turn_leaks(shared_data, name):
    tokenizer = real_tokenizer(shared_data, name)
    check_choices(tokenizer)
    check_no_leak(tokenizer)


def test_a_text_is_learned_from_its_start_token_to_its_end_token():
    tokenizer = chat_tokenizer(template=None)
    encoded = tokenizer.encode_text("Once upon a time </s> there was a token.")
    assert encoded.ids[0] == tokenizer.bos_id
    assert encoded.ids[-1] == tokenizer.eos_id
    assert all(encoded.trained)
    assert encoded.ids.count(tokenizer.eos_id) == 1  # what the text quotes does not end it
    assert "".join(piece.text for piece in pieces(tokenizer, encoded)) == encoded.text
    assert encoded.text == "<s>Once upon a time </s> there was a token.</s>"


@pytest.mark.parametrize("name", ["llama3", "minimind-6400", "mistral-v1", "gpt2"])
def test_texts_are_what_the_real_tokenizer_writes_between_start_and_end(shared_data, name):
    tokenizer = ChatTokenizer.load(shared_data / "tokenizers" / name)
    text = "Anarchism is a political philosophy.\n\n\tNaïve — 😀 "
    ids = tokenizer.encode_text(text).ids
    plain = tokenizer.tokenizer.encode(text, add_special_tokens=False).ids
    assert ids == [tokenizer.bos_id, *plain, tokenizer.eos_id]


def test_a_long_text_is_cut_into_pieces_in_which_every_token_is_learned_once():
    tokenizer = chat_tokenizer(template=None)
    row = {"row": 7, "text": "The keeper counts the ships that pass. " * 20}
    (whole,) = sequences(tokenizer, row, Learning("text"))
    for length in (8, 9, 50, len(whole.ids) - 1, len(whole.ids)):
        cut = sequences(tokenizer, row, Learning("text"), length)
        assert all(len(piece.ids) <= length for piece in cut)
        predicted = [
            id
            for piece in cut
            for id, trained in zip(piece.ids[1:], piece.trained[1:], strict=True)
            if trained
        ]  # fmt: skip
        assert predicted == whole.ids[1:]
        assert sum(piece.trained_tokens for piece in cut) == len(whole.ids)
        assert not any(piece.cut for piece in cut)


def test_of_a_pair_only_its_two_answers_are_learned_each_with_the_same_prompt():
    tokenizer = chat_tokenizer()
    row = {"row": 1, "messages": three_turns()[:3], "chosen": [said("Good.")], "rejected": [said("Bad!")]}
    chosen, rejected = sequences(tokenizer, row, Learning("preference"))
    assert trained_texts(tokenizer, chosen) == ["Good.<|im_end|>"]
    assert trained_texts(tokenizer, rejected) == ["Bad!<|im_end|>"]
    begins = chosen.trained.index(True)
    assert chosen.ids[:begins] == rejected.ids[:begins]
    (as_answer,) = sequences(tokenizer, row, Learning("answers"))
    assert as_answer == chosen


def said(text: str) -> dict:
    return {"role": "assistant", "content": text}


@pytest.mark.parametrize(
    ("kind", "marked", "wanted", "learned"),
    [
        ("conversations", 0, {}, Learning("answers", "all")),
        ("conversations", 3, {}, Learning("answers", "marked")),
        ("conversations", 3, {"answers": "all"}, Learning("answers", "all")),
        ("conversations", 0, {"answers": "last"}, Learning("answers", "last")),
        ("text", 0, {}, Learning("text", "all")),
        ("preference", 0, {"objective": "answers"}, Learning("answers", "all")),
    ],
)
def test_what_is_learned_follows_from_the_data_unless_it_is_chosen(kind, marked, wanted, learned):
    assert learning_from(TrainingSettings(**wanted), kind, marked) == learned


@pytest.mark.parametrize(
    ("kind", "wanted", "field"),
    [
        ("conversations", {"objective": "preference"}, "training.objective"),
        ("conversations", {"objective": "text"}, "training.objective"),
        ("text", {"objective": "answers"}, "training.objective"),
        ("text", {"objective": "preference"}, "training.objective"),
        ("preference", {"objective": "text"}, "training.objective"),
        ("conversations", {"answers": "marked"}, "training.answers"),
        ("text", {"answers": "last"}, "training.answers"),
        ("preference", {"answers": "marked"}, "training.answers"),
    ],
)
def test_what_the_data_is_not_for_is_refused_at_its_field(kind, wanted, field):
    with pytest.raises(Invalid) as refused:
        learning_from(TrainingSettings(**wanted), kind)
    assert refused.value.field == field
    assert refused.value.fix


def test_a_row_that_cannot_be_written_is_named():
    with pytest.raises(BadInput, match="Row 5: This model has no chat template"):
        sequences(chat_tokenizer(template=None), {"row": 5, "messages": three_turns()}, Learning())
