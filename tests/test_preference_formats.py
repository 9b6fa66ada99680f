"""Preference pairs in the shapes they are published in, and raw text: what each row means, and what is refused."""

import pytest

from studio.containers import open_container
from studio.containers.documents import ENOUGH_LETTERS, MOST_LETTERS
from studio.dataset_reading import KNOWN_COLUMNS, recognise
from studio.errors import BadInput
from studio.formats import RowFault
from studio.formats.checks import checked
from studio.formats.unusable import reason_against
from tests.test_formats import spoken


def said(role: str, content: str) -> dict:
    return {"role": role, "content": content}


HI, GOOD, BAD = said("user", "Hi"), said("assistant", "Hello!"), said("assistant", "No.")
HH = "\n\nHuman: Hi\n\nAssistant: {}"
PLAIN = (["user: Hi"], ["assistant: Hello!"], ["assistant: No."])
SHAPES = {
    "texts": {"prompt": "Hi", "chosen": "Hello!", "rejected": "No."},
    "answers as messages": {"prompt": "Hi", "chosen": [GOOD], "rejected": [BAD]},
    "all as messages": {"prompt": [HI], "chosen": [GOOD], "rejected": [BAD]},
    "answers with the prompt (UltraFeedback)": {"prompt": "Hi", "prompt_id": "x", "chosen": [HI, GOOD], "rejected": [HI, BAD], "messages": [HI, GOOD]},
    "whole conversations": {"chosen": [HI, GOOD], "rejected": [HI, BAD]},
    "whole conversations as text": {"chosen": HH.format("Hello!"), "rejected": HH.format("No.")},
    "prompt as a conversation in text": {"prompt": "\n\nHuman: Hi\n\nAssistant:", "chosen": "Hello!", "rejected": "No."},
    "llama-factory": {"conversations": [{"from": "human", "value": "Hi"}], "chosen": {"from": "gpt", "value": "Hello!"}, "rejected": {"from": "gpt", "value": "No."}},
    "llama-factory v1": {"chosen_messages": [HI | {"loss_weight": 0.0}, GOOD | {"loss_weight": 1.0}], "rejected_messages": [HI, BAD]},
    "alpaca": {"instruction": "Hi", "input": "", "chosen": "Hello!", "rejected": "No."},
    "alpaca with two outputs": {"instruction": "Hi", "input": "", "output": ["Hello!", "No."]},
    "ms-swift": {"messages": [HI, GOOD], "rejected_response": "No."},
    "axolotl": {"messages": [HI], "chosen": GOOD, "rejected": BAD},
    "argilla": {"instruction": "Hi", "chosen_response": "Hello!", "rejected_response": "No."},
    "stack exchange": {"question": "Hi", "response_j": "Hello!", "response_k": "No."},
    "openai": {"input": {"messages": [HI], "tools": []}, "preferred_output": [GOOD], "non_preferred_output": [BAD]},
    "json in a table's cell": {"prompt": "Hi", "chosen": '[{"role": "assistant", "content": "Hello!"}]', "rejected": '[{"role": "assistant", "content": "No."}]'},
}  # fmt: skip


def pair(row: dict):
    assert reason_against([row]) is None
    format = recognise([row])
    assert format.kind == "preference"
    return checked(format.read(row, {}))


@pytest.mark.parametrize("row", SHAPES.values(), ids=SHAPES)
def test_a_pair_in_any_of_its_published_shapes_is_the_same_pair(row):
    found = pair(row)
    assert (spoken(found.prompt), spoken(found.chosen), spoken(found.rejected)) == PLAIN
    assert not any("learn" in message for message in found.spoken)


