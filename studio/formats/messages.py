"""OpenAI messages: a list of messages with a role and a content."""

from typing import Any

from studio.formats.conversation import read_messages
from studio.formats.format import Conversation, Format, Mapped, Row

COLUMN = "messages"
TOOL_COLUMNS = ("tools", "functions")


def fits(row: Row) -> bool:
    found = row.get(COLUMN)
    if isinstance(found, str):
        return found.lstrip().startswith("[") and '"role"' in found
    return isinstance(found, list) and (not found or (isinstance(found[0], dict) and "role" in found[0]))


def read(row: Row, _mapping: Mapped) -> Conversation:
    return read_messages(row.get(COLUMN), COLUMN, row.get("system"), tools_of(row))


BESIDE = (("system", "system"), ("tools", "functions"), ("tools", "tools"))
"""Parts beside the messages, and their columns."""


def tools_of(row: Row) -> Any:
    """The descriptions of tools beside a conversation."""
    return next((row[name] for name in TOOL_COLUMNS if row.get(name)), None)


def mapping(columns: list[str]) -> dict[str, str]:
    return {part: name for part, name in (("messages", COLUMN), *BESIDE) if name in columns}


FORMAT = Format(
    "messages",
    "Messages (OpenAI)",
    '{"messages": [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Hello!"}]}',
    fits,
    read,
    mapping,
    frozenset({COLUMN, "system", *TOOL_COLUMNS}),
    standing=3,
)
