"""A conversation that was left out because its messages were out of order, in the order that every template can write."""

from collections.abc import Mapping
from typing import Any

from studio.errors import StudioError
from studio.formats import Conversation, Format, Found, RowFault
from studio.formats.checks import checked
from studio.formats.format import Message

BLANK_LINE = "\n\n"


def brought_in_order(value: dict[str, Any] | None, format: Format, mapping: Mapping[str, str]) -> Found | None:
    """The row, where ordering its messages makes it one that can be used; None where it does not.

    System messages go to the front, neighbours of one role become one message, what stands before the first question and
    questions or answers without words are left out. No word of the others is changed.
    """
    if not value:
        return None
    try:
        found = format.read(value, mapping)
        return checked(Conversation(in_order(found.messages))) if isinstance(found, Conversation) else None
    except (RowFault, StudioError):
        return None


def in_order(messages: list[Message]) -> list[Message]:
    spoken = [message for message in messages if message["content"].strip()]
    system = [message["content"] for message in spoken if message["role"] == "system"]
    turns = [message for message in spoken if message["role"] != "system"]
    while turns and turns[0]["role"] == "assistant":
        turns = turns[1:]
    joined: list[Message] = []
    for message in turns:
        last = joined[-1] if joined else None
        if last is None or last["role"] != message["role"]:
            joined.append(dict(message))
        elif last.get("learn") == message.get("learn"):
            last["content"] += BLANK_LINE + message["content"]
        else:
            return []  # one of the two is marked to be learned: they cannot be one message
    first = [{"role": "system", "content": BLANK_LINE.join(system)}] if system else []
    return [*first, *joined]