def test_system_context_and_earlier_turns_are_part_of_the_prompt():
    orca = pair({"system": "Be kind.", "question": "Hi", "chosen": "Hello!", "rejected": "No."})
    assert spoken(orca.prompt) == ["system: Be kind.", "user: Hi"]
    alpaca = pair(
        {"instruction": "Opposite?", "input": "hot", "chosen": "cold", "rejected": "warm", "history": [["a", "b"]]}
    )
    assert spoken(alpaca.prompt) == ["user: a", "assistant: b", "user: Opposite?\n\nhot"]
    longer = pair({"chosen": [HI, GOOD, HI, GOOD], "rejected": [HI, GOOD, HI, BAD]})
    assert (len(longer.prompt), spoken(longer.rejected)) == (3, ["assistant: No."])


@pytest.mark.parametrize(
    ("row", "kind", "words"),
    [
        ({"prompt": "Hi", "chosen": "No.", "rejected": " No.\n"}, "same", "are the same"),
        ({"chosen": [HI, GOOD], "rejected": [HI, GOOD]}, "same", "are the same"),
        ({"prompt": "Hi", "chosen": "", "rejected": "No."}, "answer", "'chosen' is empty"),
        ({"prompt": "Hi", "chosen": "Hello!", "rejected": None}, "answer", "'rejected' is empty"),
        ({"prompt": "Hi", "chosen": "Hello!", "rejected": "  "}, "empty", "With the rejected answer"),
        ({"prompt": "", "chosen": "Hello!", "rejected": "No."}, "empty", "question in message 1"),
        ({"prompt": "Hi", "chosen": [HI], "rejected": [BAD]}, "answer", "'chosen' is empty"),
        ({"chosen": [HI, GOOD], "rejected": [said("user", "Ho"), BAD]}, "order", "differ in message 1"),
        ({"prompt": "Hi", "chosen": [said("user", "Ho"), GOOD], "rejected": [BAD]}, "order", "not the prompt's"),
        ({"conversations": [], "chosen": GOOD, "rejected": BAD}, "prompt", "no question"),
        ({"messages": [HI], "rejected_response": "No."}, "answer", "'chosen' is empty"),
        ({"prompt": "Hi", "chosen": {"a": 1}, "rejected": "No."}, "role", "who speaks"),
        ({"prompt": "Hi", "chosen": True, "rejected": "No."}, "type", "true or false"),
    ],
    ids=lambda value: value if isinstance(value, str) else None,
)  # fmt: skip
def test_a_pair_that_says_nothing_is_refused_with_what_to_do(row, kind, words):
    with pytest.raises(RowFault) as fault:
        pair(row)
    assert (fault.value.kind, words in fault.value.problem) == (kind, True), fault.value.problem
    assert fault.value.fix


@pytest.mark.parametrize(
    ("row", "name"),
    [
        ({"instruction": "Hi", "completions": [{"response": "a", "overall_score": 3}, {"response": "b", "overall_score": 1}]}, "ranking"),
        ({"prompt": "Hi", "responses": ["a", "b"], "scores": [1, 2]}, "ranking"),
        ({"prompt": "Hi", "response_0": "a", "response_1": "b", "better_response_id": 1}, "ranking"),
        ({"conversation_a": [], "conversation_b": [], "winner": "model_a"}, "ranking"),
    ],
)  # fmt: skip
def test_other_judgements_of_answers_are_refused_by_name(row, name):
    assert reason_against([row]).name == name


@pytest.mark.parametrize(
    ("mark", "learn"),
    [({"train": True}, True), ({"training": False}, False), ({"weight": 0}, False), ({"weight": 1}, True), ({"loss": True}, True),
     ({"loss_weight": 0.0}, False), ({"train": "false"}, False), ({"weight": None}, None), ({"loss": [1]}, None), ({}, None)],
    ids=str,
)  # fmt: skip
def test_marks_of_answers_are_kept_in_every_spelling(mark, learn):
    for row in (
        {"messages": [HI, GOOD | mark]},
        {"conversations": [{"from": "human", "value": "Hi"}, {"from": "gpt", "value": "Hello!"} | mark]},
    ):
        answer = checked(recognise([row]).read(row, {})).messages[1]
        assert answer.get("learn") is learn


