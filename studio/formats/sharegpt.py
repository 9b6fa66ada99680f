"""ShareGPT: conversations of human and gpt with from and value, or with role and content under the same names."""

from studio.formats.conversation import ROLES, read_messages
from studio.formats.format import Conversation, Format, Mapped, Row

COLUMNS = ("conversations", "conversation", "messages")


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
    return isinstance(first, dict) and (
        "from" in first or (column != "messages" and ("role" in first or bool(ROLES.keys() & first.keys())))
    )


def read(row: Row, _mapping: Mapped) -> Conversation:
    column = _column(row) or COLUMNS[0]
    return read_messages(row.get(column), column, row.get("system"))


def mapping(columns: list[str]) -> dict[str, str]:
    column = next((name for name in COLUMNS if name in columns), None)
    return {part: name for part, name in (("messages", column), ("system", "system")) if name in columns}


FORMAT = Format(
    "sharegpt",
    "ShareGPT",
    '{"conversations": [{"from": "human", "value": "Hi"}, {"from": "gpt", "value": "Hello!"}]}',
    fits,
    read,
    mapping,
    frozenset({*COLUMNS, "system"}),
    standing=2,
)
