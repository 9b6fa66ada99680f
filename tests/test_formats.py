"""Every data format: the shapes it is written in, and the conversation each becomes. A new format joins the first tests by existing."""

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from studio.dataset_reading import ReadingRequest, read_file, recognise
from studio.errors import Invalid
from studio.folders import DatasetFolder
from studio.formats import FORMATS, Conversation, Document, Pair, RowFault
from studio.formats.checks import checked
from studio.formats.columns import PARTS
from studio.formats.conversation import check
from studio.formats.strict_json import depth_of, parse
from studio.rows import iter_training_rows

RECOGNISED = {name: format for name, format in FORMATS.items() if name != "columns"}


def spoken(messages: list[dict]) -> list[str]:
    """ "user: Hi" and so on."""
    return [f"{message['role']}: {message['content']}" for message in messages]


def conversation(row: dict, **mapping) -> list[str]:
    """The checked conversation of a row, in the format that is recognised for it."""
    format = FORMATS["columns"] if mapping else recognise([row])
    row, *_ = format.several(row) if format.several else [row]
    return spoken(check(format.read(row, mapping)).messages)


def messages(*turns: tuple[str, object]) -> dict:
    return {"messages": [{"role": role, "content": content} for role, content in turns]}


Q, A, S = ("user", "Hi"), ("assistant", "Hello!"), ("system", "Be kind.")


@pytest.mark.parametrize("format", RECOGNISED.values(), ids=RECOGNISED)
def test_every_format_recognises_its_own_example_and_reads_it(format):
    row = json.loads(format.example)
    assert recognise([row]) is format
    found = checked(format.read(row, {}))
    made = {"conversations": Conversation, "text": Document, "preference": Pair}
    assert type(found) is made[format.kind]
    roles = {"conversations": ["user", "assistant"], "text": [], "preference": ["user", "assistant", "assistant"]}
    assert [message["role"] for message in found.spoken] == roles[format.kind]
    assert found.letters > 4


@pytest.mark.parametrize("format", RECOGNISED.values(), ids=RECOGNISED)
def test_every_format_names_the_columns_it_reads(format):
    mapping = format.mapping(list(json.loads(format.example)))
    assert mapping
    assert set(mapping) <= {*PARTS, "history"}
    assert set(mapping.values()) <= format.uses


A_CALL = {"role": "assistant", "content": None, "tool_calls": [{"id": "1", "type": "function", "function": {"name": "add", "arguments": '{"a": 1}'}}]}  # fmt: skip
A_TREE = {"text": "Hi", "role": "prompter", "replies": [
    {"text": "No.", "role": "assistant", "rank": 1, "replies": []},
    {"text": "Hello!", "role": "assistant", "rank": 0, "replies": [
        {"text": "Bye", "role": "prompter", "replies": [
            {"text": "Worse.", "role": "assistant", "rank": 0, "deleted": True, "replies": []},
            {"text": "Bye!", "role": "assistant", "rank": None, "replies": [{"text": "Still there?", "role": "prompter", "replies": []}]},
        ]},
    ]},
]}  # fmt: skip