@pytest.mark.parametrize(
    "row",
    [
        {"text": "Once upon a time."},
        {"id": 7, "url": "x", "title": "T", "text": "Once upon a time.", "meta": {"a": 1}},
        {"raw_content": "Once upon a time."},
        {"content": "Once upon a time."},
    ],
)
def test_a_row_with_a_text_and_no_question_is_raw_text(row):
    found = checked(recognise([row]).read(row, {}))
    assert found.text == "Once upon a time."
    assert recognise([row | {"label": "sad"}]) is None


def documents(tmp_path, text: str) -> list[tuple[int, int, str]]:
    (tmp_path / "text").write_text(text)
    container = open_container(tmp_path / "text", KNOWN_COLUMNS, 1 << 30)
    assert container.kind == "text"
    return [(row.number, row.line, row.value["text"]) for row in container.rows]


def test_without_blank_lines_each_line_is_a_document(tmp_path):
    assert documents(tmp_path, "One, two.\nThree, four.\nFive") == [
        (1, 1, "One, two."),
        (2, 2, "Three, four."),
        (3, 3, "Five"),
    ]


def test_paragraphs_are_gathered_into_documents_that_end_at_a_blank_line(tmp_path):
    paragraph = "The keeper counts the ships.\nNone is missing.\n"
    text = "\n\n" + "\n".join([paragraph] * 400)
    found = documents(tmp_path, text)
    assert [line for _, line, _ in found][:2] == [3, 3 + 3 * (found[0][2].count("keeper"))]
    assert all(ENOUGH_LETTERS <= len(text) < ENOUGH_LETTERS + 100 for _, _, text in found[:-1])
    assert "\n\n".join(text for _, _, text in found) == text.strip()


def test_a_mark_between_documents_ends_them_and_is_learned_in_none(tmp_path):
    text = "First.\n\nStill first.\n<|endoftext|>\nSecond.<|endoftext|>Third.\n<|endoftext|>\n<|endoftext|>"
    assert documents(tmp_path, text) == [(1, 1, "First.\n\nStill first."), (2, 5, "Second."), (3, 5, "Third.")]


@pytest.mark.parametrize("word", ["word ", "word"])
def test_a_text_without_any_end_is_cut_and_loses_nothing(tmp_path, word):
    text = word * 200_000
    found = documents(tmp_path, text)
    assert all(len(text) <= MOST_LETTERS for _, _, text in found)
    assert "".join(text.strip() for _, _, text in found).count("word") + (word == "word") >= 200_000 - len(found)
    assert sum(len(text) for _, _, text in found) >= len(text) - len(found)


@pytest.mark.parametrize(
    "text",
    [
        "---\ntitle: A keeper\ntags: [a]\n---\n\n# The lighthouse\n\nIt stands on a rock.\n",
        "[Chapter 1]\nOnce upon a time.\n",
        "Hello, world.\nGoodbye, moon.\n",
    ],
)
def test_prose_is_not_taken_for_something_else(tmp_path, text):
    assert documents(tmp_path, text)


def test_yaml_is_still_told_from_markdown(tmp_path):
    (tmp_path / "text").write_text("---\nprompt: Hi\n---\nprompt: Ho\n")
    with pytest.raises(BadInput, match="YAML"):
        open_container(tmp_path / "text", KNOWN_COLUMNS, 1 << 30)


def test_a_table_of_nothing_but_texts_is_a_table(tmp_path):
    (tmp_path / "t.csv").write_text('text\n"One, two."\nThree\n')
    container = open_container(tmp_path / "t.csv", KNOWN_COLUMNS, 1 << 30)
    assert (container.kind, [row.value for row in container.rows]) == (
        "csv",
        [{"text": "One, two."}, {"text": "Three"}],
    )
