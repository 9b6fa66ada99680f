"""OpenAI's preference pairs: an input with messages, a preferred and a non-preferred output."""

from studio.formats.conversation import read_messages
from studio.formats.format import Format, Mapped, Pair, Row
from studio.formats.pairs import answer_of, without_marks

INPUT, CHOSEN, REJECTED = "input", "preferred_output", "non_preferred_output"


def fits(row: Row) -> bool:
    return INPUT in row and CHOSEN in row and REJECTED in row


def read(row: Row, _mapping: Mapped) -> Pair:
    given = row.get(INPUT)
    messages = given.get("messages") if isinstance(given, dict) else given
    prompt = without_marks(read_messages(messages, f"{INPUT}.messages").messages)
    return Pair(prompt, *(answer_of(row.get(column), column, prompt) for column in (CHOSEN, REJECTED)))


def mapping(columns: list[str]) -> dict[str, str]:
    parts = {"prompt": INPUT, "chosen": CHOSEN, "rejected": REJECTED}
    return {part: name for part, name in parts.items() if name in columns}


FORMAT = Format(
    "preference_openai",
    "Preference pairs (OpenAI)",
    '{"input": {"messages": [{"role": "user", "content": "Hi"}]}, '
    '"preferred_output": [{"role": "assistant", "content": "Hello!"}], '
    '"non_preferred_output": [{"role": "assistant", "content": "No."}]}',
    fits,
    read,
    mapping,
    frozenset({INPUT, CHOSEN, REJECTED}),
    standing=6,
    kind="preference",
)