@pytest.mark.parametrize(
    ("row", "name", "expected"),
    [
        ({"instruction": "Say the opposite.", "input": "hot", "output": "cold"}, "alpaca", ["user: Say the opposite.\n\nhot", "assistant: cold"]),
        ({"instruction": "Hi", "input": "", "output": "Hello!"}, "alpaca", ["user: Hi", "assistant: Hello!"]),
        ({"instruction": "Hi", "input": None, "response": "Hello!"}, "alpaca", ["user: Hi", "assistant: Hello!"]),
        ({"instruction": "Hi", "context": "At sea.", "response": "Ahoy!", "category": "x"}, "alpaca", ["user: Hi\n\nAt sea.", "assistant: Ahoy!"]),
        (
            {"instruction": "And you?", "output": "Fine.", "history": [["Hi", "Hello!"]], "system": "Be kind."},
            "alpaca",
            ["system: Be kind.", "user: Hi", "assistant: Hello!", "user: And you?", "assistant: Fine."],
        ),
        ({"instruction": "Add.", "instances": [{"input": "1 1", "output": "2"}]}, "alpaca", ["user: Add.\n\n1 1", "assistant: 2"]),
        ({"prompt": "Hi", "completion": "Hello!"}, "prompt_completion", ["user: Hi", "assistant: Hello!"]),
        ({"query": "Hi", "response": "Hello!", "history": []}, "prompt_completion", ["user: Hi", "assistant: Hello!"]),
        (
            {"prompt": [{"role": "user", "content": "Hi"}], "completion": [{"role": "assistant", "content": "Hello!"}]},
            "prompt_completion",
            ["user: Hi", "assistant: Hello!"],
        ),
        ({"question": "2+2?", "answer": 4}, "question_answer", ["user: 2+2?", "assistant: 4"]),
        ({"question": "Who?", "answer": "Ann.", "context": "Ann sang."}, "question_answer", ["user: Ann sang.\n\nWho?", "assistant: Ann."]),
        (
            messages(("System", "Be kind."), Q, A),
            "messages",
            ["system: Be kind.", "user: Hi", "assistant: Hello!"],
        ),
        (
            messages(("user", [{"type": "text", "text": "H"}, {"type": "text", "value": "i"}]), A),
            "messages",
            ["user: Hi", "assistant: Hello!"],
        ),
        ({"messages": '[{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Hello!"}]'}, "messages", ["user: Hi", "assistant: Hello!"]),
        ({"messages": [{"from": "human", "value": "Hi"}, {"from": "gpt", "value": "Hello!"}]}, "sharegpt", ["user: Hi", "assistant: Hello!"]),
        ({"conversations": [{"from": "human", "value": "Hi"}, {"from": "gpt", "value": "Hello!"}], "system": ""}, "sharegpt", ["user: Hi", "assistant: Hello!"]),
        ({"conversations": [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Hello!"}]}, "sharegpt", ["user: Hi", "assistant: Hello!"]),
        (
            {"system": "Be kind.", "conversation": [{"human": "Hi", "assistant": "Hello!"}, {"human": "Bye", "assistant": "Bye!"}]},
            "sharegpt",
            ["system: Be kind.", "user: Hi", "assistant: Hello!", "user: Bye", "assistant: Bye!"],
        ),
        ({"id": "1", "data": ["Hi", "Hello!", "Bye", "Bye!"]}, "sharegpt", ["user: Hi", "assistant: Hello!", "user: Bye", "assistant: Bye!"]),
        ({"dialogue": [{"speaker": "Customer", "utterance": "Hi"}, {"speaker": "Agent", "utterance": "Hello!"}]}, "sharegpt", ["user: Hi", "assistant: Hello!"]),
        ({"input": "Hi", "output": "Hello!"}, "input_output", ["user: Hi", "assistant: Hello!"]),
        ({"prompt": "Hi", "completion": "Hello!", "label": True}, "kto", ["user: Hi", "assistant: Hello!"]),
        ({"messages": [{"role": "user", "content": "Hi"}], "completion": "Hello!", "label": "true"}, "kto", ["user: Hi", "assistant: Hello!"]),
        ({"prompt": A_TREE, "tree_state": "ready"}, "oasst", ["user: Hi", "assistant: Hello!", "user: Bye", "assistant: Bye!"]),
        (
            {"messages": [{"role": "user", "content": "Add."}, {"role": "assistant", "content": "2", "reasoning_content": "1 and 1"}]},
            "messages",
            ["user: Add.", "assistant: <think>\n1 and 1\n</think>\n\n2"],
        ),
        (
            {"messages": [{"role": "user", "content": "Add."}, A_CALL, {"role": "tool", "content": "2"}, {"role": "tool", "content": "3"}, {"role": "assistant", "content": "2 and 3"}]},
            "messages",
            [
                "user: Add.",
                'assistant: <tool_call>\n{"name": "add", "arguments": {"a": 1}}\n</tool_call>',
                "user: <tool_response>\n2\n</tool_response>\n<tool_response>\n3\n</tool_response>",
                "assistant: 2 and 3",
            ],
        ),
        (
            {"conversations": [{"from": "human", "value": "Add."}, {"from": "gpt", "value": "Wait."}, {"from": "function_call", "value": '{"name": "add", "arguments": {"a": 1}}'}]},
            "sharegpt",
            ["user: Add.", 'assistant: Wait.\n<tool_call>\n{"name": "add", "arguments": {"a": 1}}\n</tool_call>'],
        ),
    ],
    ids=lambda value: value if isinstance(value, str) else None,
)  # fmt: skip
def test_a_row_becomes_the_conversation_it_means(row, name, expected):
    assert recognise([row]).name == name
    assert conversation(row) == expected


@pytest.mark.parametrize(
    ("row", "kind", "words"),
    [
        (messages(), "answer", "empty"),
        (messages(Q), "answer", "no answer"),
        (messages(S), "answer", "no answer"),
        (messages(Q, Q, A), "order", "Messages 1 and 2 are both said by the user"),
        (messages(Q, A, A), "order", "Messages 2 and 3 are both said by the assistant"),
        (messages(S, A, Q, A), "order", "begins with an answer"),
        (messages(Q, A, S, Q, A), "order", "Message 3 is a system message"),
        (messages(Q, ("assistant", "  ")), "empty", "The answer in message 2 is empty"),
        (messages(("user", ""), A), "empty", "The question in message 1 is empty"),
        (messages(Q, ("assistant", None)), "empty", "'messages[1].content' is null"),
        (messages(("narrator", "x"), A), "role", "'narrator'"),
        (messages((7, "x"), A), "role", "does not say who speaks"),
        ({"messages": [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": None, "tool_calls": [{"id": 1}]}]}, "tool", "messages[1]"),
        (messages(("user", [{"type": "image_url", "image_url": {"url": "x"}}]), A), "picture", "messages[0].content[0]"),
        (messages(("user", [{"type": "hologram", "text": "hm"}]), A), "type", "'hologram'"),
        (messages(("user", "<img>http://x/y.png</img>What?"), A), "picture", "Message 1"),
        ({"messages": [{"role": "user", "content": "Hi"}, "Hello!"]}, "type", "'messages[1]' is no message"),
        ({"messages": '[{"role": "user", "content": "Hi"'}, "json", "not valid JSON"),
        ({"messages": '[{"role": "user", "role": "system"}]'}, "keys", "'role' twice"),
        ({"conversations": [{"from": "human", "value": "Hi"}, {"from": "function_call", "value": "f()"}]}, "tool", "conversations[1]"),
        ({"messages": [{"role": "user", "content": "Hi"}, A_CALL, {"role": "tool", "content": None}]}, "empty", "messages[2]"),
        ({"messages": [{"role": "user", "content": "Hi"}, A_CALL], "tools": "[{]"}, "json", "not valid JSON"),
        ({"messages": [{"role": "user", "content": "Hi"}, A_CALL], "tools": [1]}, "tools", "descriptions of tools"),
        ({"instruction": "Add.", "instances": []}, "instances", "no input with its output"),
        ({"instruction": "Add.", "instances": 3}, "instances", "no input with its output"),
        ({"messages": [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "No."}], "label": False}, "verdict", "marked as not good"),
        ({"prompt": {"role": "narrator", "text": "Hi", "replies": []}}, "role", "neither by the prompter"),
        ({"prompt": "Hi", "completion": "Hello!", "history": [["one"]]}, "type", "history[0]"),
        ({"prompt": ["Hi"], "completion": {"a": 1}}, "type", "an object"),
    ],
    ids=lambda value: value if isinstance(value, str) else None,
)  # fmt: skip
def test_a_row_that_cannot_be_learned_from_says_why(row, kind, words):
    with pytest.raises(RowFault) as fault:
        conversation(row)
    assert fault.value.kind == kind
    assert words in fault.value.problem
    assert fault.value.fix


@pytest.mark.parametrize(
    ("row", "kind"),
    [
        (messages(Q, A, ("user", "And?")), "unanswered"),
        (messages(Q, ("assistant", "I am {{name}}.")), "placeholder"),
        (messages(("user", "a</s>b"), A), "control"),
        (messages(Q, ("assistant", "Hello!<|endoftext|>")), "control"),
        ({"messages": [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Hello!", "weight": 0.5}]}, "weight"),
    ],
    ids=lambda value: value if isinstance(value, str) else None,
)  # fmt: skip
def test_what_is_seldom_meant_is_a_warning(row, kind):
    assert [warning.kind for warning in check(recognise([row]).read(row, {})).warnings] == [kind]


def test_markup_and_templates_of_other_languages_raise_no_warning():
    row = messages(("user", "What is <b>{ {x} }</b> in a[INSTALL] and {{7*7}}?"), ("assistant", "<img src=x> | {%if%}"))
    assert check(recognise([row]).read(row, {})).warnings == []


def test_rows_of_mixed_shapes_are_read_by_the_format_of_most(tmp_path):
    rows = [
        {"instruction": "a", "output": "b"},
        {"instruction": "a", "response": "c"},
        {"question": "a", "answer": "d"},
    ]
    report = reported(tmp_path, rows)
    assert (report.format, report.rows_ready, report.bad[0].row) == ("alpaca", 2, 3)


def reported(tmp_path, rows: list[dict], **request):
    (tmp_path / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    folder = DatasetFolder(tmp_path / "read").create()
    return read_file(ReadingRequest(file=tmp_path / "rows.jsonl", file_name="rows.jsonl", **request), folder)


def test_unknown_columns_ask_for_a_mapping_and_suggest_one(tmp_path):
    report = reported(tmp_path, [{"Question": "a", "reply": "b", "id": "1"}])
    assert report.needs_mapping
    assert report.format is None
    assert report.rows_ready == 0
    assert report.mapping == {"prompt": "Question", "response": "reply"}


def test_a_mapping_says_which_column_is_what(tmp_path):
    rows = [{"dish": "Soup", "course": "first", "recipe": "Boil."}, {"dish": "Pie", "recipe": "Bake."}, {"dish": "Air"}]
    report = reported(tmp_path, rows, mapping={"prompt": "dish", "context": "course", "response": "recipe"})
    assert (report.format, report.rows_ready, report.rows_bad) == ("columns", 2, 1)
    read = [spoken(row["messages"]) for row in iter_training_rows(DatasetFolder(tmp_path / "read"))]
    assert read == [["user: Soup\n\nfirst", "assistant: Boil."], ["user: Pie", "assistant: Bake."]]
    assert report.bad[0].field == "recipe"


def test_a_mapping_can_name_a_column_of_whole_conversations(tmp_path):
    report = reported(tmp_path, [{"chat": messages(Q, A)["messages"]}], mapping={"messages": "chat"})
    assert report.rows_ready == 1


def test_the_chosen_side_of_preference_pairs_can_be_mapped(tmp_path):
    rows = [{"prompt": "Hi", "chosen": "Hello!", "rejected": "Go away."}]
    assert reported(tmp_path, rows).kind == "preference"
    mapped = reported(tmp_path, rows, mapping={"prompt": "prompt", "response": "chosen"})
    assert (mapped.rows_ready, mapped.kind) == (1, "conversations")


def test_a_mapping_can_name_a_column_of_raw_text_or_two_answers(tmp_path):
    text = reported(tmp_path, [{"story": "Once upon a time."}], mapping={"text": "story"})
    assert (text.kind, text.rows_ready) == ("text", 1)
    pairs = [{"asked": "Hi", "good": "Hello!", "bad": "No."}, {"asked": "Hi", "good": "No.", "bad": "No."}]
    report = reported(tmp_path, pairs, mapping={"prompt": "asked", "chosen": "good", "rejected": "bad"})
    assert (report.kind, report.rows_ready, report.bad[0].kind) == ("preference", 1, "same")


@pytest.mark.parametrize(
    ("mapping", "words"),
    [
        ({"prompt": "dish"}, "which columns hold the prompt and the response"),
        ({"prompt": "dish", "response": "Recipe"}, "no column 'Recipe'"),
        ({"prompt": "dish", "response": "recipe", "mood": "dish"}, "no part 'mood'"),
    ],
)  # fmt: skip
def test_a_mapping_that_cannot_be_meant_is_refused(tmp_path, mapping, words):
    with pytest.raises(Invalid, match=words):
        reported(tmp_path, [{"dish": "Soup", "recipe": "Boil."}], mapping=mapping)


def test_an_unknown_format_is_refused_with_the_known_ones(tmp_path):
    with pytest.raises(Invalid, match="alpaca"):
        reported(tmp_path, [{"prompt": "a", "completion": "b"}], format="csv")


def test_exact_duplicates_are_counted_and_kept(tmp_path):
    report = reported(tmp_path, [{"prompt": "a", "completion": "b"}] * 3 + [{"prompt": "a", "completion": "c"}])
    assert (report.rows_ready, report.rows_warned, report.kinds["duplicate"]) == (4, 2, 2)
    assert "same as row 1" in report.warnings[0].problem


def test_a_held_out_row_that_is_also_trained_on_is_told(tmp_path):
    (tmp_path / "held.jsonl").write_text('{"prompt": "a", "completion": "b"}\n{"prompt": "x", "completion": "y"}\n')
    report = reported(
        tmp_path,
        [{"prompt": "a", "completion": "b"}, {"prompt": "c", "completion": "d"}],
        heldout_file=tmp_path / "held.jsonl",
    )
    assert (report.rows_ready, report.heldout_rows, report.kinds) == (4, 2, {"heldout": 1})


def test_rows_with_a_picture_among_others_are_bad_and_described_tools_are_told(tmp_path):
    rows = [messages(Q, A)] * 20 + [
        messages(Q, ("assistant", "A cat.")) | {"images": ["cat.png"]},
        messages(Q, ("assistant", "No.")) | {"tools": "[{}]"},
    ]
    report = reported(tmp_path, rows)
    assert [(found.row, found.kind) for found in report.bad] == [(21, "picture")]
    assert report.kinds["tools"] == 1


values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=20,
)
columns = "instruction input output prompt completion question answer messages conversations system history instances chosen rejected text x"
parts = st.sampled_from(["role", "content", "from", "value", "type", "human", "assistant"])
turns = st.lists(st.dictionaries(parts, values | st.sampled_from(["user", "assistant", "gpt"])))
rows_of_anything = st.dictionaries(st.sampled_from(columns.split()), values | turns)


@settings(deadline=None, database=None, max_examples=50)
@given(rows_of_anything)
def test_whatever_a_row_holds_each_format_gives_an_ordered_conversation_or_a_fault(row):
    for format in FORMATS.values():
        try:
            found = checked(format.read(row, {"prompt": "prompt", "response": "completion"}))
        except RowFault:
            continue
        answered = (
            [found.prompt + found.chosen, found.prompt + found.rejected] if isinstance(found, Pair) else [found.spoken]
        )
        for messages in answered:
            roles = [message["role"] for message in messages if message["role"] != "system"]
            assert roles == ["user", "assistant"] * (len(roles) // 2)
            assert all(isinstance(message["content"], str) for message in messages)


@settings(deadline=None, database=None, max_examples=50)
@given(values)
def test_strict_json_reads_back_what_json_writes(value):
    text = json.dumps(value)
    assert parse(text) == value
    assert depth_of(text) == depth_of(json.dumps(value, indent=1))
