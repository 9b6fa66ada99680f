"""Columns of one's own: the person says which column holds the prompt, which the answer, or which a whole conversation."""

from studio.errors import Invalid, clip
from studio.formats.conversation import read_messages
from studio.formats.fields import read_columns
from studio.formats.format import Format, Found, Kind, Mapped, Row, RowFault
from studio.formats.preference import read_pair
from studio.formats.text import read_text

PARTS = {
    "prompt": "what the person says",
    "context": "what belongs to it, put below (optional)",
    "response": "the answer to learn",
    "system": "the system message (optional)",
    "messages": "a whole conversation, instead of prompt and response",
    "tools": "the tools that such a conversation may call (optional)",
    "chosen": "the preferred answer, instead of one response",
    "rejected": "the answer it is preferred to",
    "text": "raw text, instead of all others",
}
ENOUGH: dict[Kind, tuple[set[str], ...]] = {
    "text": ({"text"},),
    "preference": ({"prompt", "chosen", "rejected"}, {"messages", "chosen", "rejected"}),
    "conversations": ({"messages"}, {"prompt", "response"}),
}
"""Parts that are enough to read a row of each kind."""
GUESSES = {
    "prompt": ("prompt", "instruction", "question", "query", "user", "human", "input", "request", "source", "title"),
    "response": (
        "response",
        "completion",
        "answer",
        "output",
        "assistant",
        "bot",
        "reply",
        "chosen",
        "target",
        "answers",
        "answer1",
        "text",
        "label",
    ),
    "context": ("context", "input", "passage", "content"),
    "system": ("system", "system_prompt"),
}


def guess(columns: list[str]) -> dict[str, str]:
    """A suggestion for columns that no format knows; each column is suggested once."""
    found: dict[str, str] = {}
    for part, names in GUESSES.items():
        lowered = {column.lower(): column for column in columns if column not in found.values()}
        near = next((lowered[name] for name in names if name in lowered), None)
        if near is not None:
            found[part] = near
    return found


def check_mapping(mapping: Mapped, columns: list[str]) -> None:
    """Raises Invalid unless the mapping names columns that exist, and enough of them."""
    for part, column in mapping.items():
        if part not in PARTS:
            raise Invalid(
                f"There is no part '{clip(part)}' of a conversation.", f"Map columns to: {', '.join(PARTS)}.", "mapping"
            )
        if column not in columns:
            raise Invalid(
                f"The file has no column '{clip(column)}'.",
                f"Its columns are: {clip(', '.join(columns), 300)}.",
                "mapping",
            )
    if kind_of(mapping) is None:
        raise Invalid(
            "The mapping does not say which columns hold the prompt and the response.",
            "Choose one for each, or one that holds whole conversations, or one of raw text.",
            "mapping",
        )


def kind_of(mapping: Mapped) -> Kind | None:
    """The kind of data that these parts make; None when they are not enough for any."""
    return next((kind for kind, ways in ENOUGH.items() if any(way <= set(mapping) for way in ways)), None)


def read(row: Row, mapping: Mapped) -> Found:
    kind = kind_of(mapping)
    if kind == "text":
        return read_text(row, mapping["text"])
    if kind == "preference":
        return read_pair(row, {**mapping, "prompt": mapping.get("messages", mapping.get("prompt"))})
    there = {part: column for part, column in mapping.items() if column in row}
    if "messages" in mapping:
        system, tools = (row.get(mapping.get(part, "")) for part in ("system", "tools"))
        return read_messages(row.get(mapping["messages"]), mapping["messages"], system, tools)
    for part in ("prompt", "response"):
        if part not in there:
            raise RowFault(
                "column",
                f"The row has no column '{clip(mapping[part], 40)}'.",
                "Add it, or drop the row.",
                mapping[part],
            )
    return read_columns(row, there)


FORMAT = Format(
    "columns",
    "Columns of your own",
    '{"title": "Soup", "recipe": "Boil ..."} with prompt = title and response = recipe',
    lambda _row: False,
    read,
    guess,
    frozenset(),
)
