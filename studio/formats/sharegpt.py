"""ShareGPT: conversations of human and gpt with from and value, and what others keep in the same columns: roles, pairs, texts in turn."""

from studio.formats.conversation import ROLES, SPEAKERS, list_in, read_messages
from studio.formats.format import Conversation, Format, Mapped, Row
from studio.formats.messages import BESIDE, TOOL_COLUMNS, tools_of

COLUMNS = ("conversations", "conversation", "dialogue", "dialog", "dialogs", "chat", "items", "data", "messages")


def _column(row: Row) -> str | None:
    return next((name for name in COLUMNS if name in row), None)


def fits(row: Row) -> bool:
    column = _column(row)
    found = row.get(column) if column else None
    if isinstance(found, str):
        return found.lstrip().startswith("[") and ('"from"' in found or column != "messages")
    if not isinstance(found, list):
        return False
    if not found:
        return column != "messages"
    first = found[0]
    if isinstance(first, str):
        return column != "messages" and len(found) > 1 and all(isinstance(said, str) for said in found)
    return isinstance(first, dict) and (
        "from" in first
        or (column != "messages" and (any(name in first for name in SPEAKERS) or bool(ROLES.keys() & first.keys())))
    )


def read(row: Row, _mapping: Mapped) -> Conversation:
    column = _column(row) or COLUMNS[0]
    messages = list_in(row.get(column), column)
    if messages and all(isinstance(said, str) for said in messages):
        # as UltraChat has it: what is said in turn, by the person first
        messages = [{"role": ("user", "assistant")[place % 2], "content": said} for place, said in enumerate(messages)]
    return read_messages(messages, column, row.get("system"), tools_of(row))


def mapping(columns: list[str]) -> dict[str, str]:
    column = next((name for name in COLUMNS if name in columns), None)
    return {part: name for part, name in (("messages", column), *BESIDE) if name in columns}


FORMAT = Format(
    "sharegpt",
    "ShareGPT",
    '{"conversations": [{"from": "human", "value": "Hi"}, {"from": "gpt", "value": "Hello!"}]}',
    fits,
    read,
    mapping,
    frozenset({*COLUMNS, "system", *TOOL_COLUMNS}),
    standing=2,
)
