"""Pairs of answers to one prompt, one preferred to the other: what all formats of them share."""

import re
from typing import Any

from studio.errors import clip
from studio.formats.conversation import check, list_in, read_messages, text_of
from studio.formats.format import Conversation, Message, Pair, Row, RowFault

SIDES = ("chosen", "rejected")
SPOKEN = re.compile(r"(?:^|\n\n)(Human|Assistant):[ \t]?")
"""How Anthropic's first preference data writes a conversation into one text."""


def is_spoken(value: Any) -> bool:
    return isinstance(value, str) and value.lstrip("\n").startswith("Human:")


def spoken_messages(text: str) -> list[Message]:
    """ "\\n\\nHuman: Hi\\n\\nAssistant: Hello!" as messages; an opened answer without words is left out."""
    _, *parts = SPOKEN.split(text.lstrip("\n"))
    roles = {"Human": "user", "Assistant": "assistant"}
    found = [{"role": roles[who], "content": said.strip()} for who, said in zip(parts[::2], parts[1::2], strict=True)]
    return found[:-1] if found and found[-1] == {"role": "assistant", "content": ""} else found


def prompt_of(value: Any, field: str) -> list[Message]:
    """A prompt: one text, a conversation in one text, or a list of messages."""
    if is_spoken(value):
        return spoken_messages(value)
    if looks_like_messages(value):
        return without_marks(read_messages(value, field).messages)
    return [{"role": "user", "content": text_of(value, field)}]


def looks_like_messages(value: Any) -> bool:
    if isinstance(value, str):
        return value.lstrip().startswith("[{") and any(mark in value for mark in ('"role"', '"from"'))
    return (
        isinstance(value, list)
        and bool(value)
        and isinstance(value[0], dict)
        and ("role" in value[0] or "from" in value[0])
    )


def answer_of(value: Any, field: str, prompt: list[Message]) -> list[Message]:
    """One answer: a text, a message, or messages, which may begin with the prompt. Raises RowFault for anything else."""
    if value in (None, "", []):
        raise missing(field)
    if isinstance(value, dict):
        return without_marks(read_messages([value], field).messages)
    if not looks_like_messages(value):
        return [{"role": "assistant", "content": text_of(value, field)}]
    messages = without_marks(read_messages(value, field).messages)
    for before in (prompt, [message for message in prompt if message["role"] != "system"]):
        if before and same(messages[: len(before)], before):
            messages = messages[len(before) :]
            break
    if not messages:
        raise missing(field)
    if messages[0]["role"] != "assistant":
        raise RowFault(
            "order",
            f"'{clip(field, 40)}' begins with a message of the {messages[0]['role']} that is not the prompt's.",
            "Write the answer alone, or the prompt exactly as it stands in its own column.",
            field,
        )
    return messages


def missing(field: str) -> RowFault:
    return RowFault(
        "answer", f"'{clip(field, 40)}' is empty, so there are no two answers to compare.",
        "Fill it in, or drop the row.", field,
    )  # fmt: skip


def pair_of_conversations(chosen: list[Message], rejected: list[Message]) -> Pair:
    """Two whole conversations that part at their answers. Raises RowFault when they part at a question, or nowhere."""
    together = 0
    while together < min(len(chosen), len(rejected)) and same([chosen[together]], [rejected[together]]):
        together += 1
    if together == len(chosen) == len(rejected):
        raise equal()
    rest = [*chosen[together:][:1], *rejected[together:][:1]]
    if len(rest) < 2:
        raise missing("chosen" if together == len(chosen) else "rejected")
    if any(message["role"] != "assistant" for message in rest):
        raise RowFault(
            "order",
            f"The two conversations differ in message {together + 1} already, which is no answer.",
            "Both must have the same messages up to the answers that are compared.",
        )
    return Pair(chosen[:together], chosen[together:], rejected[together:])


def messages_in(value: Any, field: str) -> list[Message]:
    """A whole conversation: messages, or one text that is written as a conversation."""
    if is_spoken(value):
        return spoken_messages(value)
    return without_marks(read_messages(list_in(value, field), field).messages)


def with_system(prompt: list[Message], row: Row) -> list[Message]:
    """The prompt after the row's own system message, where it has one and the prompt has none."""
    system = next((row[name] for name in ("system", "system_prompt") if row.get(name)), None)
    if system is None or (prompt and prompt[0]["role"] == "system"):
        return prompt
    return [{"role": "system", "content": text_of(system, "system")}, *prompt]


def without_marks(messages: list[Message]) -> list[Message]:
    """A pair is learned from its two answers, whatever its messages say of themselves."""
    return [{"role": message["role"], "content": message["content"]} for message in messages]


def same(first: list[Message], second: list[Message]) -> bool:
    return [(one["role"], one["content"].strip()) for one in first] == [
        (one["role"], one["content"].strip()) for one in second
    ]


def equal() -> RowFault:
    return RowFault(
        "same", "The chosen and the rejected answer are the same, so neither is preferred.",
        "Mend one of them, or drop the row.",
    )  # fmt: skip


def check_pair(found: Pair) -> Pair:
    """Both conversations in the order that every template can write, with answers that differ. Raises RowFault otherwise."""
    if found.prompt and found.prompt[0]["role"] == "system" and not found.prompt[0]["content"].strip():
        found.prompt.pop(0)
    if not found.prompt or found.prompt[-1]["role"] != "user":
        raise RowFault(
            "prompt", "There is no question that the two answers answer.", "Add the prompt, or drop the row."
        )
    for side in SIDES:
        answer = getattr(found, side)
        if not answer or answer[-1]["role"] != "assistant":
            raise missing(side)
        try:
            checked = check(Conversation([*found.prompt, *answer]))
        except RowFault as fault:
            raise RowFault(fault.kind, f"With the {side} answer: {fault.problem}", fault.fix, fault.field) from None
        told = {warning.kind for warning in found.warnings}
        found.warnings += [warning for warning in checked.warnings if warning.kind not in told]
    if same(found.chosen, found.rejected):
        raise equal()
    return found
