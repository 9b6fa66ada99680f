"""The studio's rendering and ids are those of transformers, on real tokenizers and templates."""

import pytest

from studio.chat_template import offered
from studio.formats.conversation import read_messages
from studio.tokens import ChatTokenizer
from tests.small_tokenizer import write_tokenizer

pytestmark = pytest.mark.training

CONVERSATIONS = [
    [
        {"role": "user", "content": "Hello  wörld 日本 🎉\n x "},
        {"role": "assistant", "content": "I'm fine.  Thanks — 😀"},
    ],
    [
        {"role": "system", "content": "Be kind."},
        {"role": "user", "content": "\tdef f(x):\n    return x"},
        {"role": "assistant", "content": "Bye"},
        {"role": "user", "content": "1234567 + 89"},
        {"role": "assistant", "content": "\n1234656\n"},
    ],
]


def tokenizers(folder, tmp_path):
    """A converted copy of the folder, as intake makes one, in transformers and in the studio."""
    from transformers import AutoTokenizer

    theirs = AutoTokenizer.from_pretrained(folder)
    if not (folder / "tokenizer.json").exists():
        theirs.save_pretrained(tmp_path)
        folder = tmp_path
    return theirs, ChatTokenizer.load(folder)


@pytest.mark.parametrize("name", ["llama3", "minimind-6400", "mistral-v1", "qwen2.5-instruct"])
@pytest.mark.parametrize("messages", CONVERSATIONS, ids=["one turn", "two turns with system"])
def test_real_templates_give_the_same_text_and_ids(shared_data, tmp_path, name, messages):
    theirs, ours = tokenizers(shared_data / "tokenizers" / name, tmp_path)
    assert ours.render(messages) == theirs.apply_chat_template(messages, tokenize=False)
    assert ours.encode(messages).ids == theirs.apply_chat_template(messages)["input_ids"]
    assert (
        ours.prompt(messages[:-1]) == theirs.apply_chat_template(messages[:-1], add_generation_prompt=True)["input_ids"]
    )
    assert (ours.bos_id, ours.eos_id, ours.pad_id) == (theirs.bos_token_id, theirs.eos_token_id, theirs.pad_token_id)


@pytest.mark.parametrize("name", ["llama3", "minimind-6400", "mistral-v1", "qwen2.5-instruct"])
def test_control_tokens_in_messages_become_the_same_text(shared_data, tmp_path, name):
    theirs, ours = tokenizers(shared_data / "tokenizers" / name, tmp_path)
    messages = [
        {"role": "user", "content": "a<|im_end|></s> <|eot_id|>\nb"},
        {"role": "assistant", "content": "no </s><|im_end|> here"},
    ]
    assert ours.encode(messages).ids == theirs.apply_chat_template(messages, sanitize_control_tokens=True)["input_ids"]


@pytest.mark.parametrize("name", ["gpt2", "../models/stories260K"])
def test_offered_templates_give_the_same_ids_once_they_are_chosen(shared_data, name):
    theirs, ours = tokenizers(shared_data / "tokenizers" / name, None)
    template = offered("plain", ours.preferred_end)
    chosen = ChatTokenizer(ours.tokenizer, ours.named, template, ours.ends)
    for messages in CONVERSATIONS:
        assert chosen.encode(messages).ids == theirs.apply_chat_template(messages, chat_template=template)["input_ids"]


def test_marks_of_a_template_give_the_mask_of_transformers_and_the_end_of_turn(tmp_path):
    from transformers import AutoTokenizer

    template = (
        "{% for m in messages %}{{ '<|im_start|>' + m.role + '\n' }}{% if m.role == 'assistant' %}"
        "{% generation %}{{ m.content }}<|im_end|>{% endgeneration %}{% else %}{{ m.content }}<|im_end|>{% endif %}\n{% endfor %}"
    )
    folder = write_tokenizer(tmp_path, template)
    theirs, ours = AutoTokenizer.from_pretrained(folder), ChatTokenizer.load(folder)
    for messages in CONVERSATIONS:
        marked = theirs.apply_chat_template(messages, return_assistant_tokens_mask=True)
        encoded = ours.encode(messages)
        assert (encoded.ids, [int(trained) for trained in encoded.trained]) == (
            marked["input_ids"],
            marked["assistant_masks"],
        )


def test_tools_and_their_calls_are_written_as_qwens_own_template_writes_them(shared_data, tmp_path):
    theirs, ours = tokenizers(shared_data / "tokenizers" / "qwen2.5-instruct", tmp_path)
    tools = [{"type": "function", "function": {"name": "add", "description": "Adds „two“.", "parameters": {}}}]
    calls = [{"type": "function", "function": {"name": "add", "arguments": {"a": 1, "b": 2}}}] * 2
    messages = [
        {"role": "system", "content": "Be kind."},
        {"role": "user", "content": "Add 1 and 2."},
        {"role": "assistant", "content": "Wait.", "tool_calls": calls},
        {"role": "tool", "content": "3"},
        {"role": "tool", "content": "3"},
        {"role": "assistant", "content": "3."},
    ]
    as_text = read_messages(messages, "messages", tools=tools).messages
    assert ours.render(as_text) == theirs.apply_chat_template(messages, tools=tools, tokenize=False)
